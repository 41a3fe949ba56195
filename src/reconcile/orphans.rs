//! Secrets, SecretSyncs and classes at the edge whose synced secret has been deleted. A write that was under way when the deletion was done, or that the
//! API server took up only after its client had given it up, makes one: it is removed again.

use std::time::Duration;

use uuid::Uuid;

use super::{
    Reconciler,
    queue::{Lane, Outcome},
};
use crate::{
    edge::EdgeError,
    model::{AuditAction, SyncEngine, SyncedSecretId},
    store::{NewAuditEvent, Record, StoreError},
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
        let id = deleted.id.clone();
        let removed = match self.0.pairs.carries(id.as_str(), uid) {
            true => self.remove_pair(&Record::new(deleted, SyncEngine::SecretStore)).await.map(Removed::Pair),
            false => self.0.edge.remove_orphan(&id, uid).await.map(Removed::Secret),
        };
        match removed {
            Ok(Removed::Secret(false)) => Ok(Outcome::Done),
            Ok(Removed::Pair(Some(pause))) => Ok(Outcome::After(pause)),
            Ok(Removed::Secret(true) | Removed::Pair(None)) => self.record_orphan(uid, &id).await,
            Err(EdgeError::Throttled(after)) => Ok(Outcome::Retry(after)),
            Err(error) => {
                tracing::debug!(%uid, synced_secret = %id, %error, "what a late write left can't be removed yet");
                Ok(Outcome::Retry(None))
            }
        }
    }

    async fn record_orphan(&self, uid: Uuid, id: &SyncedSecretId) -> Result<Outcome, StoreError> {
        tracing::warn!(%uid, synced_secret = %id, "a late write had brought something of a deleted one back; it was removed");
        let mut transaction = self.0.store.begin().await?;
        let detail = "A late write had brought something of it back after its deletion.";
        let event =
            NewAuditEvent::by_service(AuditAction::OrphanRemoved, format!("syncedSecrets/{id}"), detail);
        transaction.audit(event).await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }
}

/// What became of an attempt.
enum Removed {
    /// Whether there was a Secret of ours.
    Secret(bool),
    /// How long to wait before going on.
    Pair(Option<Duration>),
}
