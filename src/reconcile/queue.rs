//! The work queue, by the rules of client-go's `workqueue`: each key is waiting, processing or delayed, never
//! two of them, so a synced secret has at most one worker.
//!
//! - A key that is added while it waits keeps its place, or moves to the more urgent lane.
//! - A key that is added while it is processed becomes dirty and is processed once more afterwards.
//! - A key that is added while it is delayed waits at once; its back-off stays until a reconciliation ends
//!   without a failure.
//! - A key has at most one delay, so a failure never starts a second chain of retries.
//!
//! Each lane has its own workers: a hanging vault delays no deletion, and delays an interactive
//! reconciliation only while the same synced secret is being processed.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry as MapEntry},
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::Notify, time::Instant};
use tokio_util::{
    sync::CancellationToken,
    time::{DelayQueue, delay_queue},
};
use uuid::Uuid;

use super::SharedReads;
use crate::backoff::Backoff;

/// The pauses after failures.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(1), LONGEST_PAUSE);
/// The longest pause, even if a `Retry-After` is longer: every recovery is noticed within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An event shortens a pause to at least this fraction (1/8) of the longest one.
const SHORTENED: u32 = 8;

/// The priority of a reconciliation, the most urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// No caller waits: a retry, a rotation check, drift.
    Background,
    /// A caller waits.
    Interactive,
    /// A deletion. It needs nothing from the vault.
    Deletion,
}

/// The work queue of the reconciler.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    ready: [Notify; Lane::COUNT],
}

/// A synced secret that a worker processes. The worker returns it with [`Queue::done`].
pub(super) struct Work {
    pub(super) uid: Uuid,
    /// Vault reads shared with the call that enqueued it.
    pub(super) reads: Option<Arc<SharedReads>>,
    /// Cancelled when the key is added to a more urgent lane: that needs a new answer of the vault, or none.
    pub(super) superseded: CancellationToken,
}

/// The result of a reconciliation, as `reconcile::Result` in controller-runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requeue {
    /// Done until the next event.
    Never,
    /// Process it again at once: it changed in the meantime.
    Now,
    /// Process it again after this time. This is no failure.
    After(Duration),
    /// It failed: process it again after a pause that grows with each failure, and not before this time.
    Backoff(Option<Duration>),
}

#[derive(Default)]
struct State {
    entries: HashMap<Uuid, Entry>,
    /// By lane, in the order of arrival.
    waiting: [BTreeMap<u64, Uuid>; Lane::COUNT],
    arrivals: u64,
    delayed: DelayQueue<Uuid>,
}

/// A key in the queue, or one that has failed since its last success.
struct Entry {
    phase: Phase,
    /// The lane in which it waits, is processed or is delayed.
    lane: Lane,
    reads: Option<Arc<SharedReads>>,
    failures: u32,
    /// The earliest time of the next reconciliation in the background lane.
    not_before: Option<Instant>,
}

enum Phase {
    /// Its position in its lane.
    Waiting(u64),
    /// `dirty` is the lane in which it was added in the meantime.
    Processing {
        dirty: Option<Lane>,
        superseded: CancellationToken,
    },
    Delayed(delay_queue::Key),
}

// === impl Lane ===

impl Lane {
    const COUNT: usize = 3;
}

// === impl Work ===

impl Work {
    /// Runs a request to the vault. Cancels it when this work is superseded, and returns none then.
    pub(super) async fn unless_superseded<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        self.superseded.run_until_cancelled(request).await
    }
}

// === impl Queue ===

impl Queue {
    /// Adds a key to a lane, to be processed with these vault reads or newer ones.
    pub(super) fn add(&self, uid: Uuid, lane: Lane, reads: Option<Arc<SharedReads>>) {
        let mut state = self.lock();
        if let Some(lane) = state.add(uid, lane, reads) {
            self.ready[lane as usize].notify_one();
        }
    }

    /// Waits for work in a lane.
    pub(super) async fn get(&self, lane: Lane) -> Work {
        let ready = &self.ready[lane as usize];
        loop {
            let added = ready.notified();
            {
                let mut state = self.lock();
                if let Some(work) = state.get(lane) {
                    if !state.waiting[lane as usize].is_empty() {
                        ready.notify_one();
                    }
                    return work;
                }
            }
            added.await;
        }
    }

    /// Ends the processing of a key.
    pub(super) fn done(&self, uid: Uuid, outcome: Requeue) {
        let mut state = self.lock();
        if let Some(lane) = state.done(uid, outcome) {
            self.ready[lane as usize].notify_one();
        }
    }

