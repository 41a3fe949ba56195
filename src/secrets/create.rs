//! CreateSyncedSecret: checks, records, stores new vault secrets, and lets the reconciler apply it to the
//! edge.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    Call, Cause, Error, Mode, NewReference, NewSyncedSecret, Problem, Secrets, check, encoding,
    new_vault_secret::{Stored, may_have_been_stored},
};
use crate::{
    edge::EdgeError,
    model::{
        self, AuditAction, Condition, ConditionType, Origin, Reason, Reference, State, Status, SyncedSecret,
        VaultSecretName, mapping,
    },
    reconcile::{EnqueueOptions, SharedReads, ownership},
    store::{Record, StoreError},
};

/// Why storing the new vault secrets of a synced secret failed.
pub(super) struct StoringFailed {
    /// Every problem.
    pub(super) problems: Vec<Problem>,
    /// Whether nothing at all was stored, so that the intent can be withdrawn.
    pub(super) nothing_stored: bool,
}

impl Secrets {
    /// Records a synced secret, creates its new vault secrets, and syncs it.
    pub async fn create_synced_secret(
        &self,
        call: Call,
        new: NewSyncedSecret,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let created =
            self.run_to_completion(call, async move |this, call| this.create(call, new, mode).await).await;
        created.map_err(|error| error.within("synced_secret"))
    }

    async fn create(&self, call: Call, mut new: NewSyncedSecret, mode: Mode) -> Result<SyncedSecret, Error> {
        if let Some(recorded) = self.replayed(&call).await? {
            return self.create_again(call, recorded, new, mode).await;
        }
        self.check_admitted(&new)?;
        if let Some(taken) = self.0.store.view().get(&new.id) {
            return Err(name_taken(&taken));
        }
        let engine = self.0.reconciler.engine_soon().await?;
        let reads = self.0.reconciler.shared_reads(self.vault());
        encoding::resolve(engine, &mut new.references, &[], &reads).await;
        let mut secret = desired(&new);
        encoding::note(&mut secret, &new.references);
        self.check_keys_of_type(&secret)?;
        Error::refuse(self.check_engine(engine, &secret))?;
        let _reserved = self.reserve(names_to_create(&new.references)).map_err(Error::Refused)?;
        let (mut problems, edge) = tokio::join!(
            self.check_references(engine, (&new.secret_type, &new.references), &[], &reads),
            self.check_name(engine, &new.id)
        );
        problems.extend(edge.err().map(|error| Problem::new("synced_secret_id", Cause::Edge(error))));
        Error::refuse(problems)?;

        if mode.validate_only {
            self.try_apply(engine, &secret, (&new.references, &[]), &reads, None).await?;
            return Ok(SyncedSecret { uid: Uuid::nil(), ..secret });
        }
        check::check_values(engine, &new.secret_type, (&new.references, &[]), &reads).await?;
        let mut record = Record { requested_at: Some(call.begun), ..Record::new(secret, engine) };
        self.0.reconciler.note_use(&mut record.secret);
        let creating = self.0.reconciler.creating(record.secret.uid);
        self.record_intent(&call, &record).await?;
        let generation = record.secret.generation;
        let stored = self.store_references(&record, generation, new.references, &reads, false).await;
        if let Err(failed) = &stored
            && failed.nothing_stored
        {
            self.withdraw_creation(&call, &record).await?;
        }
        drop(creating);
        self.sync_stored(&call, record.secret, stored, reads, mode).await
    }

    /// Has a recorded change synced whose values were stored, or could not be, and waits for it.
    pub(super) async fn sync_stored(
        &self,
        call: &Call,
        secret: SyncedSecret,
        stored: Result<(), StoringFailed>,
        reads: Arc<SharedReads>,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let options = EnqueueOptions { refetch: Some(reads), interactive: true };
        self.0.reconciler.enqueue(secret.uid, options);
        stored.map_err(|failed| Error::Refused(failed.problems))?;
        self.wait_for_generation(call, secret, mode.wait).await
    }

