//! SyncSyncedSecret; how calls wait for the edge; how retries of a call are recognized.

use std::time::Duration;

use tokio::time::Instant;

use super::{Call, Cause, Error, MAX_WAIT, Secrets};
use crate::{
    model::{AuditAction, Condition, ConditionType, Reason, State, Status, SyncedSecret, SyncedSecretId},
    reconcile::{EnqueueOptions, is_held},
    store::{Record, Transaction},
};

/// A waiting call returns this long before its deadline, so that the response still arrives in time.
pub(super) const RESPONSE_MARGIN: Duration = Duration::from_millis(100);

impl Secrets {
    /// Reads all references of a synced secret again and applies them to the edge.
    pub async fn sync_synced_secret(
        &self,
        call: Call,
        id: SyncedSecretId,
        wait: Duration,
    ) -> Result<SyncedSecret, Error> {
        self.run_to_completion(call, async move |this, call| this.sync(call, id, wait).await).await
    }

    async fn sync(&self, call: Call, id: SyncedSecretId, wait: Duration) -> Result<SyncedSecret, Error> {
        let record = self.find_managed(&id)?;
        let mut transaction = self.0.store.begin().await?;
        let current = transaction.current(record.secret.uid);
        let Some(mut current) = current.filter(|current| current.secret.state != State::Deleting) else {
            return Err(Cause::Deleting(id).into());
        };
        current.sync_requests += 1;
        current.note_request(call.begun);
        set_pending(&mut current.secret);
        let (request, secret) = (current.sync_requests, current.secret.clone());
        transaction.update(current).await?;
        transaction.audit(call.event(AuditAction::SyncSyncedSecret, secret.name(), "")).await?;
        transaction.commit().await?;
        let options =
            EnqueueOptions { refetch: Some(self.0.reconciler.shared_reads(self.vault())), interactive: true };
        self.0.reconciler.enqueue(secret.uid, options);
        let done = |record: Option<&Record>| {
            record.is_none_or(|record| {
                // A later request resets the state until its own sync attempt has ended.
                let is_settled = record.secret.state.is_settled();
                record.synced_requests >= request && is_settled || record.secret.state == State::Deleting
            })
        };
        self.wait_for(&call, &secret, wait, done).await;
        Ok(self.latest(secret))
    }

    /// Waits until this generation or a later one is at the edge or has failed. The returned state tells how
    /// far it got.
    pub(super) async fn wait_for_generation(
        &self,
        call: &Call,
        secret: SyncedSecret,
        wait: Duration,
    ) -> Result<SyncedSecret, Error> {
        let done = |record: Option<&Record>| {
            record.is_none_or(|record| {
                record.secret.state.is_settled() || record.secret.state == State::Deleting
            })
        };
        self.wait_for(call, &secret, wait, done).await;
        Ok(self.latest(secret))
    }

    /// Waits until it is removed from the edge, or its deletion is held because something uses it.
    pub(super) async fn wait_until_gone(
        &self,
        call: &Call,
        secret: SyncedSecret,
        wait: Duration,
    ) -> Result<SyncedSecret, Error> {
        self.wait_for(call, &secret, wait, |record| record.is_none_or(is_held)).await;
        Ok(self.latest(secret))
    }

    /// Waits for `done`, but no longer than `wait` and until shortly before the caller's deadline.
    async fn wait_for(
        &self,
        call: &Call,
        secret: &SyncedSecret,
        wait: Duration,
        done: impl Fn(Option<&Record>) -> bool,
    ) {
        let until = (Instant::now() + wait.min(MAX_WAIT)).min(call.deadline - RESPONSE_MARGIN);
        let mut changed = self.0.store.commits();
        let wait = async {
            while !done(self.0.store.view().get_by_uid(secret.uid).as_deref()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // A timeout is no error: the returned state tells how far it got.
        let _ = tokio::time::timeout_at(until, wait).await;
    }

    /// The recorded answer if this call is a retry.
    pub(super) async fn replayed(&self, call: &Call) -> Result<Option<SyncedSecret>, Error> {
        Ok(self.replayed_answer(call).await?.flatten())
    }

    /// The same, for a call whose answer may have been empty.
    pub(super) async fn replayed_answer(&self, call: &Call) -> Result<Option<Option<SyncedSecret>>, Error> {
        let Some(request) = &call.request else { return Ok(None) };
        let Some(recorded) = self.0.store.recorded(request).await? else { return Ok(None) };
        let response = recorded.response.ok_or(Error::InProgress)?;
        serde_json::from_slice(&response).map(Some).map_err(|_| Error::Internal)
    }

    /// Records a call and its answer, so that a retry is recognized.
    pub(super) async fn note_request(
        &self,
        transaction: &mut Transaction,
        call: &Call,
        secret: &SyncedSecret,
    ) -> Result<(), Error> {
        self.note_answer(transaction, call, Some(secret)).await
    }

    /// Deletes the record of a call that is refused after it was recorded: the recorded answer is not the one
    /// that the caller got, so a retry must be checked again.
    pub(super) async fn forget(&self, transaction: &mut Transaction, call: &Call) -> Result<(), Error> {
        let Some(request) = &call.request else { return Ok(()) };
        Ok(transaction.forget_request(request).await?)
    }

    /// The same, for a call whose answer may be empty.
    pub(super) async fn note_answer(
        &self,
        transaction: &mut Transaction,
        call: &Call,
        answer: Option<&SyncedSecret>,
    ) -> Result<(), Error> {
        let Some(request) = &call.request else { return Ok(()) };
        let response = serde_json::to_vec(&answer).map_err(|_| Error::Internal)?;
        let uid = answer.map(|secret| secret.uid);
        Ok(transaction.begin_request(request, uid, Some(&response)).await?)
    }
}

/// Resets the state to pending: an earlier observation does not answer this request.
fn set_pending(secret: &mut SyncedSecret) {
    let message = match secret.sync_time {
        Some(time) => format!("Sync requested; last seen in sync at {time}."),
        None => "Sync requested; never in sync before.".to_owned(),
    };
    secret.state = State::Pending;
    secret.set_condition(Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message));
}
