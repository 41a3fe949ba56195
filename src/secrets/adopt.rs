//! AdoptSyncedSecret: takes over an object of another tool as it is. The Secret keeps its uid and content and
//! exists all the time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{Call, Cause, Error, NewReference, Problem, Referable, Secrets, create::accept};
use crate::{
    edge::{
        Adoptable, AdoptableSync, ForeignKey, UID_LABEL,
        engine::{ADOPTING, AdoptableObject, reads_values},
        is_reserved,
    },
    model::{
        self, AuditAction, ConditionType, Origin, Reason, Reference, ReferenceStatus, SecretType, State,
        SyncEngine, SyncedSecret, SyncedSecretId, mapping,
    },
    reconcile::{EnqueueOptions, SharedReads},
    store::{EdgeRecord, Record},
};

/// What to adopt, and where its keys come from.
#[derive(Debug)]
pub struct Adoption {
    /// The name of the Kubernetes Secret.
    pub id: SyncedSecretId,
    /// Required if the edge does not record where the keys come from; empty to use what the edge records.
    pub references: Vec<NewReference>,
    /// The vault secrets that the caller may reference.
    pub referable: Referable,
}

/// What is adopted, as it will be recorded.
struct Adopted {
    record: Record,
    /// The keys of the Secret.
    keys: BTreeSet<String>,
    /// The labels that others have set.
    labels: BTreeMap<String, String>,
}

impl Secrets {
    /// Adopts a SecretSync or a Kubernetes Secret of another tool, or a Secret that conflicts with a managed
    /// synced secret. What is managed already stays as it is.
    pub async fn adopt_synced_secret(
        &self,
        call: Call,
        adoption: Adoption,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        self.run_to_completion(call, async move |this, call| this.adopt(call, adoption, validate_only).await)
            .await
    }

    async fn adopt(
        &self,
        call: Call,
        adoption: Adoption,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        if let Some(recorded) = self.replayed(&call).await? {
            return Ok(self.latest(recorded));
        }
        let referable = adoption.referable.clone();
        let seen = self.0.store.view().get(&adoption.id);
        // Adopting what is managed already takes nothing away from anyone.
        if !seen.as_ref().is_some_and(|seen| seen.secret.origin == Origin::Managed && !is_in_conflict(seen)) {
            Error::refuse(self.reserved("name", &adoption.id).into_iter().collect())?;
        }
        let engine = self.0.reconciler.engine()?;
        let Adopted { record, keys, labels } = match &seen {
            Some(record) if record.secret.origin == Origin::Unmanaged => {
                match self.adoptable(engine, record).await? {
                    AdoptableObject::SecretSync(there) => {
                        let uid = self.uid_of(there.label.as_deref()).await?.unwrap_or(record.secret.uid);
                        adopt_secret_sync(record, uid, adoption.references, there)?
                    }
                    AdoptableObject::Secret(there) => {
                        let uid = self.uid_of(there.label.as_deref()).await?.unwrap_or_else(Uuid::now_v7);
                        adopt_plain_secret(adoption, uid, there)?
                    }
                }
            }
            Some(record) if record.secret.state == State::Deleting => {
                return Err(Cause::Deleting(adoption.id).into());
            }
            Some(record) if !is_in_conflict(record) => {
                return self.adopted_already(&call, &adoption, record, validate_only).await;
            }
            _ => {
                let there = self.0.edge.adoptable(&adoption.id, reads_values(engine)).await?;
                match (&seen, there) {
                    (Some(record), Some(there)) => adopt_conflicting(record, adoption.references, there)?,
                    // The conflicting object is gone or is not a Secret: the reconciler finds out.
                    (Some(record), None) => {
                        self.0
                            .reconciler
                            .enqueue(record.secret.uid, EnqueueOptions { refetch: None, interactive: true });
                        return self.adopted_already(&call, &adoption, record, validate_only).await;
                    }
                    (None, Some(there)) => {
                        let uid = self.uid_of(there.label.as_deref()).await?.unwrap_or_else(Uuid::now_v7);
                        adopt_plain_secret(adoption, uid, there)?
                    }
                    (None, None) => return Err(self.absent(&adoption.id)),
                }
            }
        };
        // The SecretSync may name other vault secrets now than when the call was authorized.
        referable.check(&record.secret, &record.secret.references, &[])?;
        let secret_type = &record.secret.secret_type;
        let is_ours = |seen: &&Arc<Record>| seen.secret.origin == Origin::Managed;
        let had = seen.as_ref().filter(is_ours).map(|seen| &seen.secret.secret_type);
        self.check_adoptable(Some(secret_type).filter(|found| had != Some(*found)), &labels)?;
        let reads = self.0.reconciler.shared_reads(self.vault());
        let class_is_new = seen.as_ref().is_none_or(|seen| seen.secret.origin == Origin::Unmanaged);
        self.check_adoption(engine, &record, &keys, class_is_new, &reads).await?;
        if validate_only {
            return Ok(record.secret);
        }
        let secret = self.record_adoption(&call, record, seen.as_deref()).await?;
        self.0.reconciler.enqueue(secret.uid, EnqueueOptions { refetch: None, interactive: true });
        Ok(secret)
    }

