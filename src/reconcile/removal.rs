//! Removes deleted synced secrets from the edge. If a resource has started to use one in the meantime, its
//! deletion waits, as Kubernetes does with a volume that a pod still uses.

use std::time::Duration;

use super::{Reconciler, failure::unlisted_failure, queue::Requeue, recording::event};
use crate::{
    edge::Gap,
    model::{AuditAction, Condition, ConditionType, Reason, State, Status, SyncedSecret, Usage},
    store::{NewAuditEvent, Record, StoreError},
};

/// How often to check whether it is still used. An observed change triggers a check earlier.
const USES_RECHECK: Duration = Duration::from_secs(30);

/// Whether the deletion of a synced secret waits because something uses it.
pub fn is_held(record: &Record) -> bool {
    let secret = &record.secret;
    let held =
        |condition: &Condition| condition.kind == ConditionType::Synced && condition.reason == Reason::Used;
    secret.state == State::Deleting && !record.delete_forced && secret.conditions.iter().any(held)
}

impl Reconciler {
    pub(super) async fn remove(&self, record: &Record) -> Result<Requeue, StoreError> {
        let secret = &record.secret;
        match self.blocking_uses(record).await {
            Ok(uses) if uses.is_empty() => {}
            Ok(uses) => return self.hold(record, &uses).await,
            Err(gap) => return self.record_failure(record, unlisted_failure(&gap)).await,
        }
        match self.0.engines.of(record.engine).remove(&self.target(record)).await {
            Ok(None) => {}
            Ok(Some(pause)) => return Ok(Requeue::After(pause)),
            Err(error) => return self.record_failure(record, (&error).into()).await,
        }
        // A resource may have started to use it between the check and the removal: report that.
        let late = self.blocking_uses(record).await.unwrap_or_default();
        let mut transaction = self.0.store.begin().await?;
        // A deletion can't be undone, but its generation may have grown since.
        transaction.remove(record).await?;
        transaction
            .audit(event(AuditAction::Removed, record, "Removed from the edge; the vault was not touched."))
            .await?;
        if !late.is_empty() {
            tracing::warn!(synced_secret = %secret.id, uses = %Usage::in_words(&late), "used while it was being deleted");
            let detail = format!("It is missing now for {}.", Usage::in_words(&late));
            let outcome = failed_precondition();
            transaction
                .audit(NewAuditEvent { outcome, ..event(AuditAction::UsedWhileDeleted, record, &detail) })
                .await?;
        }
        transaction.commit().await?;
        Ok(Requeue::Never)
    }

    /// The current uses on the API server, because a resource may have started to use it since the call that
    /// deleted it. Empty if the deletion is forced.
    async fn blocking_uses(&self, record: &Record) -> Result<Vec<Usage>, Gap> {
        match record.delete_forced {
            true => Ok(Vec::new()),
            false => self.list_uses(&record.secret).await,
        }
    }

    /// The current uses of a synced secret on the API server. Fails if the kind of a known user, also one
    /// recorded before a restart, can't be read.
    pub async fn list_uses(&self, secret: &SyncedSecret) -> Result<Vec<Usage>, Gap> {
        let mut users = secret.users.clone();
        users.extend(self.0.usages.of(secret.id.as_str()).iter().map(|usage| usage.user()));
        self.0.usages.list(secret.id.as_str(), &users).await
    }

    async fn hold(&self, record: &Record, uses: &[Usage]) -> Result<Requeue, StoreError> {
        let message = format!(
            "The deletion waits: {} still uses the Secret. Remove the name there, or delete with force.",
            Usage::in_words(uses)
        );
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else {
            return Ok(Requeue::Never);
        };
        if current.delete_forced {
            return Ok(Requeue::Now);
        }
        let is_new = !is_held(&current);
        let condition = Condition::new(ConditionType::Synced, Status::False, Reason::Used, message.as_str());
        current.secret.set_condition(condition);
        transaction.update(current).await?;
        if is_new {
            tracing::warn!(synced_secret = %record.secret.id, "{message}");
            let outcome = failed_precondition();
            transaction
                .audit(NewAuditEvent { outcome, ..event(AuditAction::DeletionHeld, record, &message) })
                .await?;
        }
        transaction.commit().await?;
        Ok(Requeue::After(USES_RECHECK))
    }
}

fn failed_precondition() -> crate::model::Outcome {
    crate::model::Outcome("FAILED_PRECONDITION".to_owned())
}
