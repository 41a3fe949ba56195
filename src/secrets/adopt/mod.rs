//! AdoptSyncedSecret: takes over an object of another tool as it is. The Secret keeps its uid and content and
//! exists all the time.

mod adopted;

use std::{collections::BTreeSet, sync::Arc};

use uuid::Uuid;

use super::{Call, Cause, Error, NewReference, Problem, Referable, Secrets, encoding};
use crate::{
    edge::{
        UID_LABEL,
        engine::{AdoptableObject, reads_values},
    },
    model::{AuditAction, Origin, State, SyncEngine, SyncedSecret, SyncedSecretId, mapping},
    reconcile::{EnqueueOptions, SharedReads},
    store::Record,
};
use adopted::{Adopted, adopt_conflicting, adopt_plain_secret, adopt_secret_sync, is_in_conflict};

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
        mut adoption: Adoption,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        if let Some(recorded) = self.replayed(&call).await? {
            return Ok(self.latest(recorded));
        }
        let referable = adoption.referable.clone();
        let cached = self.0.store.view().get(&adoption.id);
        // Adopting what is managed already takes nothing away from anyone.
        if !cached
            .as_ref()
            .is_some_and(|cached| cached.secret.origin == Origin::Managed && !is_in_conflict(cached))
        {
            Error::refuse(self.foreign_name("name", &adoption.id).into_iter().collect())?;
        }
        let engine = self.0.reconciler.engine()?;
        let reads = self.0.reconciler.shared_reads(self.vault());
        let held = cached.as_ref().map(|cached| cached.secret.references.as_slice()).unwrap_or_default();
        encoding::resolve(engine, &mut adoption.references, held, &reads).await;
        let Adopted { record, keys, labels } = match &cached {
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
                match (&cached, there) {
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
        let is_ours = |cached: &&Arc<Record>| cached.secret.origin == Origin::Managed;
        let had = cached.as_ref().filter(is_ours).map(|cached| &cached.secret.secret_type);
        self.check_adoptable(Some(secret_type).filter(|found| had != Some(*found)), &labels)?;
        let class_is_new = cached.as_ref().is_none_or(|cached| cached.secret.origin == Origin::Unmanaged);
        self.check_adoption(engine, &record, &keys, class_is_new, &reads).await?;
        if validate_only {
            return Ok(record.secret);
        }
        let secret = self.record_adoption(&call, record, cached.as_deref()).await?;
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
        let requested = &adoption.references;
        if !requested.is_empty()
            && (requested.len() != secret.references.len() || !requested.iter().all(is_held))
        {
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
        let given: BTreeSet<String> = secret.data_keys().into_iter().map(ToString::to_string).collect();
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
        let references: Vec<_> =
            secret.references.iter().map(|reference| NewReference::of(reference.clone())).collect();
        problems.extend(self.check_references(engine, (&secret.secret_type, &references), &[], reads).await);
        Error::refuse(problems)
    }

    async fn record_adoption(
        &self,
        call: &Call,
        mut record: Record,
        cached: Option<&Record>,
    ) -> Result<SyncedSecret, Error> {
        self.0.reconciler.note_use(&mut record.secret);
        record.note_request(call.begun);
        let secret = record.secret.clone();
        let mut transaction = self.0.store.begin().await?;
        match cached {
            // It continues as the synced secret whose uid label it carries.
            Some(cached) if cached.secret.uid != secret.uid => {
                if !transaction.remove_unmanaged(cached.secret.uid).await? {
                    return Err(Error::Stale(secret.name()));
                }
                transaction.insert(record).await?;
            }
            Some(cached) => {
                let current = transaction.current(secret.uid);
                let current = current.filter(|current| {
                    let (current, cached) = (&current.secret, &cached.secret);
                    (current.origin, current.generation) == (cached.origin, cached.generation)
                        && current.state != State::Deleting
                });
                let Some(current) = current else { return Err(Error::Stale(secret.name())) };
                // Keep what other calls have requested in the meantime.
                record.sync_requests = current.sync_requests;
                record.synced_requests = current.synced_requests;
                record.requested_at = record.requested_at.max(current.requested_at);
                transaction.change(cached.secret.generation, record).await?;
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
