//! ListSyncedSecrets.

use prost::Message;
use tonic::{Request, Response};

use super::{
    Answer, Service,
    auth::{self, KeyVisibility},
    convert,
    pages::page_size,
    request::RpcRequest,
    token::TokenScope,
    view::{is_full, shown_synced_secret},
};
use crate::{
    api::error::plain,
    model::{Permission, Resource::SyncedSecrets, SyncedSecretId, Verb::List},
    proto::{ListSyncedSecretsRequest, ListSyncedSecretsResponse},
    secrets::Error,
};

impl RpcRequest for ListSyncedSecretsRequest {
    const METHOD: &'static str = "ListSyncedSecrets";

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(List, SyncedSecrets)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListSyncedSecretsRequest>,
) -> Answer<ListSyncedSecretsResponse> {
    let request = service.authorizer.authorize_request(request).await?;
    let visibility = KeyVisibility::of(&service.authorizer, &auth::caller(request.extensions())).await;
    page(service, &visibility, request.into_inner()).map(Response::new).map_err(plain)
}

fn page(
    service: &Service,
    visibility: &KeyVisibility,
    message: ListSyncedSecretsRequest,
) -> Result<ListSyncedSecretsResponse, Error> {
    let limit = page_size(message.page_size)?;
    let is_full = is_full(message.view, false)?;
    let wire = message.filter.unwrap_or_default();
    let secrets = &service.secrets;
    let scope = TokenScope::pages::<ListSyncedSecretsRequest>(secrets, wire.encode_to_vec());
    let filter = convert::filter(wire)?;
    let after = scope.open::<SyncedSecretId>(&message.page_token)?;

    let listed = secrets.list_synced_secrets(after.as_ref(), limit, &filter);
    let shown = listed
        .records
        .iter()
        .map(|record| shown_synced_secret(secrets, Some(visibility), &record.secret, is_full));
    let position_of = |last: usize| listed.records[last].secret.id.clone();
    let (synced_secrets, next_page_token) = service.pages.fill(&scope, shown, listed.more, position_of);
    let total_size = i32::try_from(listed.total).unwrap_or(i32::MAX);
    Ok(ListSyncedSecretsResponse { synced_secrets, next_page_token, total_size })
}
