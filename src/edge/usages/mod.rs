//! Who uses which Secret: a watch over the resources of the namespace that can name one, of whatever kinds
//! and versions the cluster serves. Only what the rules find in a resource is kept, not the resource.

mod access;
mod discovery;
mod follow;
mod known;
mod look;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::RwLock;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

pub use access::USAGE_VERBS;
pub use known::Gap;

use super::{Edge, EdgeError, watches};
use crate::model::{Usage, UsagePlace, UsageRules};
use known::Known;

/// Trouble with a watch counts from here on: what was known before it holds that long.
const GRACE: Duration = Duration::from_secs(30);

/// What is looked for, and how often.
#[derive(Clone, Debug)]
pub struct UsageOptions {
    /// Which fields name secrets.
    pub rules: UsageRules,
    /// How often the cluster is asked which kinds it serves: they come and go.
    pub interval: Duration,
}

/// The uses in the namespace as they were last seen.
#[derive(Clone)]
pub struct Usages(Arc<Inner>);

struct Inner {
    edge: Edge,
    options: UsageOptions,
    known: RwLock<Known>,
    /// Grows with every change of what is known.
    changed: watch::Sender<u64>,
}

impl Default for UsageOptions {
    fn default() -> Self {
        Self { rules: UsageRules::default(), interval: Duration::from_secs(10) }
    }
}

// === impl Usages ===

impl Usages {
    /// One that knows nothing until it runs.
    pub fn new(edge: Edge, options: UsageOptions) -> Self {
        let known = Known::nothing_of(options.rules.groups());
        Self(Arc::new(Inner { edge, options, known: RwLock::new(known), changed: watch::Sender::new(0) }))
    }

    /// Says which kinds used something before the start. An API server that has just started does not serve
    /// custom resources yet: what they use is not known before they are served, or are missing for some
    /// seconds.
    pub fn expect(&self, kinds: BTreeSet<String>) {
        self.change(|known| known.expect(kinds));
    }

    /// The uses of a secret, by what uses it.
    pub fn of(&self, secret: &str) -> Vec<Arc<Usage>> {
        self.read().of(secret)
    }

    /// The next `limit` uses after a place, of one secret or of all.
    pub fn page(&self, secret: Option<&str>, after: Option<&UsagePlace>, limit: usize) -> Vec<Arc<Usage>> {
        self.read().page(secret, after, limit)
    }

    /// What was never looked at, where there is anything: a use may be hidden there.
    pub fn unseen(&self) -> Option<Gap> {
        self.read().unseen()
    }

    /// What is not known, and is not about to be.
    pub fn gap(&self) -> Option<Gap> {
        self.read().gap(GRACE)
    }

    /// Whether a first look at something is under way: what was known before it holds that long.
    pub fn is_settling(&self) -> bool {
        let known = self.read();
        known.unseen().is_some() && known.gap(GRACE).is_none()
    }

    /// Waits until everything was looked at once, or nothing more can be; what is left unseen.
    pub async fn settled(&self, until: Instant) -> Option<Gap> {
        let mut changed = self.0.changed.subscribe();
        let settled = changed.wait_for(|_| self.unseen().is_none_or(|gap| gap.is_for_good()));
        // The end of the time is no error: the gap says what is missing.
        let _ = timeout_at(until, settled).await;
        self.unseen()
    }

    /// Tells of every change of what is known.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The secrets whose uses have changed since this was last asked. For one who asks.
    pub fn take_changed(&self) -> Vec<String> {
        self.write().changed.drain().collect()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        let done = change(&mut self.write());
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