    /// A retry of the call: continues where the first one was interrupted.
    async fn create_again(
        &self,
        call: Call,
        recorded: SyncedSecret,
        new: NewSyncedSecret,
        mode: Mode,
    ) -> Result<SyncedSecret, Error> {
        let Some(record) = self.0.store.view().get_by_uid(recorded.uid) else {
            return Ok(recorded);
        };
        self.store_again(&record, recorded.generation, new.references).await?;
        self.wait_for_generation(&call, record.secret.clone(), mode.wait).await
    }

    /// Stores what the interrupted call that recorded this generation has not stored yet.
    pub(super) async fn store_again(
        &self,
        record: &Record,
        generation: i64,
        references: Vec<NewReference>,
    ) -> Result<(), Error> {
        if record.secret.state == State::Deleting || !has_unstored(record, generation, &references) {
            return Ok(());
        }
        let reads = self.0.reconciler.shared_reads(self.vault());
        let _reserved = self.reserve(names_to_create(&references)).map_err(Error::Refused)?;
        let creating = self.0.reconciler.creating(record.secret.uid);
        self.record_attempt(record.secret.uid, generation, &references).await?;
        let stored = self.store_references(record, generation, references, &reads, true).await;
        drop(creating);
        self.0
            .reconciler
            .enqueue(record.secret.uid, EnqueueOptions { refetch: Some(reads), interactive: true });
        stored.map_err(|failed| Error::Refused(failed.problems))
    }

