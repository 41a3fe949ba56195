//! Secrets at the edge whose synced secret has been deleted. A write that was under way when the deletion was done, or that the
//! API server took up only after its client had given it up, makes one: it is removed again.

use uuid::Uuid;

use super::{
    Reconciler,
    queue::{Lane, Outcome},
};
use crate::{
    edge::EdgeError,
    model::{self, SyncedSecretId},
    store::{NewAuditEvent, StoreError},
};

impl Reconciler {
    /// Looks soon for what is left of a synced secret, where there is none of this uid.
    pub(super) fn wake_orphan(&self, uid: Uuid) {
        if self.0.store.view().get_by_uid(uid).is_none() {
            self.0.queue.push(uid, Lane::Deletion, None);
        }
    }

    /// Removes what the edge holds of a synced secret that this database knows to be deleted.
    pub(super) async fn remove_orphan(&self, uid: Uuid) -> Result<Outcome, StoreError> {
        let Some(deleted) = self.0.store.deleted(uid).await? else { return Ok(Outcome::Done) };
        // The name may be another one's by now, or the label may have been copied.
        if self.0.store.view().get(&deleted).is_some() {
            return Ok(Outcome::Done);
        }
        match self.0.edge.remove_orphan(&deleted, uid).await {
            Ok(false) => Ok(Outcome::Done),
            Ok(true) => self.record_orphan(uid, &deleted).await,
            Err(error) => Ok(Outcome::Retry(match error {
                EdgeError::Throttled(after) => after,
                _ => None,
            })),
        }
    }

    async fn record_orphan(&self, uid: Uuid, id: &SyncedSecretId) -> Result<Outcome, StoreError> {
        tracing::warn!(%uid, synced_secret = %id, "a late write had brought a deleted Secret back; it was removed again");
        let mut transaction = self.0.store.begin().await?;
        let event = NewAuditEvent {
            actor: "sync".to_owned(),
            action: "OrphanRemoved",
            resource: format!("syncedSecrets/{id}"),
            outcome: model::Outcome::ok(),
            detail: "A late write had brought the Secret back after its deletion.".to_owned(),
            request_id: String::new(),
        };
        transaction.audit(event).await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }
}
