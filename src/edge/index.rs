//! A cache of the metadata of the namespace's Secrets, kept by a watch. It never contains a value.

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use parking_lot::RwLock;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Edge, EdgeError, Written, manifest::uid_label, watches};
use crate::quote::Quote;

/// The pause before a list of all Secrets after the watch has failed, and before the next one if that fails.
const RECHECK: Duration = Duration::from_secs(2);

/// The cache of the namespace's Secrets.
#[derive(Clone)]
pub struct Index(Arc<Inner>);

struct Inner {
    known: RwLock<Cache>,
    /// Whether the watch works; None until its first event or error. This does not tell whether the cache is
    /// complete: a watch that was denied is unhealthy, and the cache is empty.
    healthy: watch::Sender<Option<bool>>,
}

/// The cached metadata of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    written: Written,
    /// The uid of a synced secret that it carries as our label.
    label: Option<Uuid>,
}

/// The cached Secrets of the namespace.
struct Cache {
    secrets: HashMap<String, Entry>,
    /// Whether all Secrets were listed once. Before that, a Secret that is not cached may still exist.
    is_complete: bool,
}

/// The cached state of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CachedSecret {
    /// There is such a Secret.
    Present(Written),
    /// There is none.
    Absent,
    /// Unknown: the first list is not complete.
    Unknown,
}

/// An object that carries the uid of a synced secret as our label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Its name.
    pub name: String,
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// The uid that the label says.
    pub label: Uuid,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new() -> Self {
        let known = Cache { secrets: HashMap::new(), is_complete: false };
        Self(Arc::new(Inner { known: RwLock::new(known), healthy: watch::Sender::new(None) }))
    }

    /// What the cache knows of a name.
    pub fn get(&self, name: &str) -> CachedSecret {
        self.read().get(name)
    }

    /// Whether all Secrets were listed once. Before that, a Secret that is not cached may still exist.
    pub fn is_complete(&self) -> bool {
        self.read().is_complete
    }

    /// Records the response to a write before the watch shows it. `before` is what the cache knew before the
    /// write. If the watch has changed the entry since then, the entry stays: it may be newer than the
    /// response, and no further event would correct it.
    pub fn note(&self, name: &str, before: &CachedSecret, written: &Written) {
        let mut known = self.write();
        if known.get(name) == *before {
            let label = known.secrets.get(name).and_then(|entry| entry.label);
            known.secrets.insert(name.to_owned(), Entry { written: written.clone(), label });
        }
    }

    /// The uid in the label of a Secret, whether the Secret is ours or not.
    pub fn label_of(&self, name: &str) -> Option<Uuid> {
        self.read().secrets.get(name)?.label
    }

    /// The Secrets that carry our label.
    pub fn labelled(&self) -> Vec<Labelled> {
        let labelled = |(name, entry): (&String, &Entry)| {
            Some(Labelled { name: name.clone(), uid: entry.written.uid.clone(), label: entry.label? })
        };
        self.read().secrets.iter().filter_map(labelled).collect()
    }

    /// Whether the watch works; None until its first event or error.
    pub fn healthy(&self) -> watch::Receiver<Option<bool>> {
        self.0.healthy.subscribe()
    }

    /// Waits until all Secrets were listed once. Returns whether they were.
    pub async fn listed(&self, until: Instant) -> bool {
        let mut healthy = self.healthy();
        let listed = healthy.wait_for(|_| self.is_complete());
        matches!(timeout_at(until, listed).await, Ok(Ok(_)))
    }

    /// Waits until the cache holds all Secrets and the watch works: while it fails, what was seen before may be
    /// wrong by now. Returns whether this is so.
    pub async fn current(&self, until: Instant) -> bool {
        let mut healthy = self.healthy();
        let current = healthy.wait_for(|healthy| *healthy == Some(true) && self.is_complete());
        matches!(timeout_at(until, current).await, Ok(Ok(_)))
    }

    /// Relists all Secrets now, independently of the watch.
    pub async fn relist(&self, edge: &Edge) -> Result<(), EdgeError> {
        let listed = edge.list_written().await?;
        self.replace(listed);
        // The watch is as it was, but whoever waits for the first list has it.
        self.0.healthy.send_modify(|_| ());
        Ok(())
    }

    /// Watches until `stop` is cancelled, and sends the name of every Secret that changed.
    pub async fn run(self, edge: Edge, changed: mpsc::Sender<String>, stop: CancellationToken) {
        tokio::select! {
            () = self.follow(edge, changed) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&self, edge: Edge, changed: mpsc::Sender<String>) {
        let mut events = pin!(watcher(edge.metadata.clone(), watches::config()).default_backoff().boxed());
        let mut listing: Option<HashMap<String, Entry>> = None;
        // The first list of the watch gets no more time than any other request.
        let patience = edge.timeout;
        let mut relist_at = Some(Instant::now() + patience);
        loop {
            let names = tokio::select! {
                event = events.try_next() => match event {
                    Ok(Some(event)) => {
                        if matches!(event, watcher::Event::InitDone) {
                            relist_at = None;
                        }
                        self.take(event, &mut listing)
                    }
                    Ok(None) => return,
                    // The watch has fallen behind and relists: that is not a failure.
                    Err(watcher::Error::WatchError(status)) if status.code == 410 => {
                        relist_at.get_or_insert(Instant::now() + patience);
                        continue;
                    }
                    Err(error) => {
                        // Log it once: the watch retries for as long as the cluster is unreachable.
                        if *self.0.healthy.borrow() != Some(false) {
                            tracing::warn!(error = %Quote::error(&error), "the watch of Secrets failed; retrying");
                        }
                        self.set_healthy(false);
                        let soon = Instant::now() + RECHECK;
                        relist_at = Some(relist_at.map_or(soon, |due| due.min(soon)));
                        continue;
                    }
                },
                () = at(relist_at) => {
                    let listed = edge.list_written().await;
                    let is_well = listed.is_ok();
                    let names = listed.map(|listed| self.replace(listed)).unwrap_or_default();
                    // A watch that resumes after a failure has no event until something changes, so a list
                    // shows that the cluster is back. Set it only after `replace`: subscribers read the cache
                    // at once.
                    self.set_healthy(is_well);
                    relist_at = (!is_well).then(|| Instant::now() + RECHECK);
                    names
                }
            };
            for name in names {
                if changed.send(name).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Processes an event. Returns the names that it changed.
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
                    self.write().secrets.insert(name.clone(), entry);
                    vec![name]
                }
                None => Vec::new(),
            },
            watcher::Event::Delete(secret) => {
                let name = secret.metadata.name.unwrap_or_default();
                self.write().secrets.remove(&name);
                vec![name]
            }
        };
        self.set_healthy(true);
        changed
    }

    fn set_healthy(&self, now: bool) {
        self.0.healthy.send_if_modified(|healthy| healthy.replace(now) != Some(now));
    }

    /// Replaces the cache by a complete list. Returns the names that differ from the cache before.
    fn replace(&self, listed: HashMap<String, Entry>) -> Vec<String> {
        let mut known = self.write();
        let gone = known.secrets.keys().filter(|name| !listed.contains_key(*name));
        let changed = listed.iter().filter(|(name, entry)| known.secrets.get(*name) != Some(*entry));
        let names = gone.chain(changed.map(|(name, _)| name)).cloned().collect();
        *known = Cache { secrets: listed, is_complete: true };
        names
    }

    fn read(&self) -> parking_lot::RwLockReadGuard<'_, Cache> {
        self.0.known.read()
    }

    fn write(&self) -> parking_lot::RwLockWriteGuard<'_, Cache> {
        self.0.known.write()
    }
}

