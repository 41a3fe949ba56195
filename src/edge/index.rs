//! What the watch over the namespace's Secrets last said: metadata only, never a value.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, RwLock},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Edge, PAGE, Written, error::brief, manifest::uid_label};

/// How often the whole list is compared with what the watch said: a watch can die without a word.
const COMPARE: Duration = Duration::from_secs(300);
/// The same after a failure.
const RECHECK: Duration = Duration::from_secs(2);

/// The Secrets of the namespace as they were last seen.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    seen: RwLock<HashMap<String, Entry>>,
    /// Absent until the first list is complete; then whether the latest word of the watch was a good one.
    healthy: watch::Sender<Option<bool>>,
}

/// A Secret, as far as its metadata was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    written: Written,
    /// The uid of a synced secret that it carries as our label.
    label: Option<Uuid>,
}

/// What the index knows of a name.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is such a Secret.
    There(Written),
    /// There is none.
    Gone,
    /// Nobody knows: the first list is not complete.
    Unknown,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(Inner { seen: RwLock::default(), healthy: watch::Sender::new(None) }))
    }

    /// What was last seen under a name.
    pub fn get(&self, name: &str) -> Seen {
        if self.0.healthy.borrow().is_none() {
            return Seen::Unknown;
        }
        match self.read().get(name) {
            Some(entry) => Seen::There(entry.written.clone()),
            None => Seen::Gone,
        }
    }

    /// Remembers our own write before the watch tells of it.
    pub fn note(&self, name: &str, written: Option<Written>) {
        let mut seen = self.0.seen.write().expect("no one panics while holding the index");
        match written {
            Some(written) => {
                let label = seen.get(name).and_then(|entry| entry.label);
                seen.insert(name.to_owned(), Entry { written, label })
            }
            None => seen.remove(name),
        };
    }

    /// The uid of a synced secret that a Secret carries as our label, whether it is one of ours or not.
    pub fn label_of(&self, name: &str) -> Option<Uuid> {
        self.read().get(name)?.label
    }

    /// All such uids.
    pub fn labelled(&self) -> Vec<Uuid> {
        self.read().values().filter_map(|entry| entry.label).collect()
    }

    /// Whether the watch is up: `None` while it has not yet listed.
    pub fn healthy(&self) -> watch::Receiver<Option<bool>> {
        self.0.healthy.subscribe()
    }

    /// Watches until told to stop, and says the name of every Secret that changed.
    pub async fn run(self, edge: Edge, changed: mpsc::Sender<String>, stop: CancellationToken) {
        tokio::select! {
            () = self.follow(edge, changed) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&self, edge: Edge, changed: mpsc::Sender<String>) {
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = pin!(watcher(edge.metadata.clone(), config).default_backoff().boxed());
        let mut listing: Option<HashMap<String, Entry>> = None;
        let mut look = pin!(sleep(COMPARE));
        loop {
            let names = tokio::select! {
                event = events.try_next() => match event {
                    Ok(Some(event)) => self.take(event, &mut listing),
                    Ok(None) => return,
                    Err(error) => {
                        tracing::warn!(error = %brief(&error.to_string()), "the watch over Secrets failed; it is tried again");
                        self.set_healthy(false);
                        let soon = Instant::now() + RECHECK;
                        if look.deadline() > soon {
                            look.as_mut().reset(soon);
                        }
                        continue;
                    }
                },
                () = look.as_mut() => {
                    let listed = edge.list_written().await;
                    // A watch that is resumed after a failure says nothing until something changes: a list says that all is well.
                    self.set_healthy(listed.is_ok());
                    look.as_mut().reset(Instant::now() + if listed.is_ok() { COMPARE } else { RECHECK });
                    listed.map(|listed| self.replace(listed)).unwrap_or_default()
                }
            };
            for name in names {
                if changed.send(name).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Takes in an event; the names that changed by it.
    fn take(
        &self,
        event: watcher::Event<PartialObjectMeta<Secret>>,
        listing: &mut Option<HashMap<String, Entry>>,
    ) -> Vec<String> {
        let changed = match event {
            watcher::Event::Init => {
                *listing = Some(HashMap::new());
                return Vec::new();
            }
            watcher::Event::InitApply(secret) => {
                listing.get_or_insert_default().extend(entry(&secret));
                return Vec::new();
            }
            watcher::Event::InitDone => self.replace(listing.take().unwrap_or_default()),
            watcher::Event::Apply(secret) => match entry(&secret) {
                Some((name, entry)) => {
                    self.0
                        .seen
                        .write()
                        .expect("no one panics while holding the index")
                        .insert(name.clone(), entry);
                    vec![name]
                }
                None => Vec::new(),
            },
            watcher::Event::Delete(secret) => {
                let name = secret.metadata.name.unwrap_or_default();
                self.note(&name, None);
                vec![name]
            }
        };
        self.set_healthy(true);
        changed
    }

    fn set_healthy(&self, now: bool) {
        self.0.healthy.send_if_modified(|healthy| healthy.replace(now) != Some(now));
    }

    /// Takes in a complete list; the names whose Secrets differ from what was seen before.
    fn replace(&self, listed: HashMap<String, Entry>) -> Vec<String> {
        let mut seen = self.0.seen.write().expect("no one panics while holding the index");
        let gone = seen.keys().filter(|name| !listed.contains_key(*name));
        let changed = listed.iter().filter(|(name, entry)| seen.get(*name) != Some(*entry));
        let names = gone.chain(changed.map(|(name, _)| name)).cloned().collect();
        *seen = listed;
        names
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Entry>> {
        self.0.seen.read().expect("no one panics while holding the index")
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Edge {
    async fn list_written(&self) -> Result<HashMap<String, Entry>, super::EdgeError> {
        let mut all = HashMap::new();
        self.each(&self.metadata, |secret| all.extend(entry(&secret))).await?;
        Ok(all)
    }
}

fn entry(secret: &PartialObjectMeta<Secret>) -> Option<(String, Entry)> {
    let metadata = &secret.metadata;
    let written =
        Written { uid: metadata.uid.clone()?, resource_version: metadata.resource_version.clone()? };
    let label = uid_label(metadata).and_then(|label| label.parse().ok());
    Some((metadata.name.clone()?, Entry { written, label }))
}
