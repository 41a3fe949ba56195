//! DeleteSyncedSecret: removes a synced secret from the edge, never from the vault.

use super::{Call, Cause, Error, Mode, Secrets, update::check_etag};
use crate::{
    model::{self, AuditAction, Origin, State, SyncedSecret, SyncedSecretId, Usage},
    reconcile::EnqueueOptions,
};

/// A deletion request.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Which synced secret.
    pub id: SyncedSecretId,
    /// The version that the caller read; empty for any.
    pub etag: String,
    /// Delete even if something uses it.
    pub force: bool,
    /// Succeed if it does not exist.
    pub allow_missing: bool,
}

impl Secrets {
    /// Marks a synced secret as deleting, and lets the reconciler remove it. `None` if it did not exist.
    pub async fn delete_synced_secret(
        &self,
        call: Call,
        deletion: Deletion,
        mode: Mode,
    ) -> Result<Option<SyncedSecret>, Error> {
        self.run_to_completion(call, async move |this, call| this.delete(call, deletion, mode).await).await
    }

    /// Answers for a synced secret that does not exist. Records the answer, so that a retry deletes nothing
    /// created since.
    async fn missing_already(
        &self,
        call: &Call,
        deletion: Deletion,
        mode: Mode,
    ) -> Result<Option<SyncedSecret>, Error> {
        if !deletion.allow_missing || self.0.reconciler.is_rebuilding() {
            return Err(self.absent(&deletion.id));
        }
        if !mode.validate_only {
            let mut transaction = self.0.store.begin().await?;
            self.note_answer(&mut transaction, call, None).await?;
            transaction.commit().await?;
        }
        Ok(None)
    }

    async fn delete(
        &self,
        call: Call,
        deletion: Deletion,
        mode: Mode,
    ) -> Result<Option<SyncedSecret>, Error> {
        match self.replayed_answer(&call).await? {
            Some(Some(recorded)) => return Ok(Some(self.wait_until_gone(&call, recorded, mode.wait).await?)),
            Some(None) => return Ok(None),
            None => {}
        }
        let Some(record) = self.0.store.view().get(&deletion.id) else {
            return self.missing_already(&call, deletion, mode).await;
        };
        if record.secret.origin == Origin::Unmanaged {
            return Err(Cause::Unmanaged(deletion.id).into());
        }
        check_etag(&record, &deletion.etag)?;
        let overridden = self.check_unused(&call, &deletion.id, deletion.force).await?;
        if mode.validate_only {
            return Ok(Some(record.secret.clone()));
        }
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else {
            // Another deletion has just completed.
            drop(transaction);
            return self.missing_already(&call, deletion, mode).await;
        };
        check_etag(&current, &deletion.etag)?;
        let read = current.secret.generation;
        let secret = &mut current.secret;
        if secret.state != State::Deleting {
            secret.state = State::Deleting;
            secret.generation += 1;
            secret.update_time = model::now();
        }
        let secret = secret.clone();
        current.delete_forced |= deletion.force;
        transaction.change(read, current).await?;
        self.note_request(&mut transaction, &call, &secret).await?;
        let detail = match overridden.as_slice() {
            [] => "From the edge only; the vault is not touched.".to_owned(),
            uses => {
                format!("Forced, although it is used by {}. The vault is not touched.", Usage::in_words(uses))
            }
        };
        transaction.audit(call.event(AuditAction::DeleteSyncedSecret, secret.name(), detail)).await?;
        transaction.commit().await?;
        self.0.reconciler.enqueue(secret.uid, EnqueueOptions { refetch: None, interactive: true });
        Ok(Some(self.wait_until_gone(&call, secret, mode.wait).await?))
    }
}
