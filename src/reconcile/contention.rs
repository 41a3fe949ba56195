//! Contention: another manager restores its own content each time the service repairs a Secret. Repairs then
//! come at a growing pause, and the synced secret names that manager.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::backoff::Backoff;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use uuid::Uuid;

/// Repairs within [`WINDOW`] that count as drift. One more is contention.
const REPAIRS: usize = 3;
/// How long a repair counts.
const WINDOW: Duration = Duration::from_secs(1_200);
/// The pauses before repairs under contention. Well within [`WINDOW`], so that ongoing contention keeps counting as
/// contention.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(10), Duration::from_secs(300));

/// The recent repairs of each synced secret. In memory only: after a restart, contention shows again.
#[derive(Default)]
pub(super) struct Contentions(Mutex<HashMap<Uuid, Repairs>>);

#[derive(Default)]
struct Repairs {
    times: VecDeque<Instant>,
    /// Whether the audit has this contention already.
    reported: bool,
}

/// Contention about one synced secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contention {
    /// Repairs within the window.
    pub(super) repairs: usize,
    /// Time until the next repair. Zero if it is due.
    pub(super) pause: Duration,
    /// Whether it has not been reported yet.
    pub(super) is_new: bool,
}

impl Contentions {
    /// The contention about a synced secret, if any.
    pub(super) fn get(&self, uid: Uuid) -> Option<Contention> {
        let mut all = self.lock();
        let repairs = all.get_mut(&uid)?;
        repairs.forget(Instant::now());
        let count = repairs.times.len();
        let last = *repairs.times.back()?;
        if count < REPAIRS {
            return None;
        }
        let pause = BACKOFF.pause(u32::try_from(count - REPAIRS).unwrap_or(u32::MAX));
        let pause = (last + pause).saturating_duration_since(Instant::now());
        Some(Contention { repairs: count, pause, is_new: !repairs.reported })
    }

    /// Counts a repair.
    pub(super) fn record_repair(&self, uid: Uuid) {
        let mut all = self.lock();
        let repairs = all.entry(uid).or_default();
        repairs.forget(Instant::now());
        repairs.times.push_back(Instant::now());
    }

    /// Remembers that it was reported.
    pub(super) fn mark_reported(&self, uid: Uuid) {
        if let Some(repairs) = self.lock().get_mut(&uid) {
            repairs.reported = true;
        }
    }

    /// Forgets what is over, and synced secrets that are gone.
    pub(super) fn prune(&self, is_there: impl Fn(Uuid) -> bool) {
        let now = Instant::now();
        self.lock().retain(|uid, repairs| {
            repairs.forget(now);
            !repairs.times.is_empty() && is_there(*uid)
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Repairs>> {
        self.0.lock()
    }
}

impl Repairs {
    fn forget(&mut self, now: Instant) {
        while self.times.front().is_some_and(|time| now.duration_since(*time) >= WINDOW) {
            self.times.pop_front();
        }
        self.reported &= self.times.len() >= REPAIRS;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn more_than_three_repairs_are_contention_with_a_growing_bounded_pause() {
        let (contentions, uid) = (Contentions::default(), Uuid::new_v4());
        for _ in 0..REPAIRS {
            assert_eq!(contentions.get(uid), None);
            contentions.record_repair(uid);
        }
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = contentions.get(uid).unwrap().pause;
            pauses.push(pause.as_secs());
            advance(pause).await;
            assert_eq!(contentions.get(uid).unwrap().pause, Duration::ZERO, "the repair is due");
            contentions.record_repair(uid);
        }
        assert_eq!(pauses[..5], [10, 20, 40, 80, 160]);
        assert!(pauses.iter().all(|pause| *pause <= 300));
    }

    #[tokio::test(start_paused = true)]
    async fn contention_ends_without_repairs_and_is_reported_once() {
        let (contentions, uid) = (Contentions::default(), Uuid::new_v4());
        (0..REPAIRS).for_each(|_| contentions.record_repair(uid));
        assert!(contentions.get(uid).unwrap().is_new);
        contentions.mark_reported(uid);
        assert!(!contentions.get(uid).unwrap().is_new);
        advance(WINDOW).await;
        assert_eq!(contentions.get(uid), None);
        contentions.prune(|_| true);
        assert!(contentions.lock().is_empty());
    }
    #[tokio::test(start_paused = true)]
    async fn contention_that_starts_again_is_reported_again() {
        let (contentions, uid) = (Contentions::default(), Uuid::new_v4());
        for _ in 0..2 {
            (0..REPAIRS).for_each(|_| contentions.record_repair(uid));
            assert!(contentions.get(uid).unwrap().is_new);
            contentions.mark_reported(uid);
            advance(WINDOW).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn prune_keeps_only_recent_repairs_of_existing_synced_secrets() {
        let (contentions, there, gone, quiet) =
            (Contentions::default(), Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        contentions.record_repair(quiet);
        advance(WINDOW).await;
        contentions.record_repair(there);
        contentions.record_repair(gone);
        contentions.prune(|uid| uid != gone);
        assert_eq!(contentions.lock().keys().collect::<Vec<_>>(), [&there]);
    }
}
