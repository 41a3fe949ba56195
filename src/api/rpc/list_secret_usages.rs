//! ListSecretUsages.

use tokio::time::Instant;
use tonic::{Request, Response};

use super::{
    Answer, Service,
    auth::{self, KeyVisibility},
    convert,
    deadline::deadline,
    pages::page_size,
    request::{NamedResource, RpcRequest},
    token::TokenScope,
};
use crate::{
    api::error::about,
    model::{
        Permission,
        Resource::{SyncedSecrets, VaultSecrets},
        UsagePlace,
        Verb::{Get, List},
    },
    proto::{self, ListSecretUsagesRequest, ListSecretUsagesResponse},
    secrets::{Error, ListedUsage, Secrets},
};

impl RpcRequest for ListSecretUsagesRequest {
    const METHOD: &'static str = "ListSecretUsages";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        match convert::synced_secret_or_all("parent", &self.parent) {
            Ok(Some(id)) => vec![Permission::synced_secret(Get, Some(id))],
            _ => vec![Permission::all(List, SyncedSecrets)],
        }
    }

    fn permissions_on(named: Option<&NamedResource>) -> Vec<Permission> {
        let (of_one, of_all) = (Permission::all(Get, SyncedSecrets), Permission::all(List, SyncedSecrets));
        match named {
            // Whoever lacks one of them can still ask for the others' usages.
            None => vec![of_one, of_all],
            Some(named) if named.resource == VaultSecrets => vec![of_all],
            Some(named) => {
                let mut of_one = of_one;
                named.put_into(&mut of_one);
                vec![of_one]
            }
        }
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListSecretUsagesRequest>,
) -> Answer<ListSecretUsagesResponse> {
    let request = service.authorizer.authorize_request(request).await?;
    let (deadline, caller) = (deadline(&request), auth::caller(request.extensions()));
    let message = request.into_inner();
    let parent = message.parent.clone();
    // A caller who asks about one synced secret may get it, so it sees its keys.
    let visibility = match convert::synced_secret_or_all("parent", &parent) {
        Ok(None) => Some(KeyVisibility::of(&service.authorizer, &caller).await),
        _ => None,
    };
    let page = page(service, visibility.as_ref(), deadline, message).await;
    page.map(Response::new).map_err(about(parent))
}

async fn page(
    service: &Service,
    visibility: Option<&KeyVisibility>,
    deadline: Option<Instant>,
    message: ListSecretUsagesRequest,
) -> Result<ListSecretUsagesResponse, Error> {
    let limit = page_size(message.page_size)?;
    let parent = convert::synced_secret_or_all("parent", &message.parent)?;
    let secrets = &service.secrets;
    let scope = TokenScope::pages::<ListSecretUsagesRequest>(secrets, message.parent.into_bytes());
    let after = scope.open::<UsagePlace>(&message.page_token)?;
    let page = secrets.list_secret_usages(deadline, parent.as_ref(), after.as_ref(), limit).await?;
    let shown = page.usages.iter().map(|listed| shown_usage(secrets, visibility, listed));
    let position_of = |last: usize| page.usages[last].usage.place();
    let (usages, next_page_token) = service.pages.fill(&scope, shown, page.more, position_of);
    Ok(ListSecretUsagesResponse { usages, next_page_token, unreachable: page.unreachable })
}

/// A usage. A missing key reveals the keys of the synced secret, so only callers who may see these get it.
fn shown_usage(
    secrets: &Secrets,
    visibility: Option<&KeyVisibility>,
    listed: &ListedUsage,
) -> proto::SecretUsage {
    let mut shown = convert::secret_usage(listed);
    let record = listed.usage.secret.parse().ok().and_then(|id| secrets.get_synced_secret(&id).ok());
    if let (Some(visibility), Some(record)) = (visibility, record) {
        shown.key_missing &= visibility.has_keys_of(&record.secret);
    }
    shown
}
