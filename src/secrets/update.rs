//! UpdateSyncedSecret: changes the description, labels or references.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Call, Cause, Error, Mode, NewReference, Referable, Secrets, check,
    create::{accept, names_to_create},
    edit::{self, Given},
    encoding,
};
use crate::{
    model::{self, AuditAction, SecretKey, State, SyncedSecret, SyncedSecretId, mapping},
    reconcile::{Creating, SharedReads},
    store::{Record, StoreError},
};

/// The changes; absent fields stay as they are.
#[derive(Debug)]
pub struct Changes {
    /// Which synced secret.
    pub id: SyncedSecretId,
    /// The version that the caller read; empty for any.
    pub etag: String,
    /// For people.
    pub description: Option<String>,
    /// All labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// All references.
    pub references: Option<Vec<NewReference>>,
    /// References to add, or to put in the place of those with the same key; not together with all.
    pub set_references: Vec<NewReference>,
    /// Keys of references to remove; not together with all.
    pub remove_keys: Vec<SecretKey>,
    /// The vault secrets that they may newly reference.
    pub referable: Referable,
}

/// Attempts of a change without an etag that conflicts with other calls. Each conflict means that another call
/// succeeded, so this many may change one synced secret at the same time.
const ATTEMPTS: u32 = 64;

/// The result of a change that was accepted.
enum Accepted {
    /// There was nothing to record: the synced secret as it is or would be.
    Nothing(Box<SyncedSecret>),
    /// It is recorded.
    Recorded {
        before: Arc<Record>,
        recorded: Box<Record>,
        /// Held while its new vault secrets are stored.
        creating: Option<Creating>,
    },
}

impl Secrets {
    /// Records the changes and syncs them.
    pub async fn update_synced_secret(
        &self,
        call: Call,
        changes: Changes,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let is_edit = !changes.set_references.is_empty() || !changes.remove_keys.is_empty();
        let updated = self
            .run_to_completion(call, async move |this, call| this.update(call, changes, mode).await)
            .await;
        updated.map_err(|error| match is_edit {
            true => edit::within_request(error),
            false => error.within("synced_secret"),
        })
    }

    async fn update(&self, call: Call, mut changes: Changes, mode: Mode) -> Result<SyncedSecret, Error> {
        let mut given = changes.take_references();
        if let Some(recorded) = self.replayed(&call).await? {
            return self.update_again(call, recorded, given.new, mode).await;
        }
        let reads = self.0.reconciler.shared_reads(self.vault());
        if let Ok(record) = self.find_managed(&changes.id) {
            encoding::resolve(record.engine, &mut given.new, &record.secret.references, &reads).await;
        }
        let _reserved = self.reserve(names_to_create(&given.new)).map_err(Error::Refused)?;
        let mut attempts = 1;
        let accepted = loop {
            match self.accept_change(&call, &changes, &mut given, &reads, mode).await {
                // Without an etag, a concurrent change is no reason to refuse this one.
                Err(Error::Stale(_)) if changes.etag.is_empty() && attempts < ATTEMPTS => attempts += 1,
                accepted => break accepted?,
            }
        };
        let (before, recorded, creating) = match accepted {
            Accepted::Nothing(secret) => return Ok(*secret),
            Accepted::Recorded { before, recorded, creating } => (before, recorded, creating),
        };
        let (generation, is_edit) = (recorded.secret.generation, given.is_edit());
        let stored = self.store_references(&recorded, generation, given.new, &reads, false).await;
        if let Err(failed) = &stored
            && failed.nothing_stored
        {
            self.withdraw_change(&call, &before, &recorded, is_edit).await?;
        }
        drop(creating);
        self.sync_stored(&call, recorded.secret, stored, reads, mode).await
    }

