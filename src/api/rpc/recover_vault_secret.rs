//! RecoverVaultSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, in_collection},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, vault_secret},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, VaultSecretName, Verb::Recover},
    proto::{self, RecoverVaultSecretRequest},
};

impl RpcRequest for RecoverVaultSecretRequest {
    const METHOD: &'static str = "RecoverVaultSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![vault_secret(Recover, &self.name)]
    }
}

mutation_request!(RecoverVaultSecretRequest, [request_id, validate_only]);

pub(super) async fn call(
    service: &Service,
    request: Request<RecoverVaultSecretRequest>,
) -> Answer<proto::VaultSecret> {
    let Mutation { call, mode, message, mut violations } = service.mutation(request).await?;
    let name = violations.take("name", in_collection::<VaultSecretName>("vaultSecrets", &message.name));
    let name = violations.finish(name).map_err(plain)?;
    let resource = about(format!("vaultSecrets/{name}"));
    let recovered = service.secrets.recover_vault_secret(call, name, mode.validate_only).await;
    Ok(Response::new(convert::listed_vault_secret(recovered.map_err(resource)?)))
}