    /// Resets a settled state to pending: the missing values are being stored again, so `ValueNotStored` no
    /// longer holds.
    async fn record_attempt(
        &self,
        uid: Uuid,
        generation: i64,
        references: &[NewReference],
    ) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(uid) else { return Ok(()) };
        if !current.secret.state.is_settled() || !has_unstored(&current, generation, references) {
            return Ok(());
        }
        accept(&mut current.secret);
        transaction.update(current).await?;
        transaction.commit().await
    }

    async fn record_intent(&self, call: &Call, record: &Record) -> Result<(), Error> {
        let mut transaction = self.0.store.begin().await?;
        transaction.insert(record.clone()).await.map_err(|error| match error {
            StoreError::AlreadyExists => Cause::SyncedSecretExists(record.secret.id.clone()).into(),
            other => Error::from(other),
        })?;
        self.note_request(&mut transaction, call, &record.secret).await?;
        let detail = format!("References: {}.", mapping(&record.secret.references));
        transaction.audit(call.event(AuditAction::CreateSyncedSecret, record.secret.name(), detail)).await?;
        Ok(transaction.commit().await?)
    }

    /// Stores the new vault secrets of a synced secret one by one and records those that are known to be
    /// stored. One that can't be verified stays pending, and the reconciler checks it.
    pub(super) async fn store_references(
        &self,
        record: &Record,
        generation: i64,
        references: Vec<NewReference>,
        reads: &Arc<SharedReads>,
        may_be_stored: bool,
    ) -> Result<(), StoringFailed> {
        let (mut stored, mut problems, mut nothing_stored) = (Vec::new(), Vec::new(), true);
        for (place, new) in references.into_iter().enumerate() {
            let (Some(create), Some(waiting)) = (new.create, waiting(record, generation, &new.reference))
            else {
                continue;
            };
            let (name, tag) = (new.reference.vault_secret, ownership::tag_of(record.secret.uid, waiting));
            match self.store_new(&name, create, &tag, may_be_stored).await {
                Ok(Stored { unverified: Some(error), .. }) => {
                    nothing_stored = false;
                    let message = "can't verify the creation of a vault secret yet";
                    tracing::warn!(vault_secret = %name, %error, "{message}");
                }
                Ok(Stored { value, .. }) => {
                    nothing_stored = false;
                    if let Some(value) = value {
                        reads.put(name, value);
                    }
                    stored.push(waiting.clone());
                }
                Err(cause) => {
                    nothing_stored &= !may_have_been_stored(&cause);
                    problems.push(Problem::new(format!("references[{place}].create"), cause));
                }
            }
        }
        if let Err(error) = self.record_stored(record, &stored).await {
            // The reconciler finds out by the tag in the vault that they are stored.
            tracing::error!(%error, "failed to record which vault secrets were stored");
        }
        if problems.is_empty() { Ok(()) } else { Err(StoringFailed { problems, nothing_stored }) }
    }

    /// Records the stored references. A key that another call has changed meanwhile stays as that call
    /// recorded it.
    async fn record_stored(&self, record: &Record, stored: &[Reference]) -> Result<(), StoreError> {
        if stored.is_empty() {
            return Ok(());
        }
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(()) };
        let is_stored = |held: &&mut Reference| {
            held.create_pending && stored.iter().any(|stored| held.creates_the_same(stored))
        };
        let mut pending: Vec<_> = current.secret.references.iter_mut().filter(is_stored).collect();
        if pending.is_empty() {
            return Ok(());
        }
        pending.iter_mut().for_each(|reference| reference.create_pending = false);
        // The state was observed before these values were stored: waiting calls must wait for a new sync
        // attempt.
        if current.secret.state.is_settled() {
            accept(&mut current.secret);
        }
        transaction.update(current).await?;
        transaction.commit().await
    }

    /// Withdraws what this call recorded, because the vault refused all of it. If another call has changed it
    /// since, it stays, and its missing values are reported as ValueNotStored.
    async fn withdraw_creation(&self, call: &Call, record: &Record) -> Result<(), Error> {
        let mut transaction = self.0.store.begin().await?;
        self.forget(&mut transaction, call).await?;
        match transaction.remove(record).await {
            Err(StoreError::Stale) => {}
            removed => {
                removed?;
                let detail = "The vault refused the write; nothing was stored, and the synced secret was \
                    removed.";
                let event = call.event(AuditAction::CreateSyncedSecretUndone, record.secret.name(), detail);
                transaction.audit(event).await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}

/// The requested synced secret, before anything was done.
fn desired(new: &NewSyncedSecret) -> SyncedSecret {
    SyncedSecret {
        description: new.description.clone(),
        secret_type: new.secret_type.clone(),
        references: new.references.iter().map(|new| new.recorded_with(1)).collect(),
        labels: new.labels.clone(),
        conditions: vec![pending()],
        ..SyncedSecret::new(new.id.clone(), Uuid::now_v7(), Origin::Managed, model::now())
    }
}

/// The condition of a synced secret that was accepted and is not at the edge yet.
fn pending() -> Condition {
    let message = "Accepted; the edge does not hold it yet.";
    Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message)
}

/// Marks a synced secret as accepted and not at the edge yet.
pub(super) fn accept(secret: &mut SyncedSecret) {
    secret.state = State::Pending;
    secret.set_condition(pending());
}

/// The vault secrets to create, with the field that names each.
pub(super) fn names_to_create(
    references: &[NewReference],
) -> impl Iterator<Item = (String, &VaultSecretName)> {
    references
        .iter()
        .enumerate()
        .filter(|(_, new)| new.create.is_some())
        .map(|(place, new)| (format!("references[{place}].vault_secret"), &new.reference.vault_secret))
}

/// Whether a value of the call that recorded this generation is still to be stored.
fn has_unstored(record: &Record, generation: i64, references: &[NewReference]) -> bool {
    references.iter().any(|new| new.create.is_some() && waiting(record, generation, &new.reference).is_some())
}

/// The reference that waits for the value of the call that recorded this generation; none if a later call has
/// replaced it.
fn waiting<'a>(record: &'a Record, generation: i64, reference: &Reference) -> Option<&'a Reference> {
    record.secret.references.iter().find(|held| {
        held.create_pending
            && held.has_same_spec(reference)
            && (held.create_generation == generation || held.create_generation == 0)
    })
}

fn name_taken(record: &Record) -> Error {
    let id = record.secret.id.clone();
    match record.secret.state {
        _ if record.secret.origin == Origin::Unmanaged => {
            let conflict = EdgeError::Conflict { kind: "SecretSync".to_owned(), name: id.to_string() };
            Error::Refused(vec![Problem::new("synced_secret_id", Cause::Edge(conflict))])
        }
        State::Deleting => Cause::Deleting(id).into(),
        _ => Error::Refused(vec![Problem::new("synced_secret_id", Cause::SyncedSecretExists(id))]),
    }
}