    /// Checks a change against the current synced secret and records it.
    async fn accept_change(
        &self,
        call: &Call,
        changes: &Changes,
        given: &mut Given,
        reads: &SharedReads,
        mode: Mode,
    ) -> Result<Accepted, Error> {
        let record = self.find_managed(&changes.id)?;
        if record.secret.state == State::Deleting {
            return Err(Cause::Deleting(changes.id.clone()).into());
        }
        check_etag(&record, &changes.etag)?;
        let merged = given.merge(&record)?;
        let may_change = given.changes_references();
        let accepted =
            self.accept_merged(call, changes, record, (&merged.references, may_change), reads, mode);
        let accepted = accepted.await.map_err(|error| given.in_request(error, &merged));
        given.take_back(merged);
        accepted
    }

    /// The same, with all references as the change would leave them, and whether it may change them.
    async fn accept_merged(
        &self,
        call: &Call,
        changes: &Changes,
        record: Arc<Record>,
        (references, may_change): (&[NewReference], bool),
        reads: &SharedReads,
        mode: Mode,
    ) -> Result<Accepted, Error> {
        let requested = references.iter().map(|new| &new.reference);
        changes.referable.check(&record.secret, requested, &record.secret.references)?;
        self.check_keys_kept(call, &record, references).await?;
        let (engine, held) = (record.engine, &record.secret.references);
        let mut changed = record.as_ref().clone();
        change(&mut changed, changes, references);
        self.check_labels_added(&changed.secret.labels, &record.secret.labels)?;
        if may_change {
            self.check_keys_of_type(&changed.secret)?;
        }
        Error::refuse(self.check_engine(engine, &changed.secret))?;
        // Where they become other keys than before, what was fine may not be.
        let is_alike = changed.secret.contents() == record.secret.contents();
        let unchanged = if is_alike { held.as_slice() } else { &[] };
        let given_for = (&record.secret.secret_type, references);
        Error::refuse(self.check_references(engine, given_for, unchanged, reads).await)?;
        if mode.validate_only {
            let (references, uid) = ((references, held.as_slice()), record.edge.uid.as_deref());
            self.try_apply(engine, &changed.secret, references, reads, uid).await?;
            return Ok(Accepted::Nothing(Box::new(changed.secret)));
        }
        let creates = references.iter().any(|new| new.create.is_some());
        // New values must be stored even if the recorded references are equal: an earlier call may have been
        // cut off.
        // Where another call's values are just being stored, that call may still be taken back, and with it what this one would
        // only have confirmed.
        let is_settled = !self.0.reconciler.is_creating(record.secret.uid);
        if changed == *record && !creates && is_settled {
            let mut transaction = self.0.store.begin().await?;
            self.note_request(&mut transaction, call, &changed.secret).await?;
            transaction.commit().await?;
            return Ok(Accepted::Nothing(Box::new(changed.secret)));
        }
        if creates {
            check::check_values(engine, &record.secret.secret_type, (references, held), reads).await?;
        }
        let creating = creates.then(|| self.0.reconciler.creating(record.secret.uid));
        let recorded = self.record_change(call, &record, changes, references).await?;
        Ok(Accepted::Recorded { before: record, recorded: Box::new(recorded), creating })
    }

    /// A retry of the call: continues where the first one was interrupted.
    async fn update_again(
        &self,
        call: Call,
        recorded: SyncedSecret,
        given: Vec<NewReference>,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let Some(record) = self.0.store.view().get_by_uid(recorded.uid) else {
            return Ok(recorded);
        };
        self.store_again(&record, recorded.generation, given).await?;
        self.wait_for_generation(&call, recorded, mode.wait).await
    }

