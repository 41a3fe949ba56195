//! Hands a synced secret over from one engine to the other. The current writer releases the Secret first,
//! without changing it.

use std::time::Duration;

use super::{
    Reconciler, SharedReads,
    failure::{explain, vault_retry},
    queue::Requeue,
    recording::event,
};
use crate::{
    edge::EdgeError,
    edge::engine::{Engine, Failure, Objection, Preparation, Released, Retry, extension_objection},
    model::{AuditAction, Encoding, Origin, Part, Reason, Reference, State, SyncEngine},
    store::{Record, StoreError},
    vault::Priority,
};

/// The progress of a release.
enum Progress {
    /// The current writer has not stopped yet. Check again after this time.
    Wait(Duration),
    Released(Released),
}

impl Reconciler {
    /// The engine that a synced secret must be handed over to, if any.
    pub(super) fn other_engine(&self, record: &Record) -> Option<SyncEngine> {
        let secret = &record.secret;
        let is_busy = secret.state == State::Deleting
            || secret.origin == Origin::Unmanaged
            || self.is_creating(secret.uid)
            || secret.references.iter().any(|reference| reference.create_pending);
        let engine = self.engine().ok().filter(|engine| !is_busy && *engine != record.engine)?;
        // Release nothing before the other engine can take it over.
        self.0.engines.of(engine).can_take_over().then_some(engine)
    }

    /// Releases the Secret from its engine. The other engine writes it in the next reconciliation.
    pub(super) async fn switch(&self, record: &Record, to: SyncEngine) -> Result<Requeue, StoreError> {
        match self.0.engines.of(to).check(&record.secret).into_iter().next() {
            None => {}
            Some(Objection::Field(violation)) => {
                return self.record_failure(record, unfit(&violation.message)).await;
            }
            Some(Objection::Engine(error)) => return self.record_failure(record, (&error).into()).await,
        }
        if let Some(failure) = self.objection_of_values(record, to).await {
            return self.record_failure(record, failure).await;
        }
        let Released { secret, must_rewrite } =
            match self.release(record, &self.0.engines.of(record.engine)).await? {
                Ok(Progress::Wait(pause)) => return Ok(Requeue::After(pause)),
                Ok(Progress::Released(released)) => released,
                Err(error) => return self.record_failure(record, (&error).into()).await,
            };
        self.record_switch(record, |current| {
            current.engine = to;
            current.delegation = None;
            // The other engine recognizes the Secret by its uid only.
            current.edge.uid = secret.map(|secret| secret.uid);
            current.edge.digest = None;
            if must_rewrite {
                current.adopted = None;
                // Forces one read and write of the values, even if the state is SYNCED.
                current.sync_requests += 1;
            }
        })
        .await
    }

    /// Why the other engine can't take what the references say out of their vault secrets.
    async fn objection_of_values(&self, record: &Record, to: SyncEngine) -> Option<Failure> {
        if to != SyncEngine::SecretStore {
            return None;
        }
        let reads = SharedReads::new(self.0.vault.clone(), Priority::Background);
        let is_plain =
            |reference: &&Reference| reference.part == Part::Whole && reference.encoding == Encoding::Utf8;
        for reference in record.secret.references.iter().filter(|reference| !is_plain(reference)) {
            let described = reads.describe(&reference.vault_secret, reference.version.as_ref()).await;
            let described = match described {
                Ok(described) => described,
                Err(error) => {
                    let (reason, message) = (error.condition_reason(), explain(&error));
                    let retry = vault_retry(&error, Retry::Later);
                    return Some(Failure { reason, message, problems: Vec::new(), retry });
                }
            };
            let latest = described.versions.first();
            if let Some(why) = latest.and_then(|latest| extension_objection(reference, &latest.secret)) {
                return Some(unfit(&why));
            }
        }
        None
    }

    /// Removes leftover objects through which the other engine would still write the Secret: a SecretSync
    /// that reappeared when its kind was installed again, or that a late write created. Does nothing if only
    /// an outdated watch shows them.
    pub(super) async fn remove_leftovers(&self, record: &Record) -> Result<Option<Requeue>, StoreError> {
        let Some(other) = self.0.engines.other_writer(record.engine, &record.secret) else { return Ok(None) };
        match other.has_leftovers(&self.target(record)).await {
            Ok(true) => {}
            // A kind that is not served at the moment causes no writes.
            Ok(false) | Err(_) => return Ok(None),
        }
        let released = match self.release(record, &other).await? {
            Ok(Progress::Wait(pause)) => return Ok(Some(Requeue::After(pause))),
            Ok(Progress::Released(released)) => released,
            Err(error) => return self.record_failure(record, (&error).into()).await.map(Some),
        };
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else {
            return Ok(Some(Requeue::Never));
        };
        current.edge.uid = released.secret.map(|secret| secret.uid);
        current.edge.digest = None;
        current.sync_requests += 1;
        transaction.update(current).await?;
        let detail = "A leftover SecretSync or SecretProviderClass had reappeared; the extension would have written the Secret through it.";
        transaction.audit(event(AuditAction::OrphanRemoved, record, detail)).await?;
        transaction.commit().await?;
        Ok(Some(Requeue::Now))
    }

    /// Stops the current writer of the Secret, then releases the Secret to the other engine.
    async fn release(
        &self,
        record: &Record,
        from: &Engine,
    ) -> Result<Result<Progress, EdgeError>, StoreError> {
        let own = match from.prepare_release(&self.target(record)).await {
            Ok(Preparation::Wait(pause)) => return Ok(Ok(Progress::Wait(pause))),
            Ok(Preparation::Ready(own)) => own,
            Err(error) => return Ok(Err(error)),
        };
        let mut known = record.clone();
        if own.is_some() && own != record.edge.uid {
            self.remember_secret(record, own.clone()).await?;
            known.edge.uid = own;
        }
        Ok(from.release(&self.target(&known)).await.map(Progress::Released))
    }

    async fn remember_secret(&self, record: &Record, uid: Option<String>) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(()) };
        current.edge.uid = uid;
        transaction.update(current).await?;
        transaction.commit().await
    }

    async fn record_switch(
        &self,
        record: &Record,
        change: impl FnOnce(&mut Record),
    ) -> Result<Requeue, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Requeue::Never) };
        // The other engine was asked about what it was then.
        if current.secret.generation != record.secret.generation {
            return Ok(Requeue::Now);
        }
        change(&mut current);
        let detail = format!("From {} to {}.", record.engine.as_str(), current.engine.as_str());
        transaction.update(current).await?;
        transaction.audit(event(AuditAction::EngineSwitched, record, &detail)).await?;
        transaction.commit().await?;
        Ok(Requeue::Now)
    }
}

fn unfit(message: &str) -> Failure {
    let message =
        format!("The Secret Store engine can't sync it: {message}. Change it with UpdateSyncedSecret.");
    Failure { reason: Reason::EdgeRejected, message, problems: Vec::new(), retry: Retry::Later }
}