    /// Leaves a managed synced secret as it is. An error if the call asks for other references: that would be
    /// an update.
    async fn adopted_already(
        &self,
        call: &Call,
        adoption: &Adoption,
        record: &Record,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        let secret = &record.secret;
        let is_held =
            |new: &NewReference| secret.references.iter().any(|held| held.has_same_spec(&new.reference));
        let asked = &adoption.references;
        if !asked.is_empty() && (asked.len() != secret.references.len() || !asked.iter().all(is_held)) {
            return Err(Cause::SyncedSecretExists(secret.id.clone()).into());
        }
        if !validate_only {
            let mut transaction = self.0.store.begin().await?;
            self.note_request(&mut transaction, call, secret).await?;
            transaction.commit().await?;
        }
        Ok(secret.clone())
    }

    /// The uid label of the adopted object, if it names a synced secret that the database does not know. The
    /// object keeps that uid, because the service never writes an object that carries another uid.
    async fn uid_of(&self, label: Option<&str>) -> Result<Option<Uuid>, Error> {
        let Some(label) = label else { return Ok(None) };
        if self.0.reconciler.is_rebuilding() {
            return Err(Cause::Rebuilding.into());
        }
        let invalid_label = |said: &str| {
            let rule = format!("it {said}; remove the label {UID_LABEL} from it, then adopt it");
            Error::invalid("name", rule)
        };
        let uid = label.parse().map_err(|_| invalid_label("carries a uid label that is not a uid"))?;
        if let Some(known) = self.0.store.view().get_by_uid(uid) {
            return Err(invalid_label(&format!(
                "carries the uid of the synced secret {:?}",
                known.secret.id.as_str()
            )));
        }
        match self.0.store.deleted(uid).await? {
            Some(_) => Err(invalid_label("carries the uid of a synced secret that was deleted")),
            None => Ok(Some(uid)),
        }
    }

    /// The current object: the imported state may be outdated, and adoption must not lose a key.
    async fn adoptable(&self, engine: SyncEngine, mirrored: &Record) -> Result<AdoptableObject, Error> {
        let writer = self.0.reconciler.engine_of(mirrored.engine);
        let there = writer.adoptable(&mirrored.secret.id, reads_values(engine)).await?;
        let there = there.filter(|there| there.uid() == mirrored.secret.uid.to_string());
        there.ok_or_else(|| Error::Stale(mirrored.secret.name()))
    }

