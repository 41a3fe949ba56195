//! The control loop: events of the watch, polls, and one reconciliation at a time.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, stream, stream::BoxStream};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, MissedTickBehavior, interval_at},
};

use super::{
    Options,
    queue::{Key, Queue},
    reconcile::Reconciler,
    resources::{SecretSync, secret_syncs},
};

/// The minimum period of a timer.
const SHORTEST_POLL: Duration = Duration::from_millis(1);

/// The namespace of a watch; absent for all.
type Scope = Option<String>;
/// A SecretSync and its generation.
type Identity = (Option<String>, Option<i64>);
/// An event of a watch.
type Event = (Scope, watcher::Result<watcher::Event<SecretSync>>);

/// The controller.
pub(super) struct Controller {
    client: Client,
    reconciler: Reconciler,
    scopes: Vec<Scope>,
    poll_interval: Duration,
    queue: Queue,
    /// The existing SecretSyncs, as last seen or written.
    known: HashMap<Key, SecretSync>,
    /// The state of each that was last reconciled.
    reconciled: HashMap<Key, Identity>,
    /// Deleted SecretSyncs that need a last reconciliation.
    departed: HashMap<Key, SecretSync>,
    /// The SecretSyncs of an initial list or relist in progress.
    listed: HashMap<Scope, HashSet<Key>>,
}

// === impl Controller ===

impl Controller {
    pub fn new(client: Client, reconciler: Reconciler, options: &Options) -> Self {
        let scopes = match &options.namespaces {
            Some(namespaces) => namespaces.iter().cloned().map(Some).collect(),
            None => vec![None],
        };
        Self {
            client,
            reconciler,
            scopes,
            poll_interval: options.rotation_poll_interval,
            queue: Queue::new(options.back_off),
            known: HashMap::new(),
            reconciled: HashMap::new(),
            departed: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// Runs until it is dropped. Answers each poll request when the poll is done.
    pub async fn run(mut self, mut polls: mpsc::Receiver<oneshot::Sender<()>>) {
        let mut events = self.watch();
        let (period, polls_by_itself) =
            (self.poll_interval.max(SHORTEST_POLL), !self.poll_interval.is_zero());
        let mut poll = interval_at(Instant::now() + period, period);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(event) = events.next() => self.take(event),
                _ = poll.tick(), if polls_by_itself => self.known.keys().cloned().for_each(|key| self.queue.push(key)),
                Some(done) = polls.recv() => {
                    self.poll().await;
                    // The requester may be gone.
                    let _ = done.send(());
                }
                key = self.queue.next() => self.reconcile(key).await,
            }
        }
    }

    fn watch(&self) -> stream::SelectAll<BoxStream<'static, Event>> {
        stream::select_all(self.scopes.iter().cloned().map(|scope| {
            let syncs: Api<SecretSync> = match &scope {
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &secret_syncs()),
                None => Api::all_with(self.client.clone(), &secret_syncs()),
            };
            let events = watcher(syncs, watcher::Config::default()).default_backoff();
            events.map(move |event| (scope.clone(), event)).boxed()
        }))
    }

    fn take(&mut self, (scope, event): Event) {
        match event {
            Ok(watcher::Event::Init) => {
                self.listed.insert(scope, HashSet::new());
            }
            Ok(watcher::Event::InitApply(sync)) => {
                self.listed.entry(scope).or_default().insert(key(&sync));
                self.see(sync);
            }
            Ok(watcher::Event::InitDone) => {
                let listed = self.listed.remove(&scope).unwrap_or_default();
                let is_ours = |key: &Key| scope.as_ref().is_none_or(|namespace| *namespace == key.0);
                let gone = self.known.keys().filter(|key| is_ours(key) && !listed.contains(*key));
                gone.cloned().collect::<Vec<_>>().iter().for_each(|key| self.lose(key));
            }
            Ok(watcher::Event::Apply(sync)) => self.see(sync),
            Ok(watcher::Event::Delete(sync)) => self.lose(&key(&sync)),
            Err(error) => tracing::debug!(%error, "the watch over SecretSyncs failed; it is tried again"),
        }
    }

    /// Reconciles only on a change of the generation, not of the status.
    fn see(&mut self, sync: SecretSync) {
        let key = key(&sync);
        // The watch may be behind our own write; an old state must not be reconciled again.
        if self.known.get(&key).is_some_and(|known| is_older(&sync, known)) {
            return;
        }
        let is_news = self.reconciled.get(&key) != Some(&identity(&sync));
        // The reconciliation after a deletion waits for the finalizers, see `lose`.
        let is_leaving = sync.metadata.deletion_timestamp.is_some();
        self.known.insert(key.clone(), sync);
        if is_news && !is_leaving {
            self.queue.push(key);
        }
    }

    /// A SecretSync whose finalizers delayed its removal is reconciled once more, from its last seen state. The real
    /// controller happens to be slower than the garbage collector (4 times of 4); this one always is.
    fn lose(&mut self, key: &Key) {
        let Some(sync) = self.known.remove(key) else { return };
        self.reconciled.remove(key);
        self.queue.forget(key);
        if sync.metadata.deletion_timestamp.is_some() {
            self.departed.insert(key.clone(), sync);
            self.queue.push(key.clone());
        }
    }

    async fn poll(&mut self) {
        for key in self.known.keys().cloned().collect::<Vec<_>>() {
            self.queue.take(&key);
            self.reconcile(key).await;
        }
    }

    /// Reconciles a key that was taken from the queue.
    async fn reconcile(&mut self, key: Key) {
        if let Some(mut departed) = self.departed.remove(&key) {
            // Its status can no longer be written, so this always fails; the result is ignored.
            let _ = self.reconciler.reconcile(&mut departed).await;
        }
        match self.known.get_mut(&key) {
            None => self.queue.forget(&key),
            Some(sync) => {
                self.reconciled.insert(key.clone(), identity(sync));
                match self.reconciler.reconcile(sync).await {
                    Ok(()) => self.queue.forget(&key),
                    Err(failure) => {
                        let (namespace, name, reason) = (&key.0, &key.1, failure.reason.as_str());
                        tracing::debug!(namespace, name, reason, "a SecretSync failed");
                        self.queue.retry(key.clone());
                    }
                }
                // The written object may have a generation that was not reconciled yet.
                if self.reconciled.get(&key) != self.known.get(&key).map(identity).as_ref() {
                    self.queue.push(key.clone());
                }
            }
        }
        self.queue.done(&key);
    }
}

fn identity(sync: &SecretSync) -> Identity {
    (sync.uid(), sync.metadata.generation)
}

/// Whether one is an earlier state of the same SecretSync. Resource versions are increasing numbers here.
fn is_older(one: &SecretSync, other: &SecretSync) -> bool {
    let version = |sync: &SecretSync| sync.resource_version().and_then(|version| version.parse::<u64>().ok());
    one.uid() == other.uid() && version(one) < version(other)
}

fn key(sync: &SecretSync) -> Key {
    (sync.namespace().unwrap_or_default(), sync.name_any())
}
