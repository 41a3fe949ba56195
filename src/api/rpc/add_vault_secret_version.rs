//! AddVaultSecretVersion.

use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations, in_collection, vault_secret::required_vault_secret},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, vault_secret},
};
use crate::{
    api::error::{about, plain},
    model::{NewVaultSecret, Permission, VaultSecretName, Verb::Update},
    proto::{self, AddVaultSecretVersionRequest},
    secrets::Error,
};

impl RpcRequest for AddVaultSecretVersionRequest {
    const METHOD: &'static str = "AddVaultSecretVersion";
    const NAMES_RESOURCE: bool = true;
    const CARRIES_VALUES: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![vault_secret(Update, &self.parent)]
    }
}

mutation_request!(AddVaultSecretVersionRequest, [request_id]);

pub(super) async fn call(
    service: &Service,
    request: Request<AddVaultSecretVersionRequest>,
) -> Answer<proto::VaultSecretVersion> {
    let Mutation { call, message, violations, .. } = service.mutation(request).await?;
    let keep_dates = message.keep_dates;
    let (name, new) = new_version(message, violations).map_err(plain)?;
    let resource = about(format!("vaultSecrets/{name}"));
    let added = service.secrets.add_vault_secret_version(call, name, new, keep_dates).await;
    Ok(Response::new(convert::vault_secret_version(&added.map_err(resource)?)))
}

pub(super) fn new_version(
    message: AddVaultSecretVersionRequest,
    mut violations: Violations,
) -> Result<(VaultSecretName, NewVaultSecret), Error> {
    let name = violations.take("parent", in_collection("vaultSecrets", &message.parent));
    let secret = required_vault_secret("secret", message.secret, &mut violations);
    violations.finish(name.zip(secret))
}
