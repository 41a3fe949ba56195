//! SyncSyncedSecret, and how calls wait for the edge and are recognized when they come again.

use std::time::Duration;

use tokio::time::Instant;

use super::{Call, Cause, Error, LONGEST_WAIT, Secrets};
use crate::{
    model::{AuditAction, Condition, ConditionType, Reason, State, Status, SyncedSecret, SyncedSecretId},
    reconcile::{EnqueueOptions, is_held},
    store::{Record, Transaction},
};

/// A call that waits returns this much before its deadline, so that the answer still arrives.
pub(super) const MARGIN: Duration = Duration::from_millis(100);

impl Secrets {
    /// Reads all references of a synced secret anew and brings the edge to them.
    pub async fn sync_synced_secret(
        &self,
        call: Call,
        id: SyncedSecretId,
        wait: Duration,
    ) -> Result<SyncedSecret, Error> {
        self.to_the_end(call, async move |this, call| this.sync(call, id, wait).await).await
    }

    async fn sync(&self, call: Call, id: SyncedSecretId, wait: Duration) -> Result<SyncedSecret, Error> {
        let record = self.find_managed(&id)?;
        let mut transaction = self.0.store.begin().await?;
        let current = transaction.current(record.secret.uid);
        let Some(mut current) = current.filter(|current| current.secret.state != State::Deleting) else {
            return Err(Cause::Deleting(id).into());
        };
        current.sync_requests += 1;
        current.ask(call.begun);
        ask(&mut current.secret);
        let (asked, secret) = (current.sync_requests, current.secret.clone());
        transaction.update(current).await?;
        transaction.audit(call.event(AuditAction::SyncSyncedSecret, secret.name(), "")).await?;
        transaction.commit().await?;
        let options =
            EnqueueOptions { refetch: Some(self.0.reconciler.shared_reads(self.vault())), interactive: true };
        self.0.reconciler.enqueue(secret.uid, options);
        let done = |record: Option<&Record>| {
            record.is_none_or(|record| {
                // Whoever asked later is answered by another look: the state is theirs until then.
                let is_settled = record.secret.state.is_settled();
                record.synced_requests >= asked && is_settled || record.secret.state == State::Deleting
            })
        };
        self.wait_for(&call, &secret, wait, done).await;
        Ok(self.latest(secret))
    }

    /// Waits until a generation, or one that came after it, is at the edge or has failed; the state of the answer says how far it
    /// is.
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

    /// Waits until it is gone from the edge, or is known to wait for what uses it.
    pub(super) async fn wait_until_gone(
        &self,
        call: &Call,
        secret: SyncedSecret,
        wait: Duration,
    ) -> Result<SyncedSecret, Error> {
        self.wait_for(call, &secret, wait, |record| record.is_none_or(is_held)).await;
        Ok(self.latest(secret))
    }

    /// Waits for `done`, the wait asked for, or shortly before the caller's deadline.
    async fn wait_for(
        &self,
        call: &Call,
        secret: &SyncedSecret,
        wait: Duration,
        done: impl Fn(Option<&Record>) -> bool,
    ) {
        let until = (Instant::now() + wait.min(LONGEST_WAIT)).min(call.deadline - MARGIN);
        let mut changed = self.0.store.commits();
        let wait = async {
            while !done(self.0.store.view().get_by_uid(secret.uid).as_deref()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // Running out of time is no error: the state in the answer says how far it is.
        let _ = tokio::time::timeout_at(until, wait).await;
    }

    /// What a call answered when it came before.
    pub(super) async fn replayed(&self, call: &Call) -> Result<Option<SyncedSecret>, Error> {
        Ok(self.replayed_answer(call).await?.flatten())
    }

    /// The same, where the answer may have been that there is nothing.
    pub(super) async fn replayed_answer(&self, call: &Call) -> Result<Option<Option<SyncedSecret>>, Error> {
        let Some(request) = &call.request else { return Ok(None) };
        let Some(recorded) = self.0.store.recorded(request).await? else { return Ok(None) };
        let response = recorded.response.ok_or(Error::InProgress)?;
        serde_json::from_slice(&response).map(Some).map_err(|_| Error::Internal)
    }

    /// Records a call and its answer, so that it is recognized when it comes again.
    pub(super) async fn note_request(
        &self,
        transaction: &mut Transaction,
        call: &Call,
        secret: &SyncedSecret,
    ) -> Result<(), Error> {
        self.note_answer(transaction, call, Some(secret)).await
    }

    /// Forgets a call that is refused after it was recorded. Whatever becomes of what it recorded, its retry is judged anew: the answer
    /// that was recorded is not the one that was given.
    pub(super) async fn forget(&self, transaction: &mut Transaction, call: &Call) -> Result<(), Error> {
        let Some(request) = &call.request else { return Ok(()) };
        Ok(transaction.forget_request(request).await?)
    }

    /// The same, where the answer may be that there is nothing.
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

/// What was seen before does not answer who asks now.
fn ask(secret: &mut SyncedSecret) {
    let message = match secret.sync_time {
        Some(time) => format!("Asked to sync; the last look that found it in sync was at {time}."),
        None => "Asked to sync; it was never in sync.".to_owned(),
    };
    secret.state = State::Pending;
    secret.set_condition(Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message));
}
