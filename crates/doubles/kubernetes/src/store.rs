//! The objects of the cluster with one increasing revision, and the recent history for watches.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, OnceLock},
};

use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    journal::{self, Commit, META, OBJECTS, REVISION},
    object::Stored,
};
use doubles_common::disk::{Disk, DiskError};

/// How many changes are kept for watches; an older resourceVersion gets 410.
const HISTORY: usize = 20_000;
/// The gap in revisions at a start, so that a revision that was assigned just before a kill -9, and lost, isn't
/// reused.
const LEAP: u64 = 1_000;

/// The key of an object within its resource. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub namespace: String,
    pub name: String,
}

/// One change.
pub(super) struct Change {
    pub revision: u64,
    pub resource: Arc<str>,
    pub key: Arc<Key>,
    pub before: Option<Arc<Stored>>,
    /// After a removal: the last state, with the revision of the removal.
    pub after: Arc<Stored>,
    pub removed: bool,
}

/// A change, for a witness.
pub struct Happened<'a> {
    /// `GROUP/PLURAL`.
    pub resource: &'a str,
    /// Empty for cluster-scoped objects.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The object after the change; after a removal, its last state.
    pub object: &'a Value,
    /// Whether it is removed.
    pub removed: bool,
}

/// The callback for every change.
pub(super) type Witness = Box<dyn Fn(Happened<'_>) + Send + Sync>;

/// The objects of one resource at one revision.
pub(super) struct Snapshot {
    pub revision: u64,
    pub items: Vec<(Arc<Key>, Arc<Stored>)>,
}

/// Why a write failed.
#[derive(Debug)]
pub(super) enum CommitError {
    /// The object has changed.
    Raced,
    /// The write to disk failed.
    Disk,
}

/// The history doesn't reach back that far. Contains the oldest revision that it has.
#[derive(Debug)]
pub(super) struct TooOld(pub u64);

/// The objects of the cluster.
pub(super) struct Store {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    witness: OnceLock<Witness>,
    journal: JoinHandle<()>,
}

struct State {
    revision: u64,
    /// Changes after this revision are all in `history`.
    oldest: u64,
    /// By resource (`GROUP/PLURAL`).
    objects: HashMap<Arc<str>, BTreeMap<Arc<Key>, Arc<Stored>>>,
    history: VecDeque<Arc<Change>>,
    /// Absent after the store is closed.
    commits: Option<mpsc::UnboundedSender<Commit>>,
}

// === impl Store ===

impl Store {
    /// Loads the state from disk.
    pub async fn open(disk: Disk) -> Result<Self, DiskError> {
        let mut objects: HashMap<Arc<str>, BTreeMap<Arc<Key>, Arc<Stored>>> = HashMap::new();
        let mut revision = 0;
        for (_, bytes) in disk.load(META).await?.iter().filter(|(key, _)| key == REVISION) {
            revision = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        }
        for (path, bytes) in disk.load(OBJECTS).await? {
            let value: Value = serde_json::from_slice(&bytes).map_err(|_| DiskError::Sealed)?;
            let (resource, key) = parse_path(&path).ok_or(DiskError::Sealed)?;
            let at = super::object::text(&value, "/metadata/resourceVersion").parse().unwrap_or(0);
            objects
                .entry(resource.into())
                .or_default()
                .insert(key.into(), Arc::new(Stored { value, revision: at }));
            revision = revision.max(at);
        }
        revision += LEAP;
        let (commits, receiver) = mpsc::unbounded_channel();
        let state =
            State { revision, oldest: revision, objects, history: VecDeque::new(), commits: Some(commits) };
        Ok(Self {
            state: Mutex::new(state),
            revision: watch::Sender::new(revision),
            witness: OnceLock::new(),
            journal: tokio::spawn(journal::run(disk, receiver)),
        })
    }

    /// See [`super::Cluster::witness`].
    pub fn witness(&self, witness: Witness) {
        // The first one stays.
        let _ = self.witness.set(witness);
    }

    /// Waits until all writes are on disk. No write is accepted afterwards.
    pub async fn close(&self) {
        self.lock().commits = None;
        while !self.journal.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// The latest revision, with notification of later ones.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The latest revision.
    pub fn revision(&self) -> u64 {
        self.lock().revision
    }

    pub fn get(&self, resource: &str, key: &Key) -> Option<Arc<Stored>> {
        self.lock().objects.get(resource)?.get(key).cloned()
    }

    /// All resources with objects.
    pub fn resources(&self) -> Vec<Arc<str>> {
        let state = self.lock();
        state
            .objects
            .iter()
            .filter(|(_, objects)| !objects.is_empty())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The objects of a resource, of one namespace or of all, as they are or as they were at a revision.
    pub fn list(&self, resource: &str, namespace: &str, at: Option<u64>) -> Result<Snapshot, TooOld> {
        let state = self.lock();
        let at = at.unwrap_or(state.revision);
        if at < state.oldest {
            return Err(TooOld(state.oldest));
        }
        let mut items = state.select(resource, namespace);
        let later = state.history.iter().rev().take_while(|change| change.revision > at);
        let later: Vec<_> = later.filter(|change| &*change.resource == resource).cloned().collect();
        if !later.is_empty() {
            let mut rewound: BTreeMap<_, _> = items.into_iter().collect();
            for change in later.iter().filter(|change| within(namespace, &change.key)) {
                match &change.before {
                    Some(before) => rewound.insert(change.key.clone(), before.clone()),
                    None => rewound.remove(&change.key),
                };
            }
            items = rewound.into_iter().collect();
        }
        Ok(Snapshot { revision: at, items })
    }

    /// The changes of a resource after a revision, and the revision up to which this is complete.
    pub fn changes(&self, resource: &str, after: u64) -> Result<(Vec<Arc<Change>>, u64), TooOld> {
        let state = self.lock();
        if after < state.oldest {
            return Err(TooOld(state.oldest));
        }
        let first = state.history.partition_point(|change| change.revision <= after);
        let changes = state.history.range(first..).filter(|change| &*change.resource == resource).cloned();
        Ok((changes.collect(), state.revision.max(after)))
    }

    /// Drops the history, so that every watch from before now gets 410.
    pub fn compact(&self) {
        let mut state = self.lock();
        // With a new revision, so that even the latest one that clients have is too old.
        state.revision += 1;
        state.oldest = state.revision;
        state.history.clear();
    }

    /// Writes an object that is still at the expected revision (absent: that doesn't exist). Returns when it is
    /// durable.
    pub async fn put(
        &self,
        resource: &str,
        key: &Key,
        expected: Option<u64>,
        value: Value,
    ) -> Result<Arc<Stored>, CommitError> {
        let (stored, durable) = self.stage(resource, key, expected, value, false)?;
        durable.await.ok().filter(|written| *written).ok_or(CommitError::Disk)?;
        Ok(stored)
    }

    /// Removes an object that is still at the expected revision; returns its last state.
    pub async fn remove(
        &self,
        resource: &str,
        key: &Key,
        expected: u64,
        last: Value,
    ) -> Result<Arc<Stored>, CommitError> {
        let (stored, durable) = self.stage(resource, key, Some(expected), last, true)?;
        durable.await.ok().filter(|written| *written).ok_or(CommitError::Disk)?;
        Ok(stored)
    }

    fn stage(
        &self,
        resource: &str,
        key: &Key,
        expected: Option<u64>,
        mut value: Value,
        removed: bool,
    ) -> Result<(Arc<Stored>, oneshot::Receiver<bool>), CommitError> {
        let mut state = self.lock();
        let before = state.objects.get(resource).and_then(|objects| objects.get(key)).cloned();
        if before.as_ref().map(|stored| stored.revision) != expected {
            return Err(CommitError::Raced);
        }
        let revision = state.revision + 1;
        value["metadata"]["resourceVersion"] = json!(revision.to_string());
        let after = Arc::new(Stored { value, revision });
        let (done, durable) = oneshot::channel();
        let object = (!removed).then(|| after.clone());
        let commit = Commit { path: path(resource, key), revision, object, done };
        // Sent under the lock, so that the journal gets the commits in the order of their revisions.
        let sent = state.commits.as_ref().is_some_and(|commits| commits.send(commit).is_ok());
        if !sent {
            return Err(CommitError::Disk);
        }
        state.record(resource, key, before, after.clone(), removed);
        if let Some(witness) = self.witness.get() {
            let (namespace, name) = (&key.namespace, &key.name);
            witness(Happened { resource, namespace, name, object: &after.value, removed });
        }
        drop(state);
        self.revision.send_replace(revision);
        Ok((after, durable))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

// === impl State ===

impl State {
    fn select(&self, resource: &str, namespace: &str) -> Vec<(Arc<Key>, Arc<Stored>)> {
        let Some(objects) = self.objects.get(resource) else { return Vec::new() };
        let from = Key { namespace: namespace.to_owned(), name: String::new() };
        objects
            .range::<Key, _>((Bound::Included(&from), Bound::Unbounded))
            .take_while(|(key, _)| within(namespace, key))
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect()
    }

    fn record(
        &mut self,
        resource: &str,
        key: &Key,
        before: Option<Arc<Stored>>,
        after: Arc<Stored>,
        removed: bool,
    ) {
        let name: Arc<str> = match self.objects.get_key_value(resource) {
            Some((name, _)) => name.clone(),
            None => resource.into(),
        };
        let objects = self.objects.entry(name.clone()).or_default();
        let key = match objects.get_key_value(key) {
            Some((key, _)) => key.clone(),
            None => Arc::new(key.clone()),
        };
        if removed {
            objects.remove(&key);
        } else {
            objects.insert(key.clone(), after.clone());
        }
        self.revision = after.revision;
        let change = Change { revision: self.revision, resource: name, key, before, after, removed };
        self.history.push_back(Arc::new(change));
        if self.history.len() > HISTORY
            && let Some(forgotten) = self.history.pop_front()
        {
            self.oldest = forgotten.revision;
        }
    }
}

/// Whether a key is in a namespace; an empty namespace means all.
fn within(namespace: &str, key: &Key) -> bool {
    namespace.is_empty() || key.namespace == namespace
}

fn path(resource: &str, key: &Key) -> String {
    format!("{resource}/{}/{}", key.namespace, key.name)
}

fn parse_path(path: &str) -> Option<(&str, Key)> {
    let (rest, name) = path.rsplit_once('/')?;
    let (resource, namespace) = rest.rsplit_once('/')?;
    Some((resource, Key { namespace: namespace.to_owned(), name: name.to_owned() }))
}
