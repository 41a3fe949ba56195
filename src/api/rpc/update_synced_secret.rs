//! UpdateSyncedSecret. The update mask says which fields change.

use tonic::{Request, Response};

use super::{
    Answer, Service, auth,
    convert::{self, Violations, quoted, synced_secret::*},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, synced_secret, with_references},
};
use crate::{
    api::error::{about, plain},
    model::{Caller, Permission, Verb::Update},
    proto::{self, UpdateSyncedSecretRequest},
    secrets::{Changes, Error, Referable},
};

impl RpcRequest for UpdateSyncedSecretRequest {
    const METHOD: &'static str = "UpdateSyncedSecret";
    const NAMES_RESOURCE: bool = true;
    const CARRIES_VALUES: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        let secret = self.synced_secret.as_ref();
        let update = synced_secret(Update, secret.map_or("", |secret| &secret.name));
        // Those to set come first, because only so many are looked at: together with them, no others are used.
        let references =
            self.set_references.iter().chain(secret.iter().flat_map(|secret| &secret.references));
        // Which references are new is known only when the update is read: `referable` authorizes those.
        with_references(update, references, Permission::naming)
    }
}

mutation_request!(UpdateSyncedSecretRequest, [request_id, validate_only, wait]);

pub(super) async fn call(
    service: &Service,
    request: Request<UpdateSyncedSecretRequest>,
) -> Answer<proto::SyncedSecret> {
    let caller = auth::caller(request.extensions());
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let mut changes = changes(message, violations).map_err(plain)?;
    changes.referable = referable(service, &caller, &changes).await?;
    let name = format!("syncedSecrets/{}", changes.id);
    let updated = service.secrets.update_synced_secret(call, changes, mode).await.map_err(about(name))?;
    Ok(Response::new(convert::synced_secret(&updated)))
}

/// The vault secrets that the update may refer to. The caller needs a permission for each new one, but not
/// for those that the synced secret refers to already; of these, it keeps the permitted ones even if another
/// caller removes them meanwhile.
async fn referable(
    service: &Service,
    caller: &Caller,
    changes: &Changes,
) -> Result<Referable, tonic::Status> {
    let (mut referable, held) = service.secrets.referred_by_update(changes);
    service.authorize_references(caller, UpdateSyncedSecretRequest::METHOD, &referable).await?;
    // With an etag, an update of something that was changed meanwhile is refused anyway.
    for name in held.names().filter(|_| changes.etag.is_empty()) {
        if service.authorizer.is_allowed(caller, &Permission::reference(Some(name.clone()))).await {
            referable.add(name.clone());
        }
    }
    Ok(referable)
}

/// The field with the references to set.
const SET: &str = "set_references";

/// Why a request can't carry all references and changes to single ones.
const BOTH: &str = "must leave out the references where set_references or remove_keys change single ones";

/// The fields that an update mask can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mask {
    references: bool,
    labels: bool,
    description: bool,
}

pub(super) fn changes(
    message: UpdateSyncedSecretRequest,
    mut violations: Violations,
) -> Result<Changes, Error> {
    // Read first and in any case, so that every value is wiped.
    let (set, remove) = (message.set_references, message.remove_keys);
    let is_edit = !set.is_empty() || !remove.is_empty();
    let set_references = if set.is_empty() { Vec::new() } else { references(SET, set, &mut violations) };
    let remove_keys = remove_keys(&remove, &set_references, &mut violations);
    let Some(wire) = message.synced_secret else {
        violations.add("synced_secret", "is required: its name says which synced secret changes");
        return violations.finish(None);
    };
    let id = violations.synced_secret("synced_secret.name", &wire.name);
    let paths = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let mask = match paths.is_empty() {
        true => populated(&wire, is_edit, &mut violations),
        false => named(&paths, &mut violations),
    };
    if mask.references && is_edit {
        let field = if paths.is_empty() { REFERENCES } else { "update_mask" };
        violations.add(field, BOTH);
    }
    // Read even if the mask leaves them out, so that every value is wiped.
    let mut ignored = Violations::default();
    let noted = if mask.references { &mut violations } else { &mut ignored };
    let requested = references(REFERENCES, wire.references, noted);
    let description = mask.description.then(|| description(wire.description, &mut violations));
    let labels = mask.labels.then(|| labels(wire.labels, &mut violations));
    let references = mask.references.then_some(requested);
    let changes = id.map(|id| Changes {
        id,
        etag: wire.etag,
        description,
        labels,
        references,
        set_references,
        remove_keys,
        referable: Referable::default(),
    });
    violations.finish(changes)
}

/// AIP-134: without a mask, the fields that are not empty.
fn populated(wire: &proto::SyncedSecret, is_edit: bool, violations: &mut Violations) -> Mask {
    let mask = Mask {
        references: !wire.references.is_empty(),
        labels: !wire.labels.is_empty(),
        description: !wire.description.is_empty(),
    };
    if mask == Mask::default() && !is_edit {
        violations.add("update_mask", "must name what changes: references, labels or description");
    }
    mask
}

fn named(paths: &[String], violations: &mut Violations) -> Mask {
    let mut mask = Mask::default();
    for path in paths {
        match path.as_str() {
            "*" => mask = Mask { references: true, labels: true, description: true },
            "references" => mask.references = true,
            "labels" => mask.labels = true,
            "description" => mask.description = true,
            other => violations.add("update_mask", not_a_path(other)),
        }
    }
    mask
}

fn not_a_path(path: &str) -> String {
    let shown = quoted(path);
    match path.split(['.', '[']).next().unwrap_or_default() {
        whole @ ("references" | "labels") => {
            format!(
                "contains {shown}: {whole} can only be replaced as a whole; name {whole} and send all of them{}",
                if whole == "references" {
                    ", or change single ones with set_references and remove_keys"
                } else {
                    ""
                }
            )
        }
        "secret_type" => {
            format!(
                "contains {shown}, which Kubernetes does not let change; delete the synced secret and create a new one"
            )
        }
        _ => format!("contains {shown}, which can't be changed; use references, labels, description, or *"),
    }
}