impl Cache {
    fn get(&self, name: &str) -> CachedSecret {
        match self.secrets.get(name) {
            Some(entry) => CachedSecret::Present(entry.written.clone()),
            None if self.is_complete => CachedSecret::Absent,
            None => CachedSecret::Unknown,
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Edge {
    async fn list_written(&self) -> Result<HashMap<String, Entry>, EdgeError> {
        let mut all = HashMap::new();
        self.each(&self.metadata, |secret| all.extend(entry(&secret))).await?;
        Ok(all)
    }
}

/// Waits until a time; forever if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn entry(secret: &PartialObjectMeta<Secret>) -> Option<(String, Entry)> {
    let metadata = &secret.metadata;
    let written =
        Written { uid: metadata.uid.clone()?, resource_version: metadata.resource_version.clone()? };
    let label = uid_label(metadata).and_then(|label| label.parse().ok());
    Some((metadata.name.clone()?, Entry { written, label }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str) -> Written {
        Written { uid: "uid".into(), resource_version: version.into() }
    }

    /// The watch reports a version.
    fn tell(index: &Index, name: &str, written: Written) {
        let mut secret = PartialObjectMeta::<Secret>::default();
        secret.metadata.name = Some(name.to_owned());
        (secret.metadata.uid, secret.metadata.resource_version) =
            (Some(written.uid), Some(written.resource_version));
        assert_eq!(index.take(watcher::Event::Apply(secret), &mut None), [name]);
    }

    #[test]
    fn a_late_response_does_not_overwrite_a_newer_watch_event() {
        let index = Index::new();
        tell(&index, "a", version("1"));
        let before = index.get("a");
        index.note("a", &before, &version("2"));
        assert_eq!(index.get("a"), CachedSecret::Present(version("2")), "known before the watch tells of it");

        let before = index.get("a");
        // We write 3; somebody writes 4, and the watch tells of both before our answer arrives.
        tell(&index, "a", version("3"));
        tell(&index, "a", version("4"));
        index.note("a", &before, &version("3"));
        assert_eq!(index.get("a"), CachedSecret::Present(version("4")));
    }
}
