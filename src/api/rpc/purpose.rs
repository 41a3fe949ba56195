//! The purpose of a new synced secret: whether its keys and its type fit.

use super::convert::{Violations, quoted, synced_secret::REFERENCES};
use crate::{
    model::{Misfit, Purpose, SecretKey},
    proto,
};

/// The purpose with this id; `None` without an id, and for one that nobody knows, which is a violation.
pub(super) fn purpose(id: &str, violations: &mut Violations) -> Option<&'static Purpose> {
    if id.is_empty() {
        return None;
    }
    let purpose = Purpose::find(id);
    if purpose.is_none() {
        violations.add("purpose", format!("{} is not a purpose: ListSecretPurposes lists them", quoted(id)));
    }
    purpose
}

/// The type of a synced secret for a purpose. Adds what does not fit it.
pub(super) fn secret_type(
    purpose: &Purpose,
    secret: &proto::SyncedSecret,
    violations: &mut Violations,
) -> String {
    check_keys(purpose, &secret.references, violations);
    let given = secret.secret_type.as_str();
    if given.is_empty() {
        return purpose.secret_types.first().copied().unwrap_or_default().to_owned();
    }
    if !purpose.secret_types.contains(&given) {
        let types = purpose.secret_types.join(" or ");
        violations
            .add("synced_secret.secret_type", format!("must be {types} for the purpose {}", purpose.id));
    }
    given.to_owned()
}

fn check_keys(purpose: &Purpose, references: &[proto::SecretReference], violations: &mut Violations) {
    // No references at all are told anyway.
    if references.is_empty() {
        return;
    }
    let keys: Vec<&str> = references.iter().map(|reference| reference.key.as_str()).collect();
    let (id, known) = (purpose.id, purpose.keys_in_words());
    for misfit in purpose.misfits(&keys) {
        match misfit {
            // What is no key at all is told anyway, and may be a value.
            Misfit::Foreign(place) if keys[place].parse::<SecretKey>().is_err() => {}
            Misfit::Foreign(place) => violations.add(
                format!("{REFERENCES}[{place}].key"),
                format!("does not fit the purpose {id}, whose keys are {known}"),
            ),
            Misfit::Missing(key) => {
                violations.add(REFERENCES, format!("must have the key {:?} for the purpose {id}", key.key));
            }
            Misfit::NeitherWholeNorComposed => {
                violations.add(
                    REFERENCES,
                    format!("must have the keys {known} for the purpose {id}, and no others"),
                );
            }
            Misfit::TooFew(required) => violations.add(
                REFERENCES,
                format!(
                    "must have at least {required} references for the purpose {id}: {known}, under any names"
                ),
            ),
        }
    }
}
