//! Catches up a database that is behind the edge, because it was restored from a backup, or because another
//! leader with another database has written since. Nothing is written to the edge before that is done.
//!
//! Newer synced secrets and later generations at the edge are recorded. A synced secret that the edge no
//! longer holds may have been deleted since: it is not written again until a caller syncs or deletes it, and
//! its condition says so.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Reconciler, last_reason::LastReason, rebuild::RebuildError, record_update};
use crate::{
    model::{ConditionType, Origin, Reason, State},
    store::{RebuildCause, Record, Restored, StoreError},
};

/// The pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for the lists of the extension's resources: a cluster may not serve them.
const LISTS_DEADLINE: Duration = Duration::from_secs(30);

/// Whether a synced secret has waited for a user's decision since the restore. Any later change sets another
/// condition.
pub(super) fn is_held(record: &Record) -> bool {
    let reason = record.secret.condition(ConditionType::Synced).map(|condition| condition.reason);
    reason == Some(Reason::NotAtEdgeAfterRestore)
        && record.sync_requests == record.synced_requests
        && record.secret.state != State::Deleting
}

impl Reconciler {
    /// Lets the workers start: at once, or after a database that is behind has caught up with the edge.
    pub(super) async fn settle_restore(self, stop: CancellationToken) {
        // Leader election has a result soon. Without one, the fence blocks all writes anyway.
        let _ = self.0.edge.leadership().check().await;
        if self.0.edge.leadership().is_leading() {
            tokio::select! {
                () = self.settle_history() => {}
                () = stop.cancelled() => return,
            }
        }
        self.0.may_work.send_replace(true);
        stop.cancelled().await;
    }

    /// Waits until the workers may start.
    pub(super) async fn until_settled(&self) {
        // Can't fail: the sender lives as long as this.
        let _ = self.0.may_work.subscribe().wait_for(|may| *may).await;
    }

    /// Catches up a database that is behind the edge. Retries until that succeeds.
    pub(super) async fn settle_history(&self) {
        let mut last_reason = LastReason::default();
        loop {
            let predecessor = self.0.edge.leadership().predecessor();
            match self.catch_up(predecessor.as_deref()).await {
                Ok(()) => return self.0.edge.leadership().caught_up(predecessor.as_deref()),
                Err(error) => {
                    if last_reason.is_news(&error) {
                        tracing::error!(%error, "an outdated database can't be compared with the edge yet; trying again");
                    }
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Why the database is behind the edge, as a sentence; none if it is not.
    async fn behind(&self, predecessor: Option<&str>) -> Result<Option<String>, StoreError> {
        if let Some(Restored { backup }) = self.0.store.restored().await? {
            return Ok(Some(format!("The database was restored from a backup of {:.0}.", backup.time)));
        }
        let Some(position) = predecessor else { return Ok(None) };
        // A new database is rebuilt instead.
        if self.0.store.rebuild_cause().await? == Some(RebuildCause::New) {
            return Ok(None);
        }
        let is_known = match position.parse() {
            Ok(position) => self.0.store.has_passed(position).await?,
            Err(_) => false,
        };
        let other =
            "Another process, with another database, has been the leader since this database was written.";
        Ok((!is_known).then(|| other.to_owned()))
    }

    async fn catch_up(&self, predecessor: Option<&str>) -> Result<(), RebuildError> {
        let Some(why) = self.behind(predecessor).await? else {
            // The position in the Lease is some seconds older than the predecessor's last change.
            return if self.is_standby() { self.rebuild_because(RebuildCause::Behind).await } else { Ok(()) };
        };
        tracing::warn!("{why} Nothing is written to the edge until it has been compared with the database");
        // Only a complete list shows what is missing.
        let _ = self.0.index.healthy().wait_for(|healthy| *healthy == Some(true)).await;
        self.rebuild_because(RebuildCause::Behind).await?;
        let records = self.0.store.view().snapshot().records;
        let lists = async {
            for record in &records {
                self.0.engines.until_listed(record.engine).await;
            }
        };
        let _ = timeout(LISTS_DEADLINE, lists).await;
        for record in records.iter().filter(|record| self.is_missing(record)) {
            let message = format!(
                "The edge no longer holds it. {why} It may have been deleted since, so the service does not write it again by \
                 itself. Restore it with SyncSyncedSecret, or delete it."
            );
            self.record_missing(record, message).await?;
        }
        let mut transaction = self.0.store.begin().await?;
        transaction.forget_restored().await?;
        Ok(transaction.commit().await?)
    }

    async fn record_missing(&self, missing: &Record, message: String) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(missing.secret.uid) else { return Ok(()) };
        record_update::failed(&mut current, missing, Reason::NotAtEdgeAfterRestore, message, &[]);
        transaction.update(current).await?;
        transaction.commit().await
    }

    fn is_missing(&self, record: &Record) -> bool {
        record.secret.origin == Origin::Managed
            && record.secret.state != State::Deleting
            && !self.shows(record)
    }

    /// Whether the workers skip a synced secret: it waits for a user's decision, and it has not reappeared at
    /// the edge.
    pub(super) fn needs_user_decision(&self, record: &Record) -> bool {
        is_held(record) && !self.shows(record)
    }

    /// Whether the edge has any object with its name.
    fn shows(&self, record: &Record) -> bool {
        self.0.engines.shows(record.secret.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, Status, SyncEngine, SyncedSecret};

    #[test]
    fn a_sync_a_deletion_or_another_condition_ends_the_hold() {
        let mut record = Record::new(SyncedSecret::example("edp1secrets"), SyncEngine::Direct);
        assert!(!is_held(&record));
        let condition = |reason| Condition::new(ConditionType::Synced, Status::False, reason, "");
        record.secret.set_condition(condition(Reason::NotAtEdgeAfterRestore));
        assert!(is_held(&record));
        let changes: [fn(&mut Record); 2] =
            [|record| record.sync_requests = 1, |record| record.secret.state = State::Deleting];
        for change in changes {
            let mut record = record.clone();
            change(&mut record);
            assert!(!is_held(&record));
        }
        record.secret.set_condition(condition(Reason::Pending));
        assert!(!is_held(&record));
    }
}
