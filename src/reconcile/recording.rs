//! Records the result of a reconciliation, each in one transaction with its audit event. Each function
//! returns when to requeue.

use super::{Reconciler, queue::Requeue, record_update};
use crate::{
    edge::{
        Written,
        engine::{Attempt, Delegated, Failure, Retry, Synced},
    },
    model::{
        self, AuditAction, CertificateFacts, Condition, ConditionType, Delegation, Reason, ReferenceStatus,
        State, Status,
    },
    store::{NewAuditEvent, Record, StoreError},
};

impl Reconciler {
    /// The Secret equals the vault: the synced secret is SYNCED.
    pub(super) async fn record_synced(
        &self,
        attempted: &Record,
        synced: Synced,
        attempt: Attempt,
    ) -> Result<Requeue, StoreError> {
        let Synced { written, digest, statuses, is_from_cache } = synced;
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Requeue::Never);
        };
        let rotated = rotated(attempted, &statuses);
        // If nothing was written, the edge was not read either.
        let is_repair = attempt == Attempt::Drift && !is_from_cache;
        if is_repair {
            self.0.contentions.record_repair(attempted.secret.uid);
        }
        // Contention gets one audit event, not one for each repair.
        let is_reported = is_repair && self.0.contentions.get(attempted.secret.uid).is_none();
        let changed = current.edge.digest.as_deref() != Some(digest.as_slice()) || is_reported;
        let last_sync_time = current.secret.sync_time;
        record_update::synced(&mut current, attempted, statuses, written, digest, self.0.vault.clock().now());
        if is_from_cache {
            current.secret.sync_time = last_sync_time;
        }
        let stale = current.secret.generation != attempted.secret.generation;
        transaction.update(current).await?;
        if changed {
            let action = if is_repair { AuditAction::DriftRepaired } else { AuditAction::Synced };
            let event = match rotated {
                Some(keys) => event(AuditAction::Rotated, attempted, &format!("New versions under {keys}.")),
                None => event(action, attempted, "The edge holds what the references say."),
            };
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(if stale { Requeue::Now } else { Requeue::Never })
    }

    /// The Secret has another uid or version than the recorded one, but the same content. Records its uid and
    /// version.
    pub(super) async fn record_unchanged(
        &self,
        record: &Record,
        written: Written,
    ) -> Result<Requeue, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else {
            return Ok(Requeue::Never);
        };
        current.edge.uid = Some(written.uid);
        current.edge.resource_version = Some(written.resource_version);
        transaction.update(current).await?;
        transaction.commit().await?;
        Ok(Requeue::Never)
    }

    /// The edge already equals the vault. Records when the vault was read.
    pub(super) async fn record_compared(
        &self,
        record: &Record,
        statuses: Vec<ReferenceStatus>,
    ) -> Result<Requeue, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Requeue::Never) };
        for (reference, status) in record.secret.references.iter().zip(statuses) {
            let held = current.secret.references.iter_mut().find(|held| held.has_same_spec(reference));
            if let Some(held) = held {
                // The vault was read, not the edge: what the edge holds there is the same as before.
                let certificate = held.status.certificate.take();
                held.status = ReferenceStatus { certificate, ..status };
            }
        }
        if current.secret.state == State::Synced {
            record_update::set_not_yet_valid(&mut current, self.0.vault.clock().now());
        }
        transaction.update(current).await?;
        transaction.commit().await?;
        Ok(Requeue::Never)
    }

    /// The SecretSync and its class were written; the extension must write the Secret.
    pub(super) async fn record_delegated(
        &self,
        record: &Record,
        delegated: Delegated,
        attempt: Attempt,
    ) -> Result<Requeue, StoreError> {
        let Delegated { delegation, digest, repaired, requeue_after } = delegated;
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Requeue::Never) };
        current.edge.digest = Some(digest);
        current.delegation = Some(delegation);
        transaction.update(current).await?;
        if attempt == Attempt::Drift {
            self.0.contentions.record_repair(record.secret.uid);
        }
        if let Some(event) = repaired.and_then(|detail| self.repair_event(record, &detail)) {
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(Requeue::After(requeue_after))
    }

    /// A write repaired a part before it failed. Records that part in the audit now, because no later
    /// observation finds it. Counts as a repair, so that contention bounds it, too.
    pub(super) async fn record_repaired(&self, record: &Record, detail: &str) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        if transaction.current(record.secret.uid).is_none() {
            return Ok(());
        }
        self.0.contentions.record_repair(record.secret.uid);
        if let Some(event) = self.repair_event(record, detail) {
            transaction.audit(event).await?;
        }
        transaction.commit().await
    }

    /// The audit event of a repair. Contention gets one event, not one for each repair.
    fn repair_event(&self, record: &Record, detail: &str) -> Option<NewAuditEvent> {
        let is_contested = self.0.contentions.get(record.secret.uid).is_some();
        (!is_contested).then(|| event(AuditAction::DriftRepaired, record, detail))
    }

    /// The extension has written the Secret.
    pub(super) async fn record_confirmed(
        &self,
        attempted: &Record,
        written: Written,
        certificates: Vec<Option<CertificateFacts>>,
    ) -> Result<Requeue, StoreError> {
        let Some(delegation) = &attempted.delegation else { return Ok(Requeue::Now) };
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else { return Ok(Requeue::Never) };
        if current.delegation.as_ref() != Some(delegation) {
            return Ok(Requeue::Now);
        }
        if !delegation.open && current.secret.state == State::Synced {
            // The extension wrote the Secret again at its own poll.
            current.edge.uid = Some(written.uid);
            current.edge.resource_version = Some(written.resource_version);
            record_update::certificates(&mut current.secret, attempted, certificates);
            transaction.update(current).await?;
            transaction.commit().await?;
            return Ok(Requeue::Never);
        }
        let rotated = rotated(attempted, &delegation.statuses);
        let is_news = matches!(current.secret.state, State::Degraded | State::Failed)
            || current.secret.synced_generation != delegation.generation;
        let digest = current.edge.digest.clone().unwrap_or_default();
        let (mut statuses, now) = (delegation.statuses.clone(), self.0.vault.clock().now());
        for (status, certificate) in statuses.iter_mut().zip(certificates) {
            status.certificate = certificate;
        }
        record_update::synced(&mut current, attempted, statuses, written, digest, now);
        current.delegation = Some(Delegation { open: false, ..delegation.clone() });
        let stale = current.secret.generation != attempted.secret.generation;
        transaction.update(current).await?;
        if let Some(keys) = rotated {
            transaction
                .audit(event(AuditAction::Rotated, attempted, &format!("New versions under {keys}.")))
                .await?;
        } else if is_news {
            transaction
                .audit(event(AuditAction::Synced, attempted, "The edge holds what the references say."))
                .await?;
        }
        transaction.commit().await?;
        Ok(if stale { Requeue::Now } else { Requeue::Never })
    }

    /// The extension is working on other SecretSyncs and has not reached this one yet.
    pub(super) async fn record_busy(
        &self,
        record: &Record,
        message: String,
        pause: std::time::Duration,
    ) -> Result<Requeue, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Requeue::Never) };
        if current.delegation != record.delegation || record_update::is_outdated(record, &current.secret) {
            return Ok(Requeue::Now);
        }
        if current.secret.state != State::Deleting {
            current.secret.state = State::Pending;
            let condition = Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message);
            current.secret.set_condition(condition);
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        Ok(Requeue::Backoff(Some(pause)))
    }

    /// After a release, the keys look as if the extension had written them. If the process is killed before
    /// the next write, the next reconciliation must start with that write.
    pub(super) async fn forget_delegated(&self, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(()) };
        if current.delegation != record.delegation {
            return Ok(());
        }
        if let Some(delegation) = &mut current.delegation {
            delegation.generation = 0;
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    pub(super) async fn record_failure(
        &self,
        attempted: &Record,
        failure: Failure,
    ) -> Result<Requeue, StoreError> {
        // Another process is the leader now and records the state of this synced secret.
        if self.is_standby() {
            return Ok(Requeue::Backoff(None));
        }
        let Failure { reason, message, problems, retry } = failure;
        let next = match retry {
            Retry::Unread => return Ok(Requeue::Backoff(None)),
            Retry::Soon(at_least) => Requeue::Backoff(at_least),
            Retry::After(pause) => Requeue::After(pause),
            Retry::Later => Requeue::Backoff(None),
        };
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Requeue::Never);
        };
        // A call has started to store the value that was missing here. It enqueues the synced secret when it
        // ends.
        if current.secret.state != State::Deleting
            && current.secret.references.iter().any(|reference| reference.create_pending)
            && self.is_creating(attempted.secret.uid)
        {
            return Ok(Requeue::Never);
        }
        let before = (
            current.secret.state,
            current.secret.condition(ConditionType::Synced).map(|condition| condition.reason),
        );
        record_update::failed(&mut current, attempted, reason, message.clone(), &problems);
        let now = (
            current.secret.state,
            current.secret.condition(ConditionType::Synced).map(|condition| condition.reason),
        );
        let outdated = record_update::is_outdated(attempted, &current.secret);
        transaction.update(current).await?;
        let contention =
            self.0.contentions.get(attempted.secret.uid).filter(|_| reason == Reason::EdgeContested);
        if now != before && contention.as_ref().is_none_or(|contention| contention.is_new) {
            if contention.is_some() {
                self.0.contentions.mark_reported(attempted.secret.uid);
            }
            tracing::warn!(synced_secret = %attempted.secret.id, reason = reason.as_str(), "{message}");
            let event = NewAuditEvent {
                outcome: model::Outcome(reason.as_str().to_owned()),
                ..event(AuditAction::SyncFailed, attempted, &message)
            };
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(if outdated { Requeue::Now } else { next })
    }
}

/// The keys whose version changed.
fn rotated(before: &Record, statuses: &[ReferenceStatus]) -> Option<String> {
    let keys: Vec<_> = before
        .secret
        .references
        .iter()
        .zip(statuses)
        .filter(|(reference, status)| {
            reference.status.synced_version.is_some()
                && reference.status.synced_version != status.synced_version
        })
        .map(|(reference, _)| reference.key.as_str())
        .collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

pub(super) fn event(action: AuditAction, record: &Record, detail: &str) -> NewAuditEvent {
    NewAuditEvent::by_service(action, record.secret.name(), detail)
}
