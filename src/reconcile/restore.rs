//! A database of an earlier time than what the edge holds, because it was restored from a backup or another
//! process with another database has acted since, is held against the edge before anything is written there.
//!
//! What the edge holds is recorded: what was made since, and later generations. What it no longer holds may
//! have been deleted since, and is not brought back by itself: it says so, and waits for a person, who syncs
//! it or deletes it.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Reconciler, last_reason::LastReason, rebuild::RebuildError, record_update};
use crate::{
    model::{ConditionType, Origin, Reason, State},
    store::{RebuildCause, Record, Restored, StoreError},
};

/// How soon it is tried again where the database fails.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the lists of the extension's resources are waited for: a cluster may not serve them.
const LISTS_DEADLINE: Duration = Duration::from_secs(30);

/// Whether a synced secret waits for a person since the database was restored. What is asked for since then
/// sets another condition.
pub(super) fn is_held(record: &Record) -> bool {
    let reason = record.secret.condition(ConditionType::Synced).map(|condition| condition.reason);
    reason == Some(Reason::NotAtEdgeAfterRestore)
        && record.sync_requests == record.synced_requests
        && record.secret.state != State::Deleting
}

impl Reconciler {
    /// Lets the workers begin: at once, but for a database that may be behind, which is held against the edge
    /// first.
    pub(super) async fn settle_restore(self, stop: CancellationToken) {
        // Whose turn it is is known within a moment; while nobody can tell, nothing is written anyway.
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

    /// Waits until the workers may begin.
    pub(super) async fn until_settled(&self) {
        // The sender lives as long as this does.
        let _ = self.0.may_work.subscribe().wait_for(|may| *may).await;
    }

    /// Brings the database up to what the edge holds, where it is of an earlier time than that. Tries until
    /// it has.
    pub(super) async fn settle_history(&self) {
        let mut last_reason = LastReason::default();
        loop {
            let predecessor = self.0.edge.leadership().predecessor();
            match self.hold_against_edge(predecessor.as_deref()).await {
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

    /// Why the database is of an earlier time than what the edge holds, where it is: a sentence.
    async fn behind(&self, predecessor: Option<&str>) -> Result<Option<String>, StoreError> {
        if let Some(Restored { backup }) = self.0.store.restored().await? {
            return Ok(Some(format!("The database was restored from a backup of {:.0}.", backup.time)));
        }
        let Some(place) = predecessor else { return Ok(None) };
        // A new database is filled in another way.
        if self.0.store.rebuild_cause().await? == Some(RebuildCause::New) {
            return Ok(None);
        }
        let is_known = match place.parse() {
            Ok(place) => self.0.store.has_passed(place).await?,
            Err(_) => false,
        };
        let other =
            "Another process has acted for the instance, with another database, since this one was written.";
        Ok((!is_known).then(|| other.to_owned()))
    }

    async fn hold_against_edge(&self, predecessor: Option<&str>) -> Result<(), RebuildError> {
        let Some(why) = self.behind(predecessor).await? else {
            // The position that another process recorded last is some seconds older than its last change.
            return if self.is_standby() { self.rebuild_because(RebuildCause::Behind).await } else { Ok(()) };
        };
        tracing::warn!("{why} Nothing is written to the edge until it was compared with the database");
        // Only a list that is complete says what is gone.
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
                "The edge no longer holds it. {why} It may have been deleted since, and is not written again by itself. Sync it now to \
                 bring it back (SyncSyncedSecret), or delete it."
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

    /// Whether a synced secret is left alone: it waits for a person, and nobody has brought it back at the
    /// edge.
    pub(super) fn needs_user_decision(&self, record: &Record) -> bool {
        is_held(record) && !self.shows(record)
    }

    /// Whether the edge shows anything under its name.
    fn shows(&self, record: &Record) -> bool {
        self.0.engines.shows(record.secret.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Condition, Status, SyncEngine, SyncedSecret};

    #[test]
    fn it_waits_until_somebody_syncs_or_deletes_it_or_something_else_is_the_matter() {
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
