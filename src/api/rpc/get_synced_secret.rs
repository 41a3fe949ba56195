//! GetSyncedSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service, convert,
    request::{RpcRequest, synced_secret},
    view::{is_full, shown_synced_secret},
};
use crate::{
    api::error::plain,
    model::{Permission, Verb::Get},
    proto::{self, GetSyncedSecretRequest},
};

impl RpcRequest for GetSyncedSecretRequest {
    const METHOD: &'static str = "GetSyncedSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![synced_secret(Get, &self.name)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<GetSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let message = service.authorized(request).await?;
    let id = convert::synced_secret_name("name", &message.name).map_err(plain)?;
    let is_full = is_full(message.view, true).map_err(plain)?;
    let record = service.secrets.get_synced_secret(&id).map_err(plain)?;
    // The caller may get this one, so it sees the keys.
    Ok(Response::new(shown_synced_secret(&service.secrets, None, &record.secret, is_full)))
}
