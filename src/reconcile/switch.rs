//! Brings a synced secret from one engine to the other: whoever writes its Secret hands it over first, as it is.

use std::time::Duration;

use super::{
    Reconciler,
    extension::known,
    queue::Outcome,
    worker::{Failure, Retry, edge_failure, event},
};
use crate::{
    edge::{
        EdgeError, Written,
        secret_store::{self, Known},
    },
    model::{AuditAction, Origin, Reason, State, SyncEngine},
    store::{Record, StoreError},
};

/// How far the extension's Secret has come on its way to this service.
enum Freed {
    /// The extension has not stopped yet; go on after this.
    Waits(Duration),
    /// It is ours alone, where there is one.
    Done(Option<Written>),
}

impl Reconciler {
    /// The engine that a synced secret is to get, where it is another than the one that it has.
    pub(super) fn other_engine(&self, record: &Record) -> Option<SyncEngine> {
        let secret = &record.secret;
        let is_busy = secret.state == State::Deleting
            || secret.origin == Origin::Unmanaged
            || self.is_creating(secret.uid)
            || secret.references.iter().any(|reference| reference.create_pending);
        let engine = self.engine().ok().filter(|engine| !is_busy && *engine != record.engine)?;
        // Nothing is let go of before there is somebody to take it over.
        (engine == SyncEngine::Direct || self.0.pairs.is_complete()).then_some(engine)
    }

    pub(super) async fn switch(&self, record: &Record, engine: SyncEngine) -> Result<Outcome, StoreError> {
        match engine {
            SyncEngine::SecretStore => self.over_to_the_extension(record).await,
            SyncEngine::Direct => self.back_from_the_extension(record).await,
        }
    }

    /// Lets go of the Secret's keys; the pair is written by the next look, in the other engine.
    async fn over_to_the_extension(&self, record: &Record) -> Result<Outcome, StoreError> {
        let secret = &record.secret;
        let references: Vec<_> = secret.references.iter().collect();
        if let Some(violation) = secret_store::violations(&references, &secret.labels).first() {
            return self.record_failure(record, unfit(&violation.message)).await;
        }
        if let Err(error) = self.pair(secret) {
            return self.record_failure(record, edge_failure(&error)).await;
        }
        let let_go = match self.0.edge.let_go(secret, record.edge.uid.as_deref()).await {
            Ok(let_go) => let_go,
            Err(error) => return self.record_failure(record, edge_failure(&error)).await,
        };
        self.record_switch(record, |current| {
            current.engine = SyncEngine::SecretStore;
            current.handed = None;
            // The other engine knows its Secret by nothing else.
            current.edge.uid = let_go.map(|secret| secret.uid);
            current.edge.digest = None;
        })
        .await
    }

    /// Halts the extension, sets the Secret free, removes the pair; the values are written by the next look.
    async fn back_from_the_extension(&self, record: &Record) -> Result<Outcome, StoreError> {
        let freed = match self.free(record).await? {
            Ok(Freed::Waits(pause)) => return Ok(Outcome::After(pause)),
            Ok(Freed::Done(freed)) => freed,
            Err(error) => return self.record_failure(record, edge_failure(&error)).await,
        };
        self.record_switch(record, |current| {
            current.engine = SyncEngine::Direct;
            current.handed = None;
            current.adopted = None;
            current.edge.uid = freed.map(|freed| freed.uid);
            current.edge.digest = None;
            // The values are read and written once, whatever the state says.
            current.sync_requests += 1;
        })
        .await
    }

    /// Whether the watch shows a pair of a synced secret that is in the direct engine.
    pub(super) fn shows_a_pair(&self, record: &Record) -> bool {
        let secret = &record.secret;
        record.engine == SyncEngine::Direct
            && secret.state != State::Deleting
            && self.0.pairs.carries(secret.id.as_str(), secret.uid)
    }

    /// Removes a pair that the extension would go on writing by: one that came back with its kinds, or that a late write made. Nothing where
    /// the watch is behind, and there is none.
    pub(super) async fn remove_left_pair(&self, record: &Record) -> Result<Option<Outcome>, StoreError> {
        match self.0.edge.has_labelled(&record.secret.id, record.secret.uid).await {
            Ok(true) => {}
            // What is not served at the moment writes nothing either.
            Ok(false) | Err(_) => return Ok(None),
        }
        let freed = match self.free(record).await? {
            Ok(Freed::Waits(pause)) => return Ok(Some(Outcome::After(pause))),
            Ok(Freed::Done(freed)) => freed,
            Err(error) => return self.record_failure(record, edge_failure(&error)).await.map(Some),
        };
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else {
            return Ok(Some(Outcome::Done));
        };
        current.edge.uid = freed.map(|freed| freed.uid);
        current.edge.digest = None;
        current.sync_requests += 1;
        transaction.update(current).await?;
        let detail =
            "A SecretSync or a class of it had come back, by which the extension would write its Secret.";
        transaction.audit(event(AuditAction::OrphanRemoved, record, detail)).await?;
        transaction.commit().await?;
        Ok(Some(Outcome::Again))
    }

    /// Halts the extension, makes its Secret ours, and removes the pair; where the extension's kinds are gone for good, only the second.
    async fn free(&self, record: &Record) -> Result<Result<Freed, EdgeError>, StoreError> {
        match self.free_known(record, known(record)).await? {
            Err(EdgeError::NotServed { .. }) if self.are_kinds_gone().await => {
                self.free_known(record, Known { are_kinds_gone: true, ..known(record) }).await
            }
            freed => Ok(freed),
        }
    }

    async fn free_known(
        &self,
        record: &Record,
        known: Known<'_>,
    ) -> Result<Result<Freed, EdgeError>, StoreError> {
        let (edge, secret) = (&self.0.edge, &record.secret);
        let own = async {
            match self.halt(record, known).await? {
                Some(pause) => Ok(Err(pause)),
                None => edge.own_secret(&secret.id, known).await.map(Ok),
            }
        };
        let own = match own.await {
            Ok(Ok(own)) => own.map(|own| own.uid),
            Ok(Err(pause)) => return Ok(Ok(Freed::Waits(pause))),
            Err(error) => return Ok(Err(error)),
        };
        // The SecretSync may be all that proves whose Secret it is: whoever is killed once that is gone must know it.
        if own.is_some() && own != record.edge.uid {
            self.remember_secret(record, own.clone()).await?;
        }
        let known = Known { secret: own.as_deref().or(known.secret), ..known };
        let freed = async {
            let freed = edge.set_free(secret, known).await?;
            edge.drop_pair(&secret.id, known).await?;
            Ok(Freed::Done(freed))
        };
        Ok(freed.await)
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
    ) -> Result<Outcome, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Outcome::Done) };
        change(&mut current);
        let detail = format!("From {} to {}.", record.engine.as_str(), current.engine.as_str());
        transaction.update(current).await?;
        transaction.audit(event(AuditAction::EngineSwitched, record, &detail)).await?;
        transaction.commit().await?;
        Ok(Outcome::Again)
    }
}

fn unfit(message: &str) -> Failure {
    let message =
        format!("It can't go to the Secret Store engine: {message}. Change it with UpdateSyncedSecret.");
    Failure { reason: Reason::EdgeRejected, message, problems: Vec::new(), retry: Retry::Later }
}
