//! ListSecretPurposes.

use tonic::{Request, Response};

use super::{Answer, Service, convert, pages::page_size, request::RpcRequest, token::TokenScope};
use crate::{
    api::error::plain,
    model::{Permission, Purpose, Resource::SyncedSecrets, SyncedSecretId, Verb::List},
    proto::{ListSecretPurposesRequest, ListSecretPurposesResponse},
    secrets::Error,
};

impl RpcRequest for ListSecretPurposesRequest {
    const METHOD: &'static str = "ListSecretPurposes";

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(List, SyncedSecrets)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListSecretPurposesRequest>,
) -> Answer<ListSecretPurposesResponse> {
    let message = service.authorized(request).await?;
    page(service, &message).map(Response::new).map_err(plain)
}

fn page(service: &Service, message: &ListSecretPurposesRequest) -> Result<ListSecretPurposesResponse, Error> {
    let limit = page_size(message.page_size)?;
    let scope = TokenScope::pages::<ListSecretPurposesRequest>(&service.secrets, Vec::new());
    // An id of a purpose follows the rule of ids.
    let after = scope.open::<SyncedSecretId>(&message.page_token)?;
    let is_left = |purpose: &&Purpose| after.as_ref().is_none_or(|after| purpose.id > after.as_str());
    let mut left: Vec<_> = Purpose::all().iter().filter(is_left).collect();
    let more = left.len() > limit;
    left.truncate(limit);
    let ids = left.iter().map(|purpose| purpose.id.parse::<SyncedSecretId>());
    let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|_| Error::Internal)?;
    let shown = left.iter().map(|purpose| convert::secret_purpose(purpose));
    let (purposes, next_page_token) = service.pages.fill(&scope, shown, more, |last| ids[last].clone());
    Ok(ListSecretPurposesResponse { purposes, next_page_token })
}
