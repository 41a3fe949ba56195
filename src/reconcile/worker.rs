//! The worker loop: takes a synced secret from the queue, asks its engine for the next step, and carries it
//! out.

use tokio_util::sync::CancellationToken;

use super::{
    Reconciler,
    queue::{Lane, Requeue, Work},
};
use crate::{
    edge::engine::{Attempt, Drift, Step, Trigger},
    model::Origin,
    store::StoreError,
};

impl Reconciler {
    /// Processes a lane until `stop` is cancelled.
    pub(super) async fn work(self, lane: Lane, stop: CancellationToken) {
        tokio::select! {
            () = self.until_settled() => {}
            () = stop.cancelled() => return,
        }
        loop {
            let work = tokio::select! {
                work = self.next_work(lane) => work,
                () = stop.cancelled() => return,
            };
            let uid = work.uid;
            let outcome = match self.reconcile(work).await {
                Ok(Requeue::Never) => match self.0.store.view().get_by_uid(uid) {
                    Some(record) => self.sleep_while_held(&record),
                    None => Requeue::Never,
                },
                Ok(outcome) => outcome,
                // A call changed the synced secret in the meantime.
                Err(StoreError::Stale) => Requeue::Backoff(None),
                Err(error) => {
                    tracing::error!(%uid, %error, "the database failed; trying again");
                    Requeue::Backoff(None)
                }
            };
            self.0.queue.done(uid, outcome);
        }
    }

    /// Waits for work in a lane, and while this process is a standby.
    async fn next_work(&self, lane: Lane) -> Work {
        loop {
            self.wait_while_standby().await;
            let work = self.0.queue.get(lane).await;
            if !self.is_standby() {
                return work;
            }
            self.0.queue.done(work.uid, Requeue::Now);
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(uid = %work.uid))]
    async fn reconcile(&self, work: Work) -> Result<Requeue, StoreError> {
        let uid = work.uid;
        let Some(record) = self.0.store.view().get_by_uid(uid) else {
            return self.remove_orphan(uid).await;
        };
        if record.secret.origin == Origin::Unmanaged || self.needs_user_decision(&record) {
            return Ok(Requeue::Never);
        }
        if let Some(pause) = self.contention_pause(&record, &work) {
            return Ok(Requeue::After(pause));
        }
        if let Some(engine) = self.other_engine(&record) {
            return self.switch(&record, engine).await;
        }
        if let Some(outcome) = self.remove_leftovers(&record).await? {
            return Ok(outcome);
        }
        let (engine, target) = (self.0.engines.of(record.engine), self.target(&record));
        let trigger = Trigger { creating: self.is_creating(uid), refetch: work.reads.is_some() };
        let on = (record.as_ref(), &target);
        let step = match engine.plan(&target, trigger, &engine.settings()) {
            // Work at the edge comes first: the vault may not answer.
            Step::Nothing if !trigger.creating && self.is_hold_over(&record) => Step::Apply,
            step => step,
        };
        match step {
            Step::Nothing => Ok(Requeue::Never),
            Step::Remove => self.remove(&record).await,
            Step::ResumeCreate => self.resume_create(&record, &work).await,
            Step::Apply => self.sync(on, &engine, &work, Attempt::New).await,
            Step::Repair => self.repair(on, &engine, Drift::default(), &work).await,
            Step::Observe(aspect) => self.observe(on, &engine, aspect, &work).await,
        }
    }
}
