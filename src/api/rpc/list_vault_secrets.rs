//! ListVaultSecrets.

use prost::Message;
use tonic::{Request, Response};

use super::{Answer, Service, convert, pages::page_size, request::RpcRequest, token::TokenScope};
use crate::{
    api::error::about,
    model::{Permission, Resource::VaultSecrets, Verb::List},
    proto::{ListVaultSecretsRequest, ListVaultSecretsResponse},
    secrets::{Error, Secrets, VaultCursor, VaultFilter},
};

impl RpcRequest for ListVaultSecretsRequest {
    const METHOD: &'static str = "ListVaultSecrets";

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(List, VaultSecrets)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListVaultSecretsRequest>,
) -> Answer<ListVaultSecretsResponse> {
    let secrets = service.secrets_for(&request);
    let message = service.authorized(request).await?;
    page(service, &secrets, message).await.map(Response::new).map_err(about("vault"))
}

async fn page(
    service: &Service,
    secrets: &Secrets,
    mut message: ListVaultSecretsRequest,
) -> Result<ListVaultSecretsResponse, Error> {
    let mut limit = page_size(std::mem::take(&mut message.page_size))?;
    let token = std::mem::take(&mut message.page_token);
    let scope = TokenScope::pages::<ListVaultSecretsRequest>(secrets, message.encode_to_vec());
    let from = scope.open::<VaultCursor>(&token)?.unwrap_or_default();
    let filter =
        VaultFilter { name_contains: message.name_contains.clone(), unsynced_only: message.unsynced_only };
    // The vault's cursor points only to the end of what was read: a page that is too large is read again with
    // fewer secrets.
    loop {
        let page = secrets.list_vault_secrets(&filter, from.clone(), limit).await?;
        let vault_secrets: Vec<_> = page.items.into_iter().map(convert::listed_vault_secret).collect();
        if service.pages.fits(&vault_secrets) || limit == 1 {
            let next_page_token = page.next.map_or_else(String::new, |next| scope.issue(&next));
            return Ok(ListVaultSecretsResponse { vault_secrets, next_page_token });
        }
        limit /= 2;
    }
}
