//! CreateVaultSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations, vault_secret::required_vault_secret},
    mutation::{Mutation, mutation_request},
    request::RpcRequest,
};
use crate::{
    api::error::{about, plain},
    model::{NewVaultSecret, Permission, VaultSecretName, Verb::Create},
    proto::{self, CreateVaultSecretRequest},
    secrets::Error,
};

impl RpcRequest for CreateVaultSecretRequest {
    const METHOD: &'static str = "CreateVaultSecret";
    const NAMES_RESOURCE: bool = true;
    const CARRIES_VALUES: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::vault_secret(Create, self.vault_secret_id.parse::<VaultSecretName>().ok())]
    }
}

mutation_request!(CreateVaultSecretRequest, [request_id, validate_only]);

pub(super) async fn call(
    service: &Service,
    request: Request<CreateVaultSecretRequest>,
) -> Answer<proto::VaultSecret> {
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let (name, new) = new_vault_secret(message, violations).map_err(plain)?;
    let resource = about(format!("vaultSecrets/{name}"));
    let created = service.secrets.create_vault_secret(call, name, new, mode.validate_only).await;
    Ok(Response::new(convert::listed_vault_secret(created.map_err(resource)?)))
}

pub(super) fn new_vault_secret(
    message: CreateVaultSecretRequest,
    mut violations: Violations,
) -> Result<(VaultSecretName, NewVaultSecret), Error> {
    let name = convert::id::<VaultSecretName>("vaultSecrets", &message.vault_secret_id);
    let name = violations.take("vault_secret_id", name);
    let secret = required_vault_secret("secret", message.secret, &mut violations);
    violations.finish(name.zip(secret))
}
