//! CreateSyncedSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations, in_collection, synced_secret::*},
    mutation::{Mutation, mutation_request},
    purpose,
    request::{RpcRequest, with_references},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, SecretType, SyncedSecretId, Verb::Create},
    proto::{self, CreateSyncedSecretRequest},
    secrets::{Error, NewSyncedSecret},
};

impl RpcRequest for CreateSyncedSecretRequest {
    const METHOD: &'static str = "CreateSyncedSecret";
    const NAMES_RESOURCE: bool = true;
    const CARRIES_VALUES: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        let id = self.synced_secret_id.parse::<SyncedSecretId>().ok();
        let references = self.synced_secret.iter().flat_map(|secret| &secret.references);
        with_references(Permission::synced_secret(Create, id), references, Permission::reference)
    }
}

mutation_request!(CreateSyncedSecretRequest, [request_id, validate_only, wait]);

pub(super) async fn call(
    service: &Service,
    request: Request<CreateSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let new = new_synced_secret(message, violations).map_err(plain)?;
    let name = format!("syncedSecrets/{}", new.id);
    let created = service.secrets.create_synced_secret(call, new, mode).await.map_err(about(name))?;
    Ok(Response::new(convert::synced_secret(&created)))
}

/// Ignores output-only fields.
pub(super) fn new_synced_secret(
    message: CreateSyncedSecretRequest,
    mut violations: Violations,
) -> Result<NewSyncedSecret, Error> {
    let Some(wire) = message.synced_secret else {
        violations.take(
            "synced_secret_id",
            convert::id::<SyncedSecretId>("syncedSecrets", &message.synced_secret_id),
        );
        violations.add("synced_secret", "is required: it holds the references");
        return violations.finish(None);
    };
    let id = read_id(&message.synced_secret_id, &wire.name, &mut violations);
    let purpose = purpose::purpose(&message.purpose, &mut violations);
    let secret_type = match purpose {
        Some(purpose) => purpose::secret_type(purpose, &wire, &mut violations),
        None => wire.secret_type.clone(),
    };
    let secret_type = secret_type.parse::<SecretType>();
    let secret_type = violations.take("synced_secret.secret_type", secret_type);
    let description = description(wire.description, &mut violations);
    let labels = labels(wire.labels, &mut violations);
    let references = references(REFERENCES, wire.references, &mut violations);
    let new = id.zip(secret_type).map(|(id, secret_type)| NewSyncedSecret {
        id,
        description,
        secret_type,
        references,
        labels,
    });
    violations.finish(new)
}

/// The id. If the request also has a name, it must match.
fn read_id(text: &str, name: &str, violations: &mut Violations) -> Option<SyncedSecretId> {
    let id = violations.take("synced_secret_id", convert::id::<SyncedSecretId>("syncedSecrets", text));
    if !name.is_empty() {
        let named = in_collection::<SyncedSecretId>("syncedSecrets", name);
        let named = violations.take("synced_secret.name", named);
        if let (Some(id), Some(named)) = (&id, &named)
            && id != named
        {
            let rule = format!("does not match synced_secret_id, syncedSecrets/{id}; leave it empty");
            violations.add("synced_secret.name", rule);
        }
    }
    id
}
