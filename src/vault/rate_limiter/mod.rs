//! The client's rate limiter: how many requests are in flight, in which order, and how throttling by the
//! vault slows it down.
//!
//! Each caller has its own queue, and callers take turns, so a caller with many requests only delays itself.
//! A caller gets at most half of the slots that other callers leave free, so there is always one for the next
//! caller. It gets at most an eighth of the queue, and the last eighth of the rate is reserved for callers
//! that sent little. The service's own work has a queue, too. Callers go first, but can't starve it.

mod state;

use std::{sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

use crate::backoff::Backoff;
use state::{State, Waiter};

/// Minimum pause after a 429, so that other requests in flight that also get a 429 count as the same event.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause. A vault asks for seconds; a wrong header must not stop the client for a day.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(300);
/// The pauses if the vault gives no Retry-After: longer with every 429 in a row. Jitter keeps clients from
/// retrying at the same time.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_secs(32));

/// The rate limiter of a client.
pub(super) struct RateLimiter {
    limits: Limits,
    state: Mutex<State>,
}

/// Limits for all requests together.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Maximum requests in flight while the vault does not throttle; at least one.
    pub(super) in_flight: usize,
    /// Maximum queued requests.
    pub(super) waiting: usize,
    /// Maximum requests in any ten seconds.
    pub(super) per_window: Option<u32>,
}

/// Who a request is for. Each owner has a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A caller of the API; an empty name for no particular one.
    Caller(Arc<str>),
    /// The service's own work.
    Background,
}

/// The slot of a request in flight. Dropping it frees the slot.
pub(super) struct Permit {
    rate_limiter: Arc<RateLimiter>,
    owner: Owner,
}

/// Why a request can't be sent in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The client pauses for this long, which is past the deadline.
    Paused(Duration),
    /// It did not get its turn before the deadline.
    DeadlineExceeded,
    /// The queue of this caller, or of all, is full.
    QueueFull,
}

// === impl RateLimiter ===

impl RateLimiter {
    /// A rate limiter with these limits.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let per_window = limits.per_window.map(|requests| requests.max(1));
        let limits = Limits { in_flight: limits.in_flight.max(1), per_window, ..limits };
        Arc::new(Self { limits, state: Mutex::new(State::new(limits.in_flight)) })
    }

    /// Waits until a request may be sent. Fails immediately if that can't be before its deadline.
    pub(super) async fn enter(
        self: &Arc<Self>,
        owner: &Owner,
        deadline: Instant,
    ) -> Result<Permit, Rejected> {
        let granted = self.queue(owner, deadline)?;
        self.admit();
        match timeout_at(deadline, granted).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.state().rejection(Instant::now())),
        }
    }

    /// The vault accepted a request. Allows one more in flight after as many successes as are allowed now.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.consecutive_throttles = 0;
        state.allowed = (state.allowed + 1.0 / state.allowed).min(self.limits.in_flight as f64);
    }

    /// The vault throttles. Everyone pauses, then half as many requests may be in flight.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.resume.is_none_or(|resume| resume <= now) {
            state.allowed = (state.allowed / 2.0).max(1.0);
            state.consecutive_throttles = state.consecutive_throttles.saturating_add(1);
        }
        let pause = retry_after
            .unwrap_or_else(|| BACKOFF.with_equal_jitter(state.consecutive_throttles))
            .clamp(MIN_PAUSE, MAX_PAUSE);
        let resume = state.resume.map_or(now + pause, |resume| resume.max(now + pause));
        state.resume = Some(resume);
        // Requests whose deadline is earlier fail now: dropping a waiter closes its channel.
        state.retain_waiters(|waiter| waiter.deadline > resume);
    }

    /// Puts a request into the queue of its owner.
    fn queue(&self, owner: &Owner, deadline: Instant) -> Result<oneshot::Receiver<Permit>, Rejected> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(at) = state.rate_allows_from(owner, now, &self.limits).filter(|at| *at >= deadline) {
            return Err(Rejected::Paused(at - now));
        }
        let (slot, granted) = oneshot::channel();
        match state.wait(owner, Waiter { deadline, slot }, self.limits.waiting) {
            true => Ok(granted),
            false => Err(Rejected::QueueFull),
        }
    }

    /// Admits all requests that may be sent now, in turn.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some((owner, waiter)) = self.state().next_admitted(Instant::now(), &self.limits) else {
                break;
            };
            // If the waiter has left in the meantime, dropping the permit frees the slot.
            drop(waiter.slot.send(Permit { rate_limiter: self.clone(), owner }));
        }
        self.schedule_wakeup();
    }

    /// If queued requests only wait for time to pass, admits them when it has passed.
    fn schedule_wakeup(self: &Arc<Self>) {
        let Some(at) = self.state().next_wakeup(Instant::now(), &self.limits) else { return };
        let rate_limiter = Arc::downgrade(self);
        let wakeup = async move {
            sleep_until(at).await;
            if let Some(rate_limiter) = rate_limiter.upgrade() {
                rate_limiter.state().next_wakeup.take_if(|next_wakeup| *next_wakeup == at);
                rate_limiter.admit();
            }
        };
        // During shutdown there is no runtime and nobody left to admit.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(wakeup);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.rate_limiter.state().complete(&self.owner);
        self.rate_limiter.admit();
    }
}

#[cfg(test)]
mod tests;
