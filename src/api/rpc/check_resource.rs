//! CheckResource.

use tonic::{Request, Response};
use zeroize::Zeroizing;

use super::{
    Answer, Service,
    auth::{self, KeyVisibility},
    convert,
    deadline::deadline,
    request::RpcRequest,
};
use crate::{
    api::error::plain,
    model::{Permission, Resource::SyncedSecrets, SyncedSecret, SyncedSecretId, Verb::List},
    proto::{CheckResourceRequest, CheckResourceResponse},
    secrets::{Error, KeysShown},
};

impl RpcRequest for CheckResourceRequest {
    const METHOD: &'static str = "CheckResource";
    /// Not meant to, but somebody may paste a Secret.
    const CARRIES_VALUES: bool = true;

    /// A manifest can name any secret, so what is said of them is what a list says.
    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(List, SyncedSecrets)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<CheckResourceRequest>,
) -> Answer<CheckResourceResponse> {
    let request = service.authorizer.authorize_request(request).await?;
    let (deadline, caller) = (deadline(&request), auth::caller(request.extensions()));
    let text = Zeroizing::new(request.into_inner().manifest);
    let (manifest, _turn) = service.secrets.read_manifest(text).await.map_err(plain)?;
    let visibility = KeyVisibility::of(&service.authorizer, &caller).await;
    let checked = service.secrets.check_resource(deadline, &manifest, &visibility).await.map_err(plain)?;
    let resources: Vec<_> = checked.iter().map(convert::checked_resource).collect();
    if !service.pages.fits(&resources) {
        let rule = "names so many secrets that the answer is too large; split it";
        return Err(plain(Error::invalid("manifest", rule)));
    }
    Ok(Response::new(CheckResourceResponse { resources }))
}

impl KeysShown for KeyVisibility {
    fn shows_keys_of(&self, secret: &SyncedSecret) -> bool {
        self.has_keys_of(secret)
    }

    fn may_get(&self, id: &SyncedSecretId) -> bool {
        KeyVisibility::may_get(self, id)
    }
}