    async fn record_change(
        &self,
        call: &Call,
        read: &Record,
        changes: &Changes,
        references: &[NewReference],
    ) -> Result<Record, Error> {
        let stale = || Error::Stale(read.secret.name());
        let mut transaction = self.0.store.begin().await?;
        let mut current = transaction.current(read.secret.uid).ok_or_else(stale)?;
        // It was checked for the other engine.
        if current.engine != read.engine {
            return Err(stale());
        }
        current.note_request(call.begun);
        // Keep what was observed since it was read.
        change(&mut current, changes, references);
        let secret = &mut current.secret;
        secret.generation = read.secret.generation + 1;
        secret.update_time = model::now();
        accept(secret);
        match transaction.change(read.secret.generation, current.clone()).await {
            Err(StoreError::Stale) => return Err(stale()),
            changed => changed?,
        }
        let secret = &current.secret;
        self.note_request(&mut transaction, call, secret).await?;
        let detail = format!("References: {}.", mapping(&secret.references));
        transaction.audit(call.event(AuditAction::UpdateSyncedSecret, secret.name(), detail)).await?;
        transaction.commit().await?;
        Ok(current)
    }

    /// Withdraws what this call recorded, because the vault refused all of it. If another call has changed it
    /// since, an edit takes back the keys that it added without their values only; all else stays, and missing
    /// values are reported as ValueNotStored.
    async fn withdraw_change(
        &self,
        call: &Call,
        before: &Record,
        recorded: &Record,
        is_edit: bool,
    ) -> Result<(), Error> {
        let mut transaction = self.0.store.begin().await?;
        self.forget(&mut transaction, call).await?;
        let Some(mut current) = transaction.current(before.secret.uid) else {
            return Ok(transaction.commit().await?);
        };
        let is_changed_since = current.secret.generation != recorded.secret.generation;
        let undone = match is_changed_since {
            false => Some(before.secret.references.clone()),
            true if is_edit => edit::without_refused(&before.secret, &recorded.secret, &current.secret),
            true => None,
        };
        let Some(undone) = undone else {
            return Ok(transaction.commit().await?);
        };
        let read = current.secret.generation;
        let observed = std::mem::replace(&mut current.secret.references, undone);
        let secret = &mut current.secret;
        // A generation is never reused: the previous intent comes back with a new one.
        secret.generation = read + 1;
        if !is_changed_since {
            secret.description.clone_from(&before.secret.description);
            secret.labels.clone_from(&before.secret.labels);
        }
        for reference in &mut secret.references {
            if let Some(held) = observed.iter().find(|held| held.has_same_spec(reference)) {
                reference.status.clone_from(&held.status);
            }
        }
        if secret.state.is_settled() {
            accept(secret);
        }
        transaction.change(read, current).await?;
        let detail = match is_changed_since {
            false => "The vault refused the write; the synced secret is as it was before the update.",
            true => {
                "The vault refused the write; the keys that this update added are gone again, and all else \
                 stays, because it was changed since."
            }
        };
        let event = call.event(AuditAction::UpdateSyncedSecretUndone, before.secret.name(), detail);
        transaction.audit(event).await?;
        Ok(transaction.commit().await?)
    }
}

impl Changes {
    fn take_references(&mut self) -> Given {
        let (set, remove) = (&mut self.set_references, &mut self.remove_keys);
        Given::of(self.references.take(), std::mem::take(set), std::mem::take(remove))
    }
}

/// An error if an etag is given and is not the current one.
pub(super) fn check_etag(record: &Record, etag: &str) -> Result<(), Error> {
    match etag.is_empty() || etag == record.secret.etag() {
        true => Ok(()),
        false => Err(Error::Stale(record.secret.name())),
    }
}

/// Applies changes to a record; unchanged references keep their status.
fn change(record: &mut Record, changes: &Changes, references: &[NewReference]) {
    let secret = &mut record.secret;
    if let Some(description) = &changes.description {
        secret.description.clone_from(description);
    }
    if let Some(labels) = &changes.labels {
        secret.labels.clone_from(labels);
    }
    let keep = |new: &NewReference| {
        if new.create.is_some() {
            return new.recorded_with(secret.generation + 1);
        }
        let held = secret.references.iter().find(|held| held.has_same_spec(&new.reference));
        held.unwrap_or(&new.reference).clone()
    };
    let kept = references.iter().map(keep).collect();
    encoding::note(secret, references);
    secret.references = kept;
}