    /// Moves keys back into their lanes when their delay expires. Never returns.
    pub(super) async fn run_delays(&self) {
        loop {
            let lane = poll_fn(|context| {
                let mut state = self.lock();
                match state.delayed.poll_expired(context) {
                    Poll::Ready(Some(expired)) => Poll::Ready(state.line_up(expired.into_inner())),
                    // An empty delay queue wakes this task when a key is inserted.
                    Poll::Ready(None) | Poll::Pending => Poll::Pending,
                }
            });
            let lane = lane.await;
            self.ready[lane as usize].notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

// === impl State ===

impl State {
    /// Adds a key. Returns the lane that has new work.
    fn add(&mut self, uid: Uuid, lane: Lane, reads: Option<Arc<SharedReads>>) -> Option<Lane> {
        let entry = match self.entries.entry(uid) {
            MapEntry::Vacant(vacant) => {
                let phase = Phase::Waiting(self.arrivals);
                let entry = Entry { phase, lane, reads, failures: 0, not_before: None };
                vacant.insert(entry);
                return Some(self.line_up(uid));
            }
            MapEntry::Occupied(occupied) => occupied.into_mut(),
        };
        entry.reads = newest(entry.reads.take(), reads);
        match &mut entry.phase {
            Phase::Processing { dirty, superseded } => {
                *dirty = (*dirty).max(Some(lane));
                if lane > entry.lane {
                    superseded.cancel();
                }
                None
            }
            Phase::Waiting(_) if lane <= entry.lane => None,
            Phase::Waiting(place) => {
                self.waiting[entry.lane as usize].remove(place);
                entry.lane = lane;
                Some(self.line_up(uid))
            }
            // Events shorten the pause of a failing key, but don't end it: its own writes cause events, too.
            Phase::Delayed(delay) if lane == Lane::Background && entry.failures > 0 => {
                let soon = entry.not_before.unwrap_or_else(Instant::now).max(Instant::now());
                if self.delayed.deadline(delay) > soon {
                    self.delayed.reset_at(delay, soon);
                }
                None
            }
            Phase::Delayed(delay) => {
                self.delayed.remove(delay);
                entry.lane = entry.lane.max(lane);
                Some(self.line_up(uid))
            }
        }
    }

    fn get(&mut self, lane: Lane) -> Option<Work> {
        let (_, uid) = self.waiting[lane as usize].pop_first()?;
        let superseded = CancellationToken::new();
        let entry = self.entries.get_mut(&uid).expect("a waiting key has an entry");
        entry.phase = Phase::Processing { dirty: None, superseded: superseded.clone() };
        Some(Work { uid, reads: entry.reads.take(), superseded })
    }

    /// Ends the processing of a key. Returns the lane that has new work.
    fn done(&mut self, uid: Uuid, outcome: Requeue) -> Option<Lane> {
        let entry = self.entries.get_mut(&uid)?;
        let Phase::Processing { dirty, .. } = entry.phase else { return None };
        let added = dirty.unwrap_or(Lane::Background);
        // A deletion stays in its lane until it is done. No caller waits for any other retry.
        let kept = if entry.lane == Lane::Deletion { Lane::Deletion } else { Lane::Background };
        let (lane, delay) = match (outcome, dirty) {
            (Requeue::Never, None) => {
                self.entries.remove(&uid);
                return None;
            }
            (Requeue::Never, Some(added)) => (added, None),
            (Requeue::Now, _) => (entry.lane.max(added), None),
            (Requeue::After(pause), None) => (kept, Some(pause)),
            (Requeue::After(_), Some(added)) => (kept.max(added), None),
            (Requeue::Backoff(at_least), dirty) => {
                let at_least = at_least.unwrap_or_default().min(LONGEST_PAUSE);
                let soonest = (BACKOFF.pause(entry.failures) / SHORTENED).max(at_least);
                let pause = BACKOFF.with_full_jitter(entry.failures).max(soonest);
                entry.failures = entry.failures.saturating_add(1);
                entry.not_before = Some(Instant::now() + soonest);
                let delay = match dirty {
                    None => Some(pause),
                    Some(Lane::Background) => Some(soonest),
                    Some(_) => None,
                };
                (kept.max(added), delay)
            }
        };
        entry.lane = lane;
        match delay {
            Some(delay) => {
                entry.phase = Phase::Delayed(self.delayed.insert(uid, delay));
                None
            }
            None => Some(self.line_up(uid)),
        }
    }

    /// Appends a key to the lane of its entry.
    fn line_up(&mut self, uid: Uuid) -> Lane {
        let place = self.arrivals;
        self.arrivals += 1;
        let entry = self.entries.get_mut(&uid).expect("a queued key has an entry");
        entry.phase = Phase::Waiting(place);
        self.waiting[entry.lane as usize].insert(place, uid);
        entry.lane
    }
}

/// The newer of two sets of reads.
fn newest(held: Option<Arc<SharedReads>>, other: Option<Arc<SharedReads>>) -> Option<Arc<SharedReads>> {
    match (held, other) {
        (Some(held), Some(other)) => Some(if other.begun() >= held.begun() { other } else { held }),
        (held, other) => other.or(held),
    }
}

#[cfg(test)]
mod tests;
