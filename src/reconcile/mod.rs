//! Reconciles the edge with the database. Level-triggered: correctness never depends on an event. Events,
//! calls and the rotation check only trigger the next reconciliation earlier.

mod attempt;
mod comparisons;
mod content;
mod contention;
mod engine;
mod failure;
mod handover;
mod import;
mod last_reason;
mod leadership;
mod not_before;
mod orphans;
pub mod ownership;
mod pruning;
mod queue;
pub mod rebuild;
mod record_update;
mod recording;
mod removal;
mod restore;
mod rotation;
mod shared_reads;
mod unstored_values;
mod usages;
mod vault_state;
mod worker;

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use content::content;
pub use record_update::expiring;
pub use removal::is_held;
pub use shared_reads::{ReadResult, SharedReads};

use crate::{
    edge::{
        Edge, Index, Usages,
        engine::{Engines, Settings},
        secret_store,
    },
    model::{Admission, Condition, NotBefore, Origin, State, SyncEngine},
    quote::Quote,
    store::{Record, Retention, Store},
    vault::{Priority, Vault},
};
use comparisons::Comparisons;
use contention::Contentions;
use queue::{Lane, Queue};

/// Names of changed Secrets buffered between the watch and the queue.
const CHANGED_BUFFER: usize = 256;

/// Workers for synced secrets that a caller waits for, and for deletions. There are enough of them that a
/// hanging vault or cluster does not block the others.
const INTERACTIVE_WORKERS: usize = 32;
const DELETION_WORKERS: usize = 16;

/// How a synced secret is enqueued.
#[derive(Clone, Default)]
pub struct EnqueueOptions {
    /// Read the values again, and share the reads with all holders of this set.
    pub refetch: Option<Arc<SharedReads>>,
    /// A caller is waiting: use the interactive lane.
    pub interactive: bool,
}

/// How the reconciler works.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often references that follow the latest version are checked.
    pub interval: Duration,
    /// The share of the interval by which each check comes earlier or later, 0 to 1.
    pub jitter: f64,
    /// Workers for synced secrets that no caller waits for.
    pub workers: usize,
    /// The engine of new synced secrets. If absent, it depends on what the cluster serves.
    pub engine: Option<SyncEngine>,
    /// Settings of the Secret Store engine.
    pub secret_store: secret_store::Options,
    /// Retention of the audit, the change feed and the request ids.
    pub retention: Retention,
    /// What to do with versions that are not valid yet.
    pub not_before: NotBefore,
    /// Whether a new database is rebuilt from the edge.
    pub rebuild: bool,
    /// The admission rules for synced secrets that are recovered from the edge.
    pub admission: Admission,
}

/// The reconciler. One per process; cheap to clone.
#[derive(Clone)]
pub struct Reconciler(Arc<Inner>);

struct Inner {
    store: Store,
    vault: Vault,
    edge: Edge,
    index: Index,
    engines: Engines,
    /// The engine of new synced secrets.
    engine: watch::Sender<Option<SyncEngine>>,
    usages: Usages,
    queue: Queue,
    options: Options,
    /// The known minimum number of pages of the vault's list. The rotation check does not list the vault if
    /// that costs more calls than one for each secret.
    list_pages: AtomicUsize,
    /// For each synced secret, the number of calls that are storing new vault secrets of it right now.
    creating: Mutex<HashMap<Uuid, usize>>,
    comparisons: Comparisons,
    contentions: Contentions,
    /// Notifies when objects at the edge that are not in the database may have changed.
    unrecorded: watch::Sender<()>,
    /// Whether this process is a standby.
    is_standby: watch::Sender<bool>,
    /// Notifies when this process has taken over from another leader.
    taken_over: Notify,
    /// Whether the workers may start. After a restore they wait until the database has been compared with
    /// the edge.
    may_work: watch::Sender<bool>,
}

/// A guard: while it lives, a call is storing new vault secrets of a synced secret, and the reconciler does
/// not touch that synced secret.
pub struct Creating {
    reconciler: Reconciler,
    uid: Uuid,
}

