//! UpdateSyncedSecret: changes what is asked for.

use std::collections::BTreeMap;

use super::{
    Call, Cause, Error, Mode, NewReference, Secrets, check,
    create::{StoringFailed, accept, describe, names_to_create},
};
use crate::{
    model::{self, Reference, State, SyncedSecret, SyncedSecretId},
    reconcile::Wake,
    store::Record,
};

/// What is to change; what is absent stays.
#[derive(Debug)]
pub struct Changes {
    /// Of which synced secret.
    pub id: SyncedSecretId,
    /// The state that the caller saw; any where empty.
    pub etag: String,
    /// For people.
    pub description: Option<String>,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// All references.
    pub references: Option<Vec<NewReference>>,
}

impl Secrets {
    /// Changes what is asked for, and syncs it.
    pub async fn update_synced_secret(
        &self,
        call: Call,
        changes: Changes,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let this = self.clone();
        let updated = self.to_the_end(async move { this.update(call, changes, mode).await }).await;
        updated.map_err(|error| error.within("synced_secret"))
    }

    async fn update(&self, call: Call, mut changes: Changes, mode: Mode) -> Result<SyncedSecret, Error> {
        if let Some(recorded) = self.replayed(&call).await? {
            return self.update_again(call, recorded, changes, mode).await;
        }
        let record = self.find_managed(&changes.id)?;
        if record.secret.state == State::Deleting {
            return Err(Cause::Deleting(changes.id).into());
        }
        check_etag(&record, &changes.etag)?;
        let reads = self.0.reconciler.reads();
        let references = changes.references.take().unwrap_or_else(|| held(&record));
        self.check_keys_kept(&call, &record, &references).await?;
        let _reserved = self.reserve(names_to_create(&references)).map_err(Error::Refused)?;
        let engine = record.engine;
        let mut changed = record.as_ref().clone();
        change(&mut changed, &changes, &references);
        Error::refuse(self.check_engine(engine, &changed.secret))?;
        Error::refuse(self.check_references(engine, &references, &record.secret.references, &reads).await)?;
        if mode.validate_only {
            self.try_apply(engine, &changed.secret, &references, &reads, record.edge.uid.as_deref()).await?;
            return Ok(changed.secret);
        }
        if changed == *record {
            let mut transaction = self.0.store.begin().await?;
            self.note_request(&mut transaction, &call, &changed.secret).await?;
            transaction.commit().await?;
            return Ok(changed.secret);
        }
        if references.iter().any(|new| new.create.is_some()) {
            check::check_values(engine, &references, &reads).await?;
        }
        let creating = self.0.reconciler.creating(record.secret.uid);
        let secret = self.record_change(&call, &record, changed).await?;
        let recorded = Record { secret: secret.clone(), ..record.as_ref().clone() };
        let stored = self.store_references(&recorded, references, &reads, false).await;
        drop(creating);
        let failed = match stored {
            Ok(()) => None,
            Err(failed) => Some(self.change_failed(&call, &record, failed).await?),
        };
        self.0.reconciler.wake(record.secret.uid, Wake { refetch: Some(reads), interactive: true });
        match failed {
            Some(error) => Err(error),
            None => self.wait_for_generation(&call, secret, mode.wait).await,
        }
    }

    /// The same call again: goes on where the first one was interrupted.
    async fn update_again(
        &self,
        call: Call,
        recorded: SyncedSecret,
        changes: Changes,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let Some(record) = self.0.store.view().get_by_uid(recorded.uid) else {
            return Ok(recorded);
        };
        let interrupted = record.secret.generation == recorded.generation
            && record.secret.references.iter().any(|reference| reference.create_pending);
        if interrupted && let Some(references) = changes.references {
            let reads = self.0.reconciler.reads();
            let _reserved = self.reserve(names_to_create(&references)).map_err(Error::Refused)?;
            let creating = self.0.reconciler.creating(record.secret.uid);
            let stored = self.store_references(&record, references, &reads, true).await;
            drop(creating);
            self.0.reconciler.wake(record.secret.uid, Wake { refetch: Some(reads), interactive: true });
            stored.map_err(|failed| Error::Refused(failed.problems))?;
        }
        self.wait_for_generation(&call, recorded, mode.wait).await
    }

    async fn record_change(
        &self,
        call: &Call,
        before: &Record,
        changed: Record,
    ) -> Result<SyncedSecret, Error> {
        let mut transaction = self.0.store.begin().await?;
        let current = transaction.current(before.secret.uid);
        let Some(mut current) =
            current.filter(|current| current.secret.generation == before.secret.generation)
        else {
            return Err(Error::Stale(before.secret.name()));
        };
        let secret = &mut current.secret;
        secret.description = changed.secret.description;
        secret.labels = changed.secret.labels;
        secret.references = changed.secret.references;
        secret.generation += 1;
        secret.update_time = model::now();
        accept(secret);
        let secret = secret.clone();
        transaction.update(current).await?;
        self.note_request(&mut transaction, call, &secret).await?;
        let detail = format!("References: {}.", describe(&secret.references));
        transaction.audit(call.event("UpdateSyncedSecret", secret.name(), detail)).await?;
        transaction.commit().await?;
        Ok(secret)
    }

    /// Takes the change back where nothing came of it; else leaves it, for a retry to go on from.
    async fn change_failed(
        &self,
        call: &Call,
        before: &Record,
        failed: StoringFailed,
    ) -> Result<Error, Error> {
        if failed.nothing_stored {
            let mut transaction = self.0.store.begin().await?;
            if let Some(mut current) = transaction.current(before.secret.uid) {
                // A generation is never used twice: what was asked for before comes back under a new one.
                current.secret.generation += 1;
                current.secret.description.clone_from(&before.secret.description);
                current.secret.labels.clone_from(&before.secret.labels);
                current.secret.references.clone_from(&before.secret.references);
                transaction.update(current).await?;
            }
            if let Some(request) = &call.request {
                transaction.forget_request(request).await?;
            }
            let detail = "The vault refused; what was asked for before is asked for again.";
            transaction.audit(call.event("UpdateSyncedSecretUndone", before.secret.name(), detail)).await?;
            transaction.commit().await?;
        }
        Ok(Error::Refused(failed.problems))
    }
}

/// An etag that is given must be the current one.
pub(super) fn check_etag(record: &Record, etag: &str) -> Result<(), Error> {
    match etag.is_empty() || etag == record.secret.etag() {
        true => Ok(()),
        false => Err(Error::Stale(record.secret.name())),
    }
}

fn held(record: &Record) -> Vec<NewReference> {
    let same = |reference: &Reference| NewReference { reference: reference.clone(), create: None };
    record.secret.references.iter().map(same).collect()
}

/// Applies changes to a record; references that stay keep what is known of them.
fn change(record: &mut Record, changes: &Changes, references: &[NewReference]) {
    let secret = &mut record.secret;
    if let Some(description) = &changes.description {
        secret.description.clone_from(description);
    }
    if let Some(labels) = &changes.labels {
        secret.labels.clone_from(labels);
    }
    let keep = |new: &NewReference| {
        let held =
            secret.references.iter().find(|held| new.create.is_none() && held.asks_the_same(&new.reference));
        held.unwrap_or(&new.reference).clone()
    };
    secret.references = references.iter().map(keep).collect();
}
