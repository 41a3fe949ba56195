//! The loop: what the watch tells, what the poll wants, and one look at a time.

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

/// A timer has no shorter period.
const SHORTEST_POLL: Duration = Duration::from_millis(1);

/// The namespace of a watch; all where absent.
type Scope = Option<String>;
/// A SecretSync and its generation.
type Identity = (Option<String>, Option<i64>);
/// What a watch tells.
type Event = (Scope, watcher::Result<watcher::Event<SecretSync>>);

/// The controller.
pub(super) struct Controller {
    client: Client,
    reconciler: Reconciler,
    scopes: Vec<Scope>,
    poll_interval: Duration,
    queue: Queue,
    /// The SecretSyncs that are there, as they were last seen or written.
    known: HashMap<Key, SecretSync>,
    /// Which state of each was looked at last.
    looked_at: HashMap<Key, Identity>,
    /// Those that are gone and want a last look.
    departed: HashMap<Key, SecretSync>,
    /// What the first or a new list of a watch has named so far.
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
            looked_at: HashMap::new(),
            departed: HashMap::new(),
            listed: HashMap::new(),
        }
    }

    /// Runs until it is dropped. Who asks for a poll hears when it is over.
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
                    // Whoever asked may have gone.
                    let _ = done.send(());
                }
                key = self.queue.next() => self.look(key).await,
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

    /// Only what changes the generation wants a look: the status does not.
    fn see(&mut self, sync: SecretSync) {
        let key = key(&sync);
        // The watch may be behind what was written, and what is old must not be written again.
        if self.known.get(&key).is_some_and(|known| is_older(&sync, known)) {
            return;
        }
        let is_news = self.looked_at.get(&key) != Some(&identity(&sync));
        // The look that a deletion brings about comes when the finalizers are gone, see `lose`.
        let is_leaving = sync.metadata.deletion_timestamp.is_some();
        self.known.insert(key.clone(), sync);
        if is_news && !is_leaving {
            self.queue.push(key);
        }
    }

    /// A SecretSync that was held back by a finalizer gets one more look, from what was last seen of it. The real controller is
    /// slower than the garbage collector by chance (4 times of 4); here it is so for certain.
    fn lose(&mut self, key: &Key) {
        let Some(sync) = self.known.remove(key) else { return };
        self.looked_at.remove(key);
        self.queue.forget(key);
        if sync.metadata.deletion_timestamp.is_some() {
            self.departed.insert(key.clone(), sync);
            self.queue.push(key.clone());
        }
    }

    async fn poll(&mut self) {
        for key in self.known.keys().cloned().collect::<Vec<_>>() {
            self.queue.take(&key);
            self.look(key).await;
        }
    }

    /// Looks at one that was taken from the queue.
    async fn look(&mut self, key: Key) {
        if let Some(mut departed) = self.departed.remove(&key) {
            // Its status has no place any more, so this always fails; nobody asks.
            let _ = self.reconciler.reconcile(&mut departed).await;
        }
        match self.known.get_mut(&key) {
            None => self.queue.forget(&key),
            Some(sync) => {
                self.looked_at.insert(key.clone(), identity(sync));
                match self.reconciler.reconcile(sync).await {
                    Ok(()) => self.queue.forget(&key),
                    Err(failure) => {
                        let (namespace, name, reason) = (&key.0, &key.1, failure.reason.as_str());
                        tracing::debug!(namespace, name, reason, "a SecretSync failed");
                        self.queue.retry(key.clone());
                    }
                }
                // What was written may be of a generation that nobody has looked at.
                if self.looked_at.get(&key) != self.known.get(&key).map(identity).as_ref() {
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

/// Whether one is a state before the other: of one SecretSync, whose versions are numbers that grow.
fn is_older(one: &SecretSync, other: &SecretSync) -> bool {
    let version = |sync: &SecretSync| sync.resource_version().and_then(|version| version.parse::<u64>().ok());
    one.uid() == other.uid() && version(one) < version(other)
}

fn key(sync: &SecretSync) -> Key {
    (sync.namespace().unwrap_or_default(), sync.name_any())
}
