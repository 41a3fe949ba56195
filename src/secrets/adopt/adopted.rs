//! What is recorded of an adopted object, and which objects can't be adopted.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Adoption;
use crate::{
    edge::{Adoptable, AdoptableSync, ForeignKey, UID_LABEL, engine::ADOPTING, is_reserved},
    model::{
        self, ConditionType, Origin, Reason, Reference, ReferenceStatus, SecretType, State, SyncedSecret,
        SyncedSecretId,
    },
    secrets::{Cause, Error, NewReference, Problem, create::accept, encoding},
    store::{EdgeRecord, Record},
};

/// What is adopted, as it will be recorded.
pub(super) struct Adopted {
    pub(super) record: Record,
    /// The keys of the Secret.
    pub(super) keys: BTreeSet<String>,
    /// The labels that others have set.
    pub(super) labels: BTreeMap<String, String>,
}

/// Adopts another tool's SecretSync in place: the extension keeps writing the Secret.
pub(super) fn adopt_secret_sync(
    mirrored: &Record,
    uid: Uuid,
    given: Vec<NewReference>,
    there: AdoptableSync,
) -> Result<Adopted, Error> {
    let mut keys: BTreeSet<String> = there.keys.iter().map(|key| key.key.clone()).collect();
    let mut labels = there.labels;
    let mut record = mirrored.clone();
    record.secret.uid = uid;
    record.secret.generation = record.secret.generation.max(there.generation.unwrap_or_default());
    let id = record.secret.id.clone();
    if let Some(owner) = there.owner {
        return Err(Cause::Owned { id, owner }.into());
    }
    if let Some(secret) = there.secret {
        if !secret.is_owned {
            let rule = format!(
                "the Kubernetes Secret {:?} was not created by the SecretSync of the same name; delete one \
                 of the two first",
                id.as_str()
            );
            return Err(Error::invalid("name", rule));
        }
        if given.is_empty() {
            let beside = secret.keys.difference(&keys).map(|key| beside(key)).collect();
            Error::refuse(beside)?;
        }
        keys.extend(secret.keys);
        labels.extend(secret.labels);
        // It may have been created by hand and merged into since: it is adopted as it is.
        record.edge.uid = Some(secret.uid);
    }
    record.adopted = Some(there.uid);
    record.secret.secret_type = secret_type(&there.secret_type)?;
    if !given.is_empty() {
        encoding::note(&mut record.secret, &given);
    }
    record.secret.references = match given.is_empty() {
        true => equivalent_references(there.keys)?,
        false => given.into_iter().map(|new| new.reference).collect(),
    };
    let secret = &mut record.secret;
    for reference in &mut secret.references {
        reference.status = ReferenceStatus::default();
    }
    secret.labels.retain(|label, _| !is_reserved(label));
    become_managed(secret);
    Ok(Adopted { record, keys, labels })
}

/// The references that are equivalent to the keys, if there is one for each key; otherwise a problem for each
/// key without one.
fn equivalent_references(keys: Vec<ForeignKey>) -> Result<Vec<Reference>, Error> {
    let obstacles = keys.iter().filter_map(|key| key.obstacle.as_ref());
    let problems = obstacles.map(|obstacle| Problem::invalid("references", obstacle)).collect();
    Error::refuse(problems)?;
    Ok(keys.into_iter().filter_map(|key| key.reference).collect())
}

/// A key of the Secret that neither a reference nor an entry of its SecretSync covers.
fn beside(key: &str) -> Problem {
    let rule = format!(
        "Key {key:?}: the Kubernetes Secret has it, but its SecretSync does not. Give a reference for each \
         key when you adopt this, or remove the key from the Secret."
    );
    Problem::invalid("references", rule)
}

/// Adopts a Kubernetes Secret without a SecretSync.
pub(super) fn adopt_plain_secret(adoption: Adoption, uid: Uuid, there: Adoptable) -> Result<Adopted, Error> {
    check_plain_secret(&adoption.id, &there)?;
    let mut secret = SyncedSecret {
        secret_type: secret_type(&there.secret_type)?,
        // Its earlier life had generations, too, and a generation is never reused.
        generation: there.generation.unwrap_or_default(),
        ..SyncedSecret::new(adoption.id, uid, Origin::Managed, model::now())
    };
    encoding::note(&mut secret, &adoption.references);
    secret.references = adoption.references.into_iter().map(|new| new.reference).collect();
    become_managed(&mut secret);
    let mut record = Record::new(secret, ADOPTING);
    record.edge.uid = Some(there.uid);
    Ok(Adopted { record, keys: there.keys, labels: there.labels })
}

/// Lets a managed synced secret take over another tool's Kubernetes Secret of the same name.
pub(super) fn adopt_conflicting(
    conflicting: &Record,
    given: Vec<NewReference>,
    there: Adoptable,
) -> Result<Adopted, Error> {
    check_plain_secret(&conflicting.secret.id, &there)?;
    if there.label.as_ref().is_some_and(|label| *label != conflicting.secret.uid.to_string()) {
        let rule = format!(
            "its Kubernetes Secret carries the uid of another synced secret; remove the label {UID_LABEL} \
             from it first"
        );
        return Err(Error::invalid("name", rule));
    }
    let mut secret = conflicting.secret.clone();
    secret.secret_type = secret_type(&there.secret_type)?;
    if !given.is_empty() {
        encoding::note(&mut secret, &given);
        secret.references = given.into_iter().map(|new| new.reference).collect();
    }
    become_managed(&mut secret);
    let mut record = Record { secret, engine: ADOPTING, delegation: None, ..conflicting.clone() };
    record.edge = EdgeRecord { uid: Some(there.uid), ..EdgeRecord::default() };
    Ok(Adopted { record, keys: there.keys, labels: there.labels })
}

/// Whether a Secret can be adopted as it is.
fn check_plain_secret(id: &SyncedSecretId, there: &Adoptable) -> Result<(), Error> {
    if let Some(owner) = &there.owner {
        return Err(Cause::Owned { id: id.clone(), owner: owner.clone() }.into());
    }
    if there.immutable {
        let rule = "its Kubernetes Secret is immutable and can never receive a new version; delete it, then \
            create the synced secret with the same keys";
        return Err(Error::invalid("name", rule));
    }
    if there.unknown_keys > 0 {
        let rule = format!(
            "{} of the keys of its Kubernetes Secret can't be listed without reading values, because \
             Kubernetes does not record who wrote them; apply the Secret again with the tool that created \
             it, then adopt it",
            there.unknown_keys
        );
        return Err(Error::invalid("name", rule));
    }
    Ok(())
}

fn secret_type(text: &str) -> Result<SecretType, Error> {
    text.parse().map_err(|error| Error::invalid("name", error))
}

/// Whether a managed synced secret conflicts with another tool's object of the same name.
pub(super) fn is_in_conflict(record: &Record) -> bool {
    record.secret.state != State::Deleting
        && record.secret.has_reason(ConditionType::Synced, Reason::EdgeConflict)
}

fn become_managed(secret: &mut SyncedSecret) {
    secret.origin = Origin::Managed;
    secret.update_time = model::now();
    secret.generation += 1;
    secret.synced_generation = 0;
    secret.sync_time = None;
    accept(secret);
}