// === impl Reconciler ===

impl Reconciler {
    /// A reconciler that does nothing until it runs.
    pub fn new(
        store: Store,
        vault: Vault,
        edge: Edge,
        (index, usages): (Index, Usages),
        options: Options,
    ) -> Self {
        if !options.rebuild {
            store.skip_initial_rebuild();
        }
        let (queue, creating, list_pages) = (Queue::default(), Mutex::default(), AtomicUsize::default());
        let engine = watch::Sender::new(options.engine);
        let signer = store.signer();
        let digest = Arc::new(move |purpose: &str, content: &[u8]| signer.sign(purpose, content).to_vec());
        let shortest_check = options.interval.mul_f64(1.0 - options.jitter);
        let engines = Engines::new(
            edge.clone(),
            (index.clone(), usages.clone()),
            options.secret_store.clone(),
            vault.uri().clone(),
            digest,
            shortest_check,
        );
        let (comparisons, contentions) = (Comparisons::new(options.interval), Contentions::default());
        Self(Arc::new(Inner {
            store,
            vault,
            edge,
            index,
            engines,
            engine,
            usages,
            queue,
            options,
            list_pages,
            creating,
            comparisons,
            contentions,
            unrecorded: watch::Sender::new(()),
            is_standby: watch::Sender::new(false),
            taken_over: Notify::new(),
            may_work: watch::Sender::new(false),
        }))
    }

    /// The cache of the namespace's Secrets.
    pub fn index(&self) -> &Index {
        &self.0.index
    }

    /// Its options.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The resources that use synced secrets.
    pub fn usages(&self) -> &Usages {
        &self.0.usages
    }

    /// Runs until `stop` is cancelled, and finishes the work in progress first.
    pub async fn run(self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let (changed, names) = mpsc::channel(CHANGED_BUFFER);
        tasks.spawn(self.0.index.clone().run(self.0.edge.clone(), changed.clone(), stop.clone()));
        tasks.spawn(self.clone().follow_extension(changed, stop.clone()));
        tasks.spawn(self.clone().follow_leadership(stop.clone()));
        tasks.spawn(self.clone().import(stop.clone()));
        tasks.spawn(self.clone().rebuild(stop.clone()));
        tasks.spawn(self.clone().follow(names));
        self.0.usages.expect(self.kinds_of_users());
        tasks.spawn(self.0.usages.clone().run(stop.clone()));
        tasks.spawn(self.clone().record_uses(stop.clone()));
        tasks.spawn(self.clone().rotate(stop.clone()));
        tasks.spawn(self.clone().prune_periodically(stop.clone()));
        tasks.spawn(self.clone().run_delays(stop.clone()));
        tasks.spawn(self.clone().settle_restore(stop.clone()));
        for (lane, workers) in [
            (Lane::Background, self.0.options.workers),
            (Lane::Interactive, INTERACTIVE_WORKERS),
            (Lane::Deletion, DELETION_WORKERS),
        ] {
            for _ in 0..workers {
                tasks.spawn(self.clone().work(lane, stop.clone()));
            }
        }
        self.enqueue_unsettled();
        while let Some(ended) = tasks.join_next().await {
            // The service must not look healthy when one of its tasks is gone.
            match ended {
                Err(error) => {
                    tracing::error!(error = %Quote::error(&error), "a task of the reconciler panicked; stopping")
                }
                Ok(()) if !stop.is_cancelled() => {
                    tracing::error!("a task of the reconciler has ended; stopping")
                }
                Ok(()) => continue,
            }
            stop.cancel();
        }
    }

    /// Enqueues a synced secret.
    pub fn enqueue(&self, uid: Uuid, options: EnqueueOptions) {
        let Some(record) = self.0.store.view().get_by_uid(uid) else { return };
        let lane = match options.interactive {
            _ if record.secret.state == State::Deleting => Lane::Deletion,
            true => Lane::Interactive,
            false => Lane::Background,
        };
        self.0.queue.add(uid, lane, options.refetch);
    }

