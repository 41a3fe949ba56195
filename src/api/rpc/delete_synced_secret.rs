//! DeleteSyncedSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, synced_secret},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, Verb::Delete},
    proto::{self, DeleteSyncedSecretRequest},
    secrets::{Deletion, Error},
};

impl RpcRequest for DeleteSyncedSecretRequest {
    const METHOD: &'static str = "DeleteSyncedSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![synced_secret(Delete, &self.name)]
    }
}

mutation_request!(DeleteSyncedSecretRequest, [request_id, validate_only, wait]);

pub(super) async fn call(
    service: &Service,
    request: Request<DeleteSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let deletion = deletion(message, violations).map_err(plain)?;
    let name = format!("syncedSecrets/{}", deletion.id);
    let deleted = service.secrets.delete_synced_secret(call, deletion, mode).await.map_err(about(&*name))?;
    // With allow_missing, there may be nothing to show but the name.
    let missing = || proto::SyncedSecret { name, ..Default::default() };
    Ok(Response::new(deleted.as_ref().map_or_else(missing, convert::synced_secret)))
}

fn deletion(message: DeleteSyncedSecretRequest, mut violations: Violations) -> Result<Deletion, Error> {
    let id = violations.synced_secret("name", &message.name);
    let (etag, force, allow_missing) = (message.etag, message.force, message.allow_missing);
    violations.finish(id.map(|id| Deletion { id, etag, force, allow_missing }))
}
