//! GetVaultSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service, convert,
    request::{RpcRequest, vault_secret},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, Verb::Get},
    proto::{self, GetVaultSecretRequest},
};

impl RpcRequest for GetVaultSecretRequest {
    const METHOD: &'static str = "GetVaultSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![vault_secret(Get, &self.name)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<GetVaultSecretRequest>,
) -> Answer<proto::VaultSecret> {
    let secrets = service.secrets_for(&request);
    let message = service.authorized(request).await?;
    let name = convert::vault_secret_name("name", &message.name).map_err(plain)?;
    let found = secrets.get_vault_secret(&name).await;
    let found = found.map_err(about(format!("vaultSecrets/{name}")))?;
    Ok(Response::new(convert::listed_vault_secret(found)))
}
