//! The work queue, by the rules of client-go's `workqueue`: each key is waiting, processing or delayed, never
//! two of them, so a synced secret has at most one worker.
//!
//! - A key that is added while it waits stays where it is, or moves up to the more urgent lane.
//! - A key that is added while it is processed becomes dirty and is processed once more afterwards.
//! - A key that is added while it is delayed waits at once; its back-off stays until it ends a look quietly.
//! - A key has at most one delay, so a failure never starts a second chain of retries.
//!
//! Each lane has workers of its own: a vault that hangs for some holds up no deletion, and what a person
//! waits for only where that very synced secret is being looked at.

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
/// The longest pause, also where an answer asks for a longer one: whatever was wrong, it is found mended
/// within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Events shorten a pause to no less than this part of the longest one.
const SHORTENED: u32 = 8;

/// Who waits for a look, the most urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Nobody: a retry, a rotation check, drift.
    Background,
    /// A person.
    Interactive,
    /// A deletion. It needs nothing of the vault.
    Deletion,
}

/// Synced secrets that want a look.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    ready: [Notify; Lane::COUNT],
}

/// A synced secret that a worker looks at. The worker returns it with [`Queue::done`].
pub(super) struct Work {
    pub(super) uid: Uuid,
    /// Reads of the vault that whoever asked for the look shares.
    pub(super) reads: Option<Arc<SharedReads>>,
    /// Cancelled when somebody more urgent waits for the end of this look: they need another answer of the
    /// vault, or none.
    pub(super) superseded: CancellationToken,
}

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requeue {
    /// There is nothing left to do until the next event.
    Never,
    /// Look again at once: what was looked at has changed.
    Now,
    /// Look again after this time. It is no failure.
    After(Duration),
    /// It failed: look again after a pause that grows with each failure, and not before this time.
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

/// A key that is in the queue, or has failed since its last quiet look.
struct Entry {
    phase: Phase,
    /// The lane of the look that is waited for, under way or delayed.
    lane: Lane,
    reads: Option<Arc<SharedReads>>,
    failures: u32,
    /// When the next look for which nobody waits may begin at the earliest.
    not_before: Option<Instant>,
}

enum Phase {
    /// Its place in its lane.
    Waiting(u64),
    /// With the wish for one more look, where it was added meanwhile.
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
    /// Does something in the vault, unless somebody more urgent waits for the end of this look.
    pub(super) async fn unless_superseded<T>(&self, something: impl Future<Output = T>) -> Option<T> {
        self.superseded.run_until_cancelled(something).await
    }
}

// === impl Queue ===

impl Queue {
    /// Asks for a look as soon as a worker of the lane is free, with these reads or newer ones.
    pub(super) fn add(&self, uid: Uuid, lane: Lane, reads: Option<Arc<SharedReads>>) {
        let mut state = self.lock();
        if let Some(lane) = state.add(uid, lane, reads) {
            self.ready[lane as usize].notify_one();
        }
    }

    /// Waits for work of a lane.
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

    /// Takes work back.
    pub(super) fn done(&self, uid: Uuid, outcome: Requeue) {
        let mut state = self.lock();
        if let Some(lane) = state.done(uid, outcome) {
            self.ready[lane as usize].notify_one();
        }
    }

    /// Ends delays when their time has come. Never returns.
    pub(super) async fn run_delays(&self) {
        loop {
            let lane = poll_fn(|context| {
                let mut state = self.lock();
                match state.delayed.poll_expired(context) {
                    Poll::Ready(Some(expired)) => Poll::Ready(state.line_up(expired.into_inner())),
                    // An empty queue wakes this task when something is put into it.
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
    /// The lane that has got work by it.
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
            // A key that fails is not looked at ever again because of events that keep coming: its own writes
            // make some.
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
        let entry = self.entries.get_mut(&uid).expect("what waits has an entry");
        entry.phase = Phase::Processing { dirty: None, superseded: superseded.clone() };
        Some(Work { uid, reads: entry.reads.take(), superseded })
    }

    /// The lane that has got work by it.
    fn done(&mut self, uid: Uuid, outcome: Requeue) -> Option<Lane> {
        let entry = self.entries.get_mut(&uid)?;
        let Phase::Processing { dirty, .. } = entry.phase else { return None };
        let asked = dirty.unwrap_or(Lane::Background);
        // A deletion stays one until it is done. For everything else nobody waits once the look is over.
        let kept = if entry.lane == Lane::Deletion { Lane::Deletion } else { Lane::Background };
        let (lane, delay) = match (outcome, dirty) {
            (Requeue::Never, None) => {
                self.entries.remove(&uid);
                return None;
            }
            (Requeue::Never, Some(asked)) => (asked, None),
            (Requeue::Now, _) => (entry.lane.max(asked), None),
            (Requeue::After(pause), None) => (kept, Some(pause)),
            (Requeue::After(_), Some(asked)) => (kept.max(asked), None),
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
                (kept.max(asked), delay)
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

    /// Puts a key at the end of the lane of its entry.
    fn line_up(&mut self, uid: Uuid) -> Lane {
        let place = self.arrivals;
        self.arrivals += 1;
        let entry = self.entries.get_mut(&uid).expect("whoever lines up has an entry");
        entry.phase = Phase::Waiting(place);
        self.waiting[entry.lane as usize].insert(place, uid);
        entry.lane
    }
}

/// Of two sets of reads, the one that began last.
fn newest(held: Option<Arc<SharedReads>>, other: Option<Arc<SharedReads>>) -> Option<Arc<SharedReads>> {
    match (held, other) {
        (Some(held), Some(other)) => Some(if other.begun() >= held.begun() { other } else { held }),
        (held, other) => other.or(held),
    }
}

#[cfg(test)]
mod tests;
