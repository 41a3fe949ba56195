//! ListVaultSecretVersions.

use tonic::{Request, Response};

use super::{
    Answer, Service, convert,
    pages::page_size,
    request::{RpcRequest, vault_secret},
    token::TokenScope,
};
use crate::{
    api::error::about,
    model::{Permission, Verb::Get},
    proto::{ListVaultSecretVersionsRequest, ListVaultSecretVersionsResponse},
    secrets::{Error, Secrets, VaultCursor},
};

impl RpcRequest for ListVaultSecretVersionsRequest {
    const METHOD: &'static str = "ListVaultSecretVersions";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![vault_secret(Get, &self.parent)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListVaultSecretVersionsRequest>,
) -> Answer<ListVaultSecretVersionsResponse> {
    let secrets = service.secrets_for(&request);
    let message = service.authorized(request).await?;
    let parent = message.parent.clone();
    page(&secrets, message).await.map(Response::new).map_err(about(parent))
}

async fn page(
    secrets: &Secrets,
    message: ListVaultSecretVersionsRequest,
) -> Result<ListVaultSecretVersionsResponse, Error> {
    let limit = page_size(message.page_size)?;
    let name = convert::vault_secret_name("parent", &message.parent)?;
    let scope = TokenScope::pages::<ListVaultSecretVersionsRequest>(secrets, name.folded().into_bytes());
    let from = scope.open::<VaultCursor>(&message.page_token)?.unwrap_or_default();
    let page = secrets.list_vault_secret_versions(&name, from, limit).await?;
    Ok(ListVaultSecretVersionsResponse {
        versions: page.items.iter().map(convert::vault_secret_version).collect(),
        next_page_token: page.next.map_or_else(String::new, |next| scope.issue(&next)),
    })
}
