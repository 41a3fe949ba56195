//! Orphans: objects at the edge whose synced secret was deleted. A write that was in flight during the
//! deletion, or that the API server applied after its client had timed out, creates one.

use uuid::Uuid;

use super::{
    Reconciler,
    queue::{Lane, Requeue},
};
use crate::{
    edge::{EdgeError, engine::OrphanRemoval},
    model::{AuditAction, SyncedSecretId},
    store::{NewAuditEvent, StoreError},
};

impl Reconciler {
    /// Enqueues a uid that no synced secret has.
    pub(super) fn enqueue_orphan(&self, uid: Uuid) {
        if self.0.store.view().get_by_uid(uid).is_none() {
            self.0.queue.add(uid, Lane::Deletion, None);
        }
    }

    /// Removes the objects of a synced secret that the database has recorded as deleted.
    pub(super) async fn remove_orphan(&self, uid: Uuid) -> Result<Requeue, StoreError> {
        let Some(deleted) = self.0.store.deleted(uid).await? else { return Ok(Requeue::Never) };
        let id = deleted.id.clone();
        match self.0.engines.remove_orphan(&deleted).await {
            Ok(OrphanRemoval::Absent) => Ok(Requeue::Never),
            Ok(OrphanRemoval::Wait(pause)) => Ok(Requeue::After(pause)),
            Ok(OrphanRemoval::Removed) => self.record_orphan(uid, &id).await,
            Err(EdgeError::Throttled(after)) => Ok(Requeue::Backoff(after)),
            Err(error) => {
                tracing::debug!(%uid, synced_secret = %id, %error, "an orphan can't be removed yet; trying again");
                Ok(Requeue::Backoff(None))
            }
        }
    }

    async fn record_orphan(&self, uid: Uuid, id: &SyncedSecretId) -> Result<Requeue, StoreError> {
        tracing::warn!(%uid, synced_secret = %id, "a late write had recreated an object of a deleted synced secret; it was removed");
        let mut transaction = self.0.store.begin().await?;
        let detail = "A late write had recreated an object of it after its deletion.";
        let event =
            NewAuditEvent::by_service(AuditAction::OrphanRemoved, format!("syncedSecrets/{id}"), detail);
        transaction.audit(event).await?;
        transaction.commit().await?;
        Ok(Requeue::Never)
    }
}