    /// An adopted Secret must keep exactly its keys, and their vault secrets must exist.
    async fn check_adoption(
        &self,
        engine: SyncEngine,
        record: &Record,
        keys: &BTreeSet<String>,
        class_is_new: bool,
        reads: &SharedReads,
    ) -> Result<(), Error> {
        let secret = &record.secret;
        let given: BTreeSet<String> =
            secret.references.iter().map(|reference| reference.key.to_string()).collect();
        if given != *keys {
            let all = keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let rule = format!("give one reference for each key of the Secret, and no other: {all}");
            return Err(Error::invalid("references", rule));
        }
        let mut problems = self.check_engine(engine, secret);
        if class_is_new {
            let class = self.0.reconciler.engine_of(engine).check_adopted_name(&secret.id, secret.uid).await;
            problems.extend(class.err().map(|error| Problem::new("name", Cause::Edge(error))));
        }
        let references: Vec<_> = secret
            .references
            .iter()
            .map(|reference| NewReference { reference: reference.clone(), create: None })
            .collect();
        problems.extend(self.check_references(engine, &references, &[], reads).await);
        Error::refuse(problems)
    }

    async fn record_adoption(
        &self,
        call: &Call,
        mut record: Record,
        seen: Option<&Record>,
    ) -> Result<SyncedSecret, Error> {
        self.0.reconciler.note_use(&mut record.secret);
        record.ask(call.begun);
        let secret = record.secret.clone();
        let mut transaction = self.0.store.begin().await?;
        match seen {
            // It continues as the synced secret whose uid label it carries.
            Some(seen) if seen.secret.uid != secret.uid => {
                if !transaction.remove_unmanaged(seen.secret.uid).await? {
                    return Err(Error::Stale(secret.name()));
                }
                transaction.insert(record).await?;
            }
            Some(seen) => {
                let current = transaction.current(secret.uid);
                let current = current.filter(|current| {
                    let (current, seen) = (&current.secret, &seen.secret);
                    (current.origin, current.generation) == (seen.origin, seen.generation)
                        && current.state != State::Deleting
                });
                let Some(current) = current else { return Err(Error::Stale(secret.name())) };
                // Keep what other calls have requested in the meantime.
                record.sync_requests = current.sync_requests;
                record.synced_requests = current.synced_requests;
                record.asked = record.asked.max(current.asked);
                transaction.change(seen.secret.generation, record).await?;
            }
            None => transaction.insert(record).await?,
        }
        self.note_request(&mut transaction, call, &secret).await?;
        let detail = format!("References: {}.", mapping(&secret.references));
        transaction.audit(call.event(AuditAction::AdoptSyncedSecret, secret.name(), detail)).await?;
        transaction.commit().await?;
        Ok(secret)
    }
}

/// Adopts another tool's SecretSync in place: the extension keeps writing the Secret.
fn adopt_secret_sync(
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
         key when you \
         adopt this, or remove the key from the Secret."
    );
    Problem::invalid("references", rule)
}

/// Adopts a Kubernetes Secret without a SecretSync.
fn adopt_plain_secret(adoption: Adoption, uid: Uuid, there: Adoptable) -> Result<Adopted, Error> {
    check_plain_secret(&adoption.id, &there)?;
    let references: Vec<Reference> = adoption.references.into_iter().map(|new| new.reference).collect();
    let mut secret = SyncedSecret {
        secret_type: secret_type(&there.secret_type)?,
        references,
        // Its earlier life had generations, too, and a generation is never reused.
        generation: there.generation.unwrap_or_default(),
        ..SyncedSecret::new(adoption.id, uid, Origin::Managed, model::now())
    };
    become_managed(&mut secret);
    let mut record = Record::new(secret, ADOPTING);
    record.edge.uid = Some(there.uid);
    Ok(Adopted { record, keys: there.keys, labels: there.labels })
}

/// Lets a managed synced secret take over another tool's Kubernetes Secret of the same name.
fn adopt_conflicting(
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
            create the synced \
                    secret with the same keys";
        return Err(Error::invalid("name", rule));
    }
    if there.unknown_keys > 0 {
        let rule = format!(
            "{} of the keys of its Kubernetes Secret can't be listed without reading values, because \
             Kubernetes does not record \
             who wrote them; apply the Secret again with the tool that created it, then adopt it",
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
fn is_in_conflict(record: &Record) -> bool {
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
