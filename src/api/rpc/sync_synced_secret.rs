//! SyncSyncedSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service, convert,
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, synced_secret},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, Verb::Sync},
    proto::{self, SyncSyncedSecretRequest},
};

impl RpcRequest for SyncSyncedSecretRequest {
    const METHOD: &'static str = "SyncSyncedSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![synced_secret(Sync, &self.name)]
    }
}

mutation_request!(SyncSyncedSecretRequest, [wait]);

pub(super) async fn call(
    service: &Service,
    request: Request<SyncSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let Mutation { call, mode, message, mut violations } = service.mutation(request).await?;
    let id = violations.synced_secret("name", &message.name);
    let id = violations.finish(id).map_err(plain)?;
    let name = format!("syncedSecrets/{id}");
    let synced = service.secrets.sync_synced_secret(call, id, mode.wait).await.map_err(about(name))?;
    Ok(Response::new(convert::synced_secret(&synced)))
}
