//! Finds which resources use which Secret: watches all resources of the namespace that can name a Secret, in
//! whatever kinds and versions the cluster serves. Keeps only the usages that the rules find, not the
//! resources.

mod access;
mod discovery;
mod follow;
mod known;
mod list;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

pub use access::USAGE_VERBS;
pub use known::{ClassRefs, Gap};

use super::{Edge, EdgeError, watches};
use crate::model::{Output, Usage, UsagePlace, UsageRules};
use known::Known;

/// How long a failing watch is tolerated: until then, the usages known before still count.
const GRACE: Duration = Duration::from_secs(30);

/// Which usages are found, and how often the kinds are discovered.
#[derive(Clone, Debug)]
pub struct UsageOptions {
    /// Which fields name secrets.
    pub rules: UsageRules,
    /// How often the served kinds are discovered: they can be added and removed.
    pub interval: Duration,
}

/// A cache of the usages in the namespace.
#[derive(Clone)]
pub struct Usages(Arc<Inner>);

struct Inner {
    edge: Edge,
    options: UsageOptions,
    known: RwLock<Known>,
    /// A version that grows with every change of the cache.
    changed: watch::Sender<u64>,
    /// Which default classes the Instances name.
    class_refs: watch::Sender<ClassRefs>,
}

impl Default for UsageOptions {
    fn default() -> Self {
        Self { rules: UsageRules::default(), interval: Duration::from_secs(10) }
    }
}

// === impl Usages ===

impl Usages {
    /// An empty cache, which `run` fills.
    pub fn new(edge: Edge, options: UsageOptions) -> Self {
        let mut known = Known::nothing_of(options.rules.groups());
        known.add_fixed(options.rules.fixed(edge.namespace()));
        let class_refs = watch::Sender::new(known.class_refs(GRACE));
        let (known, changed) = (RwLock::new(known), watch::Sender::new(0));
        Self(Arc::new(Inner { edge, options, known, changed, class_refs }))
    }

    /// Sets which kinds used something before the start. An API server that has just started does not serve
    /// custom resources yet, so their usages are unknown until it serves them, or has not for some seconds.
    pub fn expect(&self, mut kinds: BTreeSet<String>) {
        // No cluster serves the kind of a program.
        for usage in self.0.options.rules.fixed(self.0.edge.namespace()) {
            kinds.remove(&usage.group_kind.kind);
        }
        self.change(|known| known.expect(kinds));
    }

    /// The usages of a secret, ordered by the user.
    pub fn of(&self, secret: &str) -> Vec<Arc<Usage>> {
        self.read().of(secret)
    }

    /// The next `limit` usages after a place that are `wanted`, of one secret or of all.
    pub fn page(
        &self,
        secret: Option<&str>,
        after: Option<&UsagePlace>,
        limit: usize,
        wanted: impl Fn(&Usage) -> bool,
    ) -> Vec<Arc<Usage>> {
        self.read().page(secret, after, limit, wanted)
    }

    /// A resource that says that another program writes this secret, as far as the resources were listed.
    pub fn output(&self, secret: &str) -> Option<Output> {
        self.read().output(secret).cloned()
    }

    /// The default classes that Instances name.
    pub fn class_refs(&self) -> ClassRefs {
        self.read().class_refs(GRACE)
    }

    /// Notifies when Instances name other default classes, or when these become known.
    pub fn class_refs_changed(&self) -> watch::Receiver<ClassRefs> {
        self.0.class_refs.subscribe()
    }

    /// The rules by which usages are found.
    pub fn rules(&self) -> &UsageRules {
        &self.0.options.rules
    }

    /// A kind or group that was never listed, if there is one: it may contain unknown usages.
    pub fn unlisted(&self) -> Option<Gap> {
        self.read().unlisted()
    }

    /// A kind or group whose usages are unknown, and will not be known soon.
    pub fn gap(&self) -> Option<Gap> {
        self.read().gap(GRACE)
    }

    /// All of these.
    pub fn gaps(&self) -> Vec<Gap> {
        self.read().gaps(GRACE)
    }

    /// Whether a first list is in progress: until it is complete, the usages known before still count.
    pub fn is_settling(&self) -> bool {
        let known = self.read();
        known.unlisted().is_some() && known.gap(GRACE).is_none()
    }

    /// Waits until everything was listed once, or the rest can't be listed. Returns a gap that is left.
    pub async fn settled(&self, until: Instant) -> Option<Gap> {
        let mut changed = self.0.changed.subscribe();
        let settled = changed.wait_for(|_| self.unlisted().is_none_or(|gap| gap.is_for_good()));
        // A timeout is not an error: the gap says what is missing.
        let _ = timeout_at(until, settled).await;
        self.unlisted()
    }

    /// Notifies of every change.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Takes the secrets whose usages have changed since the last call. For a single consumer.
    pub fn take_changed(&self) -> Vec<String> {
        self.write().changed.drain().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let (done, class_refs) = {
            let mut known = self.write();
            (change(&mut known), known.class_refs(GRACE))
        };
        self.0.class_refs.send_if_modified(|held| {
            let is_new = *held != class_refs;
            *held = class_refs;
            is_new
        });
        self.0.changed.send_modify(|version| *version += 1);
        done
    }

    fn read(&self) -> parking_lot::RwLockReadGuard<'_, Known> {
        self.0.known.read()
    }

    fn write(&self) -> parking_lot::RwLockWriteGuard<'_, Known> {
        self.0.known.write()
    }
}
