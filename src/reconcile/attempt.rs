//! The steps of one reconciliation. The engine decides and writes; this file reads the vault for it and
//! records its answers.

use std::time::Duration;

use super::{
    Reconciler,
    contention::Contention,
    queue::{Requeue, Work},
};
use crate::{
    edge::{
        EdgeError,
        engine::{
            Applied, Aspect, Attempt, Comparison, Drift, Engine, Failure, Observation, Retry, Target,
            VaultState,
        },
    },
    model::{ConditionType, Reason, State},
    store::{Record, StoreError},
};

impl Reconciler {
    /// Lets the engine observe the edge, and acts on its observation.
    pub(super) async fn observe(
        &self,
        (record, target): (&Record, &Target<'_>),
        engine: &Engine,
        aspect: Aspect,
        work: &Work,
    ) -> Result<Requeue, StoreError> {
        let mut observation = match engine.observe(target, aspect).await {
            Ok(observation) => observation,
            Err(error) => return self.record_failure(record, (&error).into()).await,
        };
        if let Observation::Unanswered(waited) = observation {
            let records = self.0.store.view().snapshot().records;
            let delegations = records.iter().filter_map(|other| other.delegation.as_ref());
            observation = engine.evaluate_silence(target, waited, delegations);
        }
        match observation {
            Observation::Wait(pause) => Ok(Requeue::After(pause)),
            Observation::Again | Observation::Unanswered(_) => Ok(Requeue::Now),
            Observation::Unchanged(written) => self.record_unchanged(record, written).await,
            Observation::Confirmed(written, certificates) => {
                self.record_confirmed(record, written, certificates).await
            }
            Observation::Drifted(drift) => self.repair((record, target), engine, drift, work).await,
            Observation::Conflict => self.in_conflict((record, target), engine).await,
            Observation::Busy(message, pause) => self.record_busy(record, message, pause).await,
            Observation::Retry(attempt) => self.sync((record, target), engine, work, attempt).await,
            Observation::Resend(state, attempt) => self.apply((record, target), engine, state, attempt).await,
            Observation::Failed(failure) => self.record_failure(record, failure).await,
        }
    }

    /// Reads the vault and writes the edge. If any reference can't be read, the edge keeps what it has.
    pub(super) async fn sync(
        &self,
        (record, target): (&Record, &Target<'_>),
        engine: &Engine,
        work: &Work,
        attempt: Attempt,
    ) -> Result<Requeue, StoreError> {
        if let Err(error) = engine.check_owner(target).await {
            return self.record_failure(record, (&error).into()).await;
        }
        let state = work.unless_superseded(self.vault_state(record, work.reads.clone())).await;
        let state = match state {
            None => return Ok(Requeue::Now),
            Some(Err(failure)) => return self.record_failure(record, failure).await,
            Some(Ok(state)) => state,
        };
        match engine.compare(target, &state, attempt) {
            Comparison::Differs(attempt) => self.apply((record, target), engine, state, attempt).await,
            Comparison::Same => self.record_compared(record, state.statuses).await,
            Comparison::Awaited => Ok(Requeue::Now),
        }
    }

    /// Repairs drift. If the same drift keeps recurring, the pause between repairs grows.
    pub(super) async fn repair(
        &self,
        (record, target): (&Record, &Target<'_>),
        engine: &Engine,
        drift: Drift,
        work: &Work,
    ) -> Result<Requeue, StoreError> {
        // Find the manager before the release: afterwards managedFields no longer show who owned the keys.
        let contention = self.0.contentions.get(record.secret.uid);
        if let Some(contention) = contention.filter(|contention| !contention.pause.is_zero()) {
            let manager = match drift.manager {
                Some(manager) => Some(manager),
                None => engine.other_manager(&record.secret.id).await,
            };
            return self.record_contention(record, &contention, manager.as_deref()).await;
        }
        if drift.must_release {
            self.forget_delegated(record).await?;
            if let Err(error) = engine.release_keys(target).await {
                return self.record_failure(record, (&error).into()).await;
            }
        }
        match engine.repair(target, drift.must_release) {
            None => self.sync((record, target), engine, work, Attempt::Drift).await,
            Some((state, attempt)) => {
                if attempt != Attempt::Drift {
                    self.0.contentions.record_repair(record.secret.uid);
                }
                self.apply((record, target), engine, state, attempt).await
            }
        }
    }

    async fn apply(
        &self,
        (record, target): (&Record, &Target<'_>),
        engine: &Engine,
        state: VaultState,
        attempt: Attempt,
    ) -> Result<Requeue, StoreError> {
        match engine.apply(target, state, attempt).await {
            Ok(Applied::Synced(synced)) => self.record_synced(record, synced, attempt).await,
            Ok(Applied::Delegated(delegated)) => self.record_delegated(record, delegated, attempt).await,
            Ok(Applied::Conflict) => self.in_conflict((record, target), engine).await,
            Ok(Applied::Interrupted { error, repaired }) => {
                self.record_repaired(record, &repaired).await?;
                self.record_failure(record, (&error).into()).await
            }
            Err(error) => self.record_failure(record, (&error).into()).await,
        }
    }

    /// The name belongs to another tool's Secret. Records the conflict, and removes our fields from that
    /// Secret.
    async fn in_conflict(
        &self,
        (record, target): (&Record, &Target<'_>),
        engine: &Engine,
    ) -> Result<Requeue, StoreError> {
        let conflict = EdgeError::conflict(&record.secret.id);
        let outcome = self.record_failure(record, (&conflict).into()).await?;
        match engine.withdraw(target).await {
            Ok(None) => Ok(outcome),
            Ok(Some(pause)) => Ok(Requeue::After(pause)),
            Err(error) => {
                tracing::debug!(%error, "our fields could not be removed from another tool's Secret; trying again");
                Ok(Requeue::Backoff(None))
            }
        }
    }

    /// How long contention delays the next repair. None if a caller requests a sync.
    pub(super) fn contention_pause(&self, record: &Record, work: &Work) -> Option<Duration> {
        let is_reported = record.secret.condition(ConditionType::Synced)?.reason == Reason::EdgeContested;
        let is_requested = work.reads.is_some()
            || record.sync_requests != record.synced_requests
            || record.secret.state == State::Deleting;
        let contention =
            self.0.contentions.get(record.secret.uid).filter(|_| is_reported && !is_requested)?;
        Some(contention.pause).filter(|pause| !pause.is_zero())
    }

    async fn record_contention(
        &self,
        record: &Record,
        contention: &Contention,
        other: Option<&str>,
    ) -> Result<Requeue, StoreError> {
        let who =
            other.map_or_else(|| "Another manager".to_owned(), |other| format!("The manager {other:?}"));
        let message = format!(
            "{who} overwrites or deletes the Secret each time the service repairs it: {} repairs so far. Repairs continue, at \
             growing intervals. Stop that manager from writing this Secret, or delete the synced secret.",
            contention.repairs
        );
        let failure = Failure {
            reason: Reason::EdgeContested,
            message,
            problems: Vec::new(),
            retry: Retry::After(contention.pause),
        };
        self.record_failure(record, failure).await
    }
}
