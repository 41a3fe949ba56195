//! UpdateSyncedSecret: which fields are to change, by the update mask, and to what.

use super::convert::{
    Violations, in_collection, quoted,
    synced_secret::{REFERENCES, description, labels, references},
};
use crate::{
    proto,
    secrets::{Changes, Error, Referable},
};

/// The fields that a mask can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mask {
    references: bool,
    labels: bool,
    description: bool,
}

/// UpdateSyncedSecret.
pub(crate) fn changes(
    message: proto::UpdateSyncedSecretRequest,
    mut violations: Violations,
) -> Result<Changes, Error> {
    let Some(wire) = message.synced_secret else {
        violations.add("synced_secret", "it is required: its name says which");
        return violations.finish(None);
    };
    let id = violations.take("synced_secret.name", in_collection("syncedSecrets", &wire.name));
    let paths = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let mask = match paths.is_empty() {
        true => populated(&wire, &mut violations),
        false => named(&paths, &mut violations),
    };
    // Read also where the mask leaves it out: no value may stay behind, and what is wrong there is a mistake too.
    let mut ignored = Violations::default();
    let noted = if mask.references { &mut violations } else { &mut ignored };
    let asked = references(REFERENCES, wire.references, noted);
    let description = mask.description.then(|| description(wire.description, &mut violations));
    let labels = mask.labels.then(|| labels(wire.labels, &mut violations));
    let references = mask.references.then_some(asked);
    let changes = id.map(|id| Changes {
        id,
        etag: wire.etag,
        description,
        labels,
        references,
        referable: Referable::default(),
    });
    violations.finish(changes)
}

/// AIP-134: without a mask, the fields that are not empty.
fn populated(wire: &proto::SyncedSecret, violations: &mut Violations) -> Mask {
    let mask = Mask {
        references: !wire.references.is_empty(),
        labels: !wire.labels.is_empty(),
        description: !wire.description.is_empty(),
    };
    if mask == Mask::default() {
        violations.add("update_mask", "nothing is to change: name references, labels or description");
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
                "{shown} is a part of {whole}, which is replaced as a whole: name {whole} and send all of them"
            )
        }
        "secret_type" => {
            format!(
                "{shown} can't be changed: Kubernetes fixes it; delete the synced secret and create it anew"
            )
        }
        _ => format!("{shown} can't be changed; name references, labels, description, or *"),
    }
}
