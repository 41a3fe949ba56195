//! AdoptSyncedSecret.

use tonic::{Request, Response};

use super::{
    Answer, Service, auth,
    convert::{self, Violations, synced_secret::references},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, synced_secret, with_references},
};
use crate::{
    api::error::{about, plain},
    model::{
        Permission,
        Verb::{Adopt, Get},
    },
    proto::{self, AdoptSyncedSecretRequest},
    secrets::{Adoption, Error, Referable},
};

impl RpcRequest for AdoptSyncedSecretRequest {
    const METHOD: &'static str = "AdoptSyncedSecret";
    const NAMES_RESOURCE: bool = true;
    const CARRIES_VALUES: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        let adopt = synced_secret(Adopt, &self.name);
        let mut required = with_references(adopt, &self.references, Permission::reference);
        // The answer shows the keys of the adopted Secret, and so does a refusal.
        required.insert(1, synced_secret(Get, &self.name));
        required
    }
}

mutation_request!(AdoptSyncedSecretRequest, [request_id, validate_only]);

pub(super) async fn call(
    service: &Service,
    request: Request<AdoptSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let caller = auth::caller(request.extensions());
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let mut adoption = adoption(message, violations).map_err(plain)?;
    adoption.referable = service.secrets.referred_by_adoption(&adoption);
    let method = AdoptSyncedSecretRequest::METHOD;
    service.authorize_references(&caller, method, &adoption.referable).await?;
    let name = format!("syncedSecrets/{}", adoption.id);
    let adopted = service.secrets.adopt_synced_secret(call, adoption, mode.validate_only).await;
    Ok(Response::new(convert::synced_secret(&adopted.map_err(about(name))?)))
}

/// An adoption creates nothing in the vault.
fn adoption(message: AdoptSyncedSecretRequest, mut violations: Violations) -> Result<Adoption, Error> {
    let id = violations.synced_secret("name", &message.name);
    let references = match message.references.is_empty() {
        true => Vec::new(),
        false => references("references", message.references, &mut violations),
    };
    for (place, _) in references.iter().enumerate().filter(|(_, new)| new.create.is_some()) {
        let rule = "must be empty: an adoption refers only to vault secrets that exist";
        violations.add(format!("references[{place}].create"), rule);
    }
    violations.finish(id.map(|id| Adoption { id, references, referable: Referable::default() }))
}
