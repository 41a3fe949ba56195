//! Get, List and Watch of synced secrets, served from memory.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use super::{Error, Secrets};
use crate::{
    model::{ChangeKind, Filter, SyncedSecret, SyncedSecretId},
    store::{Feed, FeedPlace, Record, Store},
};

/// Changes read from the feed in one query.
const FEED_PAGE: i64 = 500;

/// A page of synced secrets.
pub struct Listed {
    /// In the order of their ids.
    pub records: Vec<Arc<Record>>,
    /// Number of all matches.
    pub total: usize,
    /// Whether there are more.
    pub more: bool,
}

/// An event of a watch.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// It exists, or matches now.
    Added(Arc<SyncedSecret>),
    /// It changed.
    Modified(Arc<SyncedSecret>),
    /// It is gone, or no longer matches; in its last known state.
    Deleted(Arc<SyncedSecret>),
    /// All changes up to here were sent.
    Bookmark,
}

/// An event and its place in the feed; without a place in the initial state.
pub type PlacedEvent = (WatchEvent, Option<Span>);

/// Where a watch can resume: before an event, to receive it again, or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Before it.
    pub before: FeedPlace,
    /// After it.
    pub after: FeedPlace,
}

/// Reads the change feed for one watch, at the client's pace.
pub struct Watcher {
    store: Store,
    changed: watch::Receiver<i64>,
    filter: Filter,
    position: FeedPlace,
    /// Events that are ready and not sent yet.
    ready: VecDeque<PlacedEvent>,
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

    /// Watches from the initial state, or from a place in the feed.
    pub async fn watch_synced_secrets(
        &self,
        filter: Filter,
        resume: Option<FeedPlace>,
    ) -> Result<Watcher, Error> {
        let store = self.0.store.clone();
        let changed = store.subscribe();
        let (position, ready) = (FeedPlace::default(), VecDeque::new());
        let mut watcher = Watcher { store, changed, filter, position, ready };
        match resume {
            // Pruned, or from before a restore: the changes that follow are not the ones that the client
            // missed.
            Some(place) if !watcher.store.has_passed(place).await? => return Err(Error::TooOld),
            Some(place) => {
                watcher.position = place;
                watcher.read().await?;
            }
            None => watcher.list(),
        }
        Ok(watcher)
    }
}

impl Watcher {
    /// The next event.
    pub async fn next(&mut self) -> Result<PlacedEvent, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if self.position.sequence == self.store.view().sequence() {
                // The sender lives in the store, which lives in `self`.
                let _ = self.changed.changed().await;
            }
            self.read().await?;
        }
    }

    /// A bookmark with the current place. Only call it between events.
    pub fn bookmark(&self) -> PlacedEvent {
        (WatchEvent::Bookmark, Some(Span { before: self.position, after: self.position }))
    }

    /// Whether no event is waiting to be sent.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether all changes so far were sent.
    pub fn is_current(&self) -> bool {
        self.is_idle() && self.position.sequence == self.store.view().sequence()
    }

    fn list(&mut self) {
        let snapshot = self.store.view().snapshot();
        self.position = snapshot.place;
        let matching = snapshot.records.iter().filter(|record| self.filter.matches(&record.secret));
        self.ready =
            matching.map(|record| (WatchEvent::Added(Arc::new(record.secret.clone())), None)).collect();
        self.ready.push_back(self.bookmark());
    }

    async fn read(&mut self) -> Result<(), Error> {
        let Feed::Changes(changes) = self.store.changes_after(self.position.sequence, FEED_PAGE).await?
        else {
            return Err(Error::TooOld);
        };
        for change in changes {
            let span = Span { before: self.position, after: change.place };
            self.position = change.place;
            let before = change.before.filter(|before| self.filter.matches(before));
            let after = (change.kind == ChangeKind::Put && self.filter.matches(&change.after))
                .then_some(change.after);
            let event = match (before, after) {
                (None, None) => continue,
                (None, Some(after)) => WatchEvent::Added(after),
                (Some(_), Some(after)) => WatchEvent::Modified(after),
                (Some(before), None) => WatchEvent::Deleted(before),
            };
            self.ready.push_back((event, Some(span)));
        }
        Ok(())
    }
}
