//! GetVault.

use tonic::{Request, Response};

use super::{Answer, Service, convert, request::RpcRequest};
use crate::{
    api::error::plain,
    model::{Permission, Resource::VaultSecrets, SyncEngine, Verb::Get},
    proto::{self, GetVaultRequest},
    secrets::{Error, VaultStatus},
};

impl RpcRequest for GetVaultRequest {
    const METHOD: &'static str = "GetVault";

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(Get, VaultSecrets)]
    }
}

pub(super) async fn call(service: &Service, request: Request<GetVaultRequest>) -> Answer<proto::Vault> {
    let secrets = service.secrets_for(&request);
    let message = service.authorized(request).await?;
    check_name(&message.name).map_err(plain)?;
    let status = secrets.get_vault().await.map_err(plain)?;
    Ok(Response::new(vault(&status)))
}

/// The instance has one vault, so its name may be omitted.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    match name {
        "vault" | "" => Ok(()),
        _ => Err(Error::invalid("name", "must be \"vault\": the instance has one vault")),
    }
}

fn vault(status: &VaultStatus) -> proto::Vault {
    let engine = match status.engine {
        Some(SyncEngine::SecretStore) => proto::SyncEngine::SecretStore,
        Some(SyncEngine::Direct) => proto::SyncEngine::Direct,
        None => proto::SyncEngine::Unspecified,
    };
    proto::Vault {
        name: "vault".to_owned(),
        uri: status.uri.to_string(),
        tenant_id: status.tenant_id.clone().unwrap_or_default(),
        engine: engine.into(),
        conditions: status.conditions.iter().map(convert::condition).collect(),
        check_time: Some(convert::timestamp(status.check_time)),
    }
}
