//! Get, List and Watch: what is recorded, from memory.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use super::{Error, Secrets};
use crate::{
    model::{ChangeKind, Filter, SyncedSecret, SyncedSecretId},
    store::{Feed, Record, Store},
};

/// Changes read from the feed at a time.
const FEED_PAGE: i64 = 500;

/// A page of synced secrets.
pub struct Listed {
    /// In the order of their ids.
    pub records: Vec<Arc<Record>>,
    /// How many match in all.
    pub total: usize,
    /// Whether there are more.
    pub more: bool,
}

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// It is there, or has come to match.
    Added(Arc<SyncedSecret>),
    /// It changed.
    Modified(Arc<SyncedSecret>),
    /// It is gone, or no longer matches; as it was last seen.
    Deleted(Arc<SyncedSecret>),
    /// Everything up to here was told.
    Bookmark,
}

/// Reads the change feed for one watcher, at the watcher's own pace.
pub struct Watcher {
    store: Store,
    changed: watch::Receiver<i64>,
    filter: Filter,
    told: i64,
    /// Events that are decided and not yet told, each with the sequence to resume from; none within the initial state.
    ready: VecDeque<(WatchEvent, Option<i64>)>,
}

impl Secrets {
    /// A synced secret.
    pub fn get_synced_secret(&self, id: &SyncedSecretId) -> Result<Arc<Record>, Error> {
        self.find(id)
    }

    /// The synced secrets after an id.
    pub fn list_synced_secrets(
        &self,
        after: Option<&SyncedSecretId>,
        limit: usize,
        filter: &Filter,
    ) -> Listed {
        let (mut records, total) = self.0.store.view().page(after, limit + 1, filter);
        let more = records.len() > limit;
        records.truncate(limit);
        Listed { records, total, more }
    }

    /// Watches from the initial state on, or from a place in the feed.
    pub async fn watch_synced_secrets(&self, filter: Filter, resume: Option<i64>) -> Result<Watcher, Error> {
        let store = self.0.store.clone();
        let changed = store.subscribe();
        let mut watcher = Watcher { store, changed, filter, told: 0, ready: VecDeque::new() };
        match resume {
            // A place that the feed has not reached is of a database that was since put back to an earlier state.
            Some(sequence) if sequence > watcher.store.view().sequence() => return Err(Error::TooOld),
            Some(sequence) => {
                watcher.told = sequence;
                watcher.read().await?;
            }
            None => watcher.list(),
        }
        Ok(watcher)
    }
}

impl Watcher {
    /// The next event, and the sequence from which a watch can be resumed after it.
    pub async fn next(&mut self) -> Result<(WatchEvent, Option<i64>), Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if self.told == self.store.view().sequence() {
                // The sender lives in the store, which lives in `self`.
                let _ = self.changed.changed().await;
            }
            self.read().await?;
        }
    }

    /// A sign of life, with the place reached. Only between events.
    pub fn bookmark(&self) -> (WatchEvent, Option<i64>) {
        (WatchEvent::Bookmark, Some(self.told))
    }

    /// Whether everything decided was told.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether everything that happened was told.
    pub fn is_current(&self) -> bool {
        self.is_idle() && self.told == self.store.view().sequence()
    }

    fn list(&mut self) {
        let snapshot = self.store.view().snapshot();
        self.told = snapshot.sequence;
        let matching = snapshot.records.iter().filter(|record| self.filter.matches(&record.secret));
        self.ready =
            matching.map(|record| (WatchEvent::Added(Arc::new(record.secret.clone())), None)).collect();
        self.ready.push_back((WatchEvent::Bookmark, Some(self.told)));
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Feed::Changes(changes) = self.store.changes_after(self.told, FEED_PAGE).await? else {
            return Err(Error::TooOld);
        };
        for change in changes {
            self.told = change.sequence;
            let before = change.before.filter(|before| self.filter.matches(before));
            let after = (change.kind == ChangeKind::Put && self.filter.matches(&change.after))
                .then_some(change.after);
            let event = match (before, after) {
                (None, None) => continue,
                (None, Some(after)) => WatchEvent::Added(after),
                (Some(_), Some(after)) => WatchEvent::Modified(after),
                (Some(before), None) => WatchEvent::Deleted(before),
            };
            self.ready.push_back((event, Some(self.told)));
        }
        Ok(())
    }
}