    /// The `Compared` condition of the vault: the age of the last comparison.
    pub fn compared(&self) -> Condition {
        self.0.comparisons.condition()
    }

    /// A set of vault reads that a waiting call and the reconciler share. `vault` is the handle of the
    /// caller.
    pub fn shared_reads(&self, vault: &Vault) -> Arc<SharedReads> {
        Arc::new(SharedReads::new(vault.clone(), Priority::Interactive))
    }

    /// Marks that a call is storing new vault secrets of a synced secret, until the guard is dropped.
    pub fn creating(&self, uid: Uuid) -> Creating {
        *self.0.creating.lock().entry(uid).or_default() += 1;
        Creating { reconciler: self.clone(), uid }
    }

    /// Enqueues every synced secret that has work left: after a start, after each relist of the edge, and
    /// with each rotation check.
    fn enqueue_unsettled(&self) {
        let settings = self.0.engines.settings();
        for record in self.0.store.view().snapshot().records {
            if self.is_unsettled(&record, &settings) {
                self.enqueue(record.secret.uid, EnqueueOptions::default());
            }
        }
        self.0.engines.labels().for_each(|uid| self.enqueue_orphan(uid));
        self.0.unrecorded.send_replace(());
    }

    fn is_unsettled(&self, record: &Record, settings: &Settings) -> bool {
        if record.secret.origin == Origin::Unmanaged || self.needs_user_decision(record) {
            return false;
        }
        // What is held back sleeps in the queue.
        not_before::held_until(record).is_some()
            || self.other_engine(record).is_some()
            || self.0.engines.of(record.engine).is_unsettled(&self.target(record), settings)
            || self.0.engines.other_writer(record.engine, &record.secret).is_some()
    }

    /// Enqueues the synced secrets whose objects changed. An object that was deleted before the watch started
    /// has no event, so the end of each list enqueues everything that is unsettled.
    async fn follow(self, mut names: mpsc::Receiver<String>) {
        let (mut healthy, mut listed) = (self.0.index.healthy(), self.0.engines.relisted());
        let mut class_refs = self.0.usages.class_refs_changed();
        loop {
            tokio::select! {
                name = names.recv() => match name {
                    Some(name) => self.enqueue_named(&name),
                    None => return,
                },
                Ok(()) = listed.changed() => self.enqueue_unsettled(),
                // Another default class means another identity.
                Ok(()) = class_refs.changed() => self.enqueue_unsettled(),
                Ok(()) = healthy.changed() => {
                    if *healthy.borrow_and_update() == Some(true) {
                        self.enqueue_unsettled();
                    }
                }
            }
        }
    }

    fn enqueue_named(&self, name: &str) {
        self.0.engines.labels_of(name).for_each(|uid| self.enqueue_orphan(uid));
        let record = name.parse().ok().and_then(|id| self.0.store.view().get(&id));
        if record.as_ref().is_none_or(|record| record.secret.origin == Origin::Unmanaged) {
            self.0.unrecorded.send_replace(());
        }
        if let Some(record) = record {
            self.enqueue(record.secret.uid, EnqueueOptions::default());
        }
    }

    /// Whether a call is storing new vault secrets of it right now.
    pub fn is_creating(&self, uid: Uuid) -> bool {
        self.0.creating.lock().contains_key(&uid)
    }

    async fn run_delays(self, stop: CancellationToken) {
        tokio::select! {
            () = self.0.queue.run_delays() => {}
            () = stop.cancelled() => {}
        }
    }
}

impl Drop for Creating {
    fn drop(&mut self) {
        let mut creating = self.reconciler.0.creating.lock();
        if let Entry::Occupied(mut calls) = creating.entry(self.uid) {
            *calls.get_mut() -= 1;
            if *calls.get() == 0 {
                calls.remove();
                drop(creating);
                // Reconciliations were skipped while the call ran.
                self.reconciler.enqueue(self.uid, EnqueueOptions::default());
            }
        }
    }
}
