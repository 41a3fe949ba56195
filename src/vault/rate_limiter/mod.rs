//! The client's rate limiter: how many requests are in flight, in which order, and how throttling by the
//! vault slows it down.
//!
//! Each caller has its own queue, and callers take turns, so a caller with many requests only delays itself.
//! A caller gets at most half of the slots that other callers leave free, so there is always one for the next
//! caller. It gets at most an eighth of the queue, and the last eighth of the rate is reserved for callers
//! that sent little. The service's own work has a queue, too. Callers go first, but can't starve it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

/// After this many callers in a row, the background gets a turn.
const MAX_CALLERS_IN_A_ROW: u32 = 8;
/// A caller's share of a common resource is one of this many parts.
const SHARE_DIVISOR: usize = 8;
/// The window of the request rate.
const WINDOW: Duration = Duration::from_secs(10);
/// Minimum pause after a 429, so that other requests in flight that also get a 429 count as the same event.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause. A vault asks for seconds; a wrong header must not stop the client for a day.
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Maximum pause if the vault gives no Retry-After.
const MAX_BACK_OFF: Duration = Duration::from_secs(32);

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

struct State {
    /// Requests that may be in flight now. Additive increase, multiplicative decrease (AIMD); the fraction
    /// accumulates.
    allowed: f64,
    in_flight: usize,
    /// Parties with requests that are queued, in flight or were sent in the last window.
    queues: HashMap<Owner, OwnerQueue>,
    /// Callers with queued requests, in the order of their turns.
    turns: VecDeque<Owner>,
    waiting: usize,
    callers_in_a_row: u32,
    /// Nothing is sent before this time.
    resume: Option<Instant>,
    /// 429s since the last success.
    consecutive_throttles: u32,
    /// The requests of the last window, and when they were sent.
    sent: VecDeque<(Instant, Owner)>,
    /// When a timer next admits requests.
    next_wakeup: Option<Instant>,
}

/// The requests of one owner.
#[derive(Default)]
struct OwnerQueue {
    waiting: VecDeque<Waiter>,
    in_flight: usize,
    /// Requests sent in the last window.
    sent: usize,
}

struct Waiter {
    deadline: Instant,
    slot: oneshot::Sender<Permit>,
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
        let pause =
            retry_after.unwrap_or_else(|| back_off(state.consecutive_throttles)).clamp(MIN_PAUSE, MAX_PAUSE);
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
        let look = async move {
            sleep_until(at).await;
            if let Some(rate_limiter) = rate_limiter.upgrade() {
                rate_limiter.state().next_wakeup.take_if(|next_wakeup| *next_wakeup == at);
                rate_limiter.admit();
            }
        };
        // During shutdown there is no runtime and nobody left to admit.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(look);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.rate_limiter.state().complete(&self.owner);
        self.rate_limiter.admit();
    }
}

// === impl State ===

impl State {
    fn new(most: usize) -> Self {
        Self {
            allowed: most as f64,
            in_flight: 0,
            queues: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            callers_in_a_row: 0,
            resume: None,
            consecutive_throttles: 0,
            sent: VecDeque::new(),
            next_wakeup: None,
        }
    }

    /// Puts a waiter into the queue of its owner, unless that is full.
    fn wait(&mut self, owner: &Owner, waiter: Waiter, most: usize) -> bool {
        let own = if *owner == Owner::Background { most } else { (most / SHARE_DIVISOR).max(1) };
        let is_full = |state: &Self| {
            let share = state.queues.get(owner).map_or(0, |share| share.waiting.len());
            share >= own || state.waiting >= most
        };
        if is_full(self) {
            // Waiters that have left may still be in their queues.
            self.retain_waiters(|waiter| !waiter.slot.is_closed());
            // The service's own work has a fixed number of workers, and no caller may make them fail.
            if is_full(self) && *owner != Owner::Background {
                return false;
            }
        }
        let share = self.queues.entry(owner.clone()).or_default();
        if share.waiting.is_empty() && *owner != Owner::Background {
            self.turns.push_back(owner.clone());
        }
        share.waiting.push_back(waiter);
        self.waiting += 1;
        true
    }

    /// Takes a slot for the next request; `None` if none may be sent now.
    fn next_admitted(&mut self, now: Instant, limits: &Limits) -> Option<(Owner, Waiter)> {
        self.expire_sent(now);
        if self.resume.is_some_and(|resume| resume > now) {
            return None;
        }
        loop {
            let background = self.may_send(&Owner::Background, limits);
            let owner = match background && self.callers_in_a_row >= MAX_CALLERS_IN_A_ROW {
                true => Owner::Background,
                false => match self.next_caller(limits) {
                    Some(caller) => caller,
                    None if background => Owner::Background,
                    None => return None,
                },
            };
            let Some(waiter) = self.take(&owner) else { continue };
            if !waiter.slot.is_closed() {
                self.start(&owner, now, limits);
                return Some((owner, waiter));
            }
        }
    }

    /// The next caller in turn that may send now.
    fn next_caller(&mut self, limits: &Limits) -> Option<Owner> {
        let turn = self.turns.iter().position(|caller| self.may_send(caller, limits))?;
        self.turns.remove(turn)
    }

    /// Takes the first waiter of a owner. A caller with more waiters gets its next turn after all others.
    fn take(&mut self, owner: &Owner) -> Option<Waiter> {
        let share = self.queues.get_mut(owner)?;
        let waiter = share.waiting.pop_front()?;
        self.waiting -= 1;
        if !share.waiting.is_empty() && *owner != Owner::Background {
            self.turns.push_back(owner.clone());
        }
        self.remove_if_idle(owner);
        Some(waiter)
    }

    /// Counts a request as in flight and sent.
    fn start(&mut self, owner: &Owner, now: Instant, limits: &Limits) {
        let background = self.queues.get(&Owner::Background);
        let background_waits = background.is_some_and(|share| !share.waiting.is_empty());
        self.callers_in_a_row = match owner {
            Owner::Caller(_) if background_waits => self.callers_in_a_row + 1,
            _ => 0,
        };
        self.in_flight += 1;
        let share = self.queues.entry(owner.clone()).or_default();
        share.in_flight += 1;
        if limits.per_window.is_some() {
            share.sent += 1;
            self.sent.push_back((now, owner.clone()));
        }
    }

    /// Counts a request as completed.
    fn complete(&mut self, owner: &Owner) {
        self.in_flight -= 1;
        if let Some(share) = self.queues.get_mut(owner) {
            share.in_flight -= 1;
        }
        self.remove_if_idle(owner);
    }

    /// Whether a owner has a waiter, a free slot and rate left.
    fn may_send(&self, owner: &Owner, limits: &Limits) -> bool {
        let Some(share) = self.queues.get(owner).filter(|share| !share.waiting.is_empty()) else {
            return false;
        };
        let allowed = self.allowed as usize;
        // An eighth of the slots is reserved for callers, and another for the service's own work: if the
        // vault answers the one kind slowly, it does not stop the other.
        let kept = if allowed > 1 { (allowed / SHARE_DIVISOR).max(1) } else { 0 };
        let background = self.queues.get(&Owner::Background).map_or(0, |share| share.in_flight);
        let has_slot = match owner {
            Owner::Background => share.in_flight + kept < allowed.max(1),
            Owner::Caller(_) => {
                // Unused slots are available to everyone: with a fixed share, a lone caller would wait for
                // nobody.
                let left = allowed.saturating_sub(self.in_flight - background - share.in_flight);
                share.in_flight < (left / 2).max(1) && self.in_flight - background + kept < allowed.max(1)
            }
        };
        has_slot && self.in_flight < allowed && self.has_rate(share.sent, limits)
    }

    /// Whether a owner that sent `sent` requests may send one more. The last eighth of the rate is for those
    /// that sent little.
    fn has_rate(&self, sent: usize, limits: &Limits) -> bool {
        let Some(per_window) = limits.per_window.map(|requests| requests as usize) else { return true };
        let kept = per_window / SHARE_DIVISOR;
        let left = per_window.saturating_sub(self.sent.len());
        left > kept || (left > 0 && sent < kept / 2)
    }

    /// When the pause and the rate let a owner send, if that is later than now.
    fn rate_allows_from(&mut self, owner: &Owner, now: Instant, limits: &Limits) -> Option<Instant> {
        self.expire_sent(now);
        let sent = self.queues.get(owner).map_or(0, |share| share.sent);
        let resume = self.resume.filter(|resume| *resume > now);
        let rate =
            if self.has_rate(sent, limits) { None } else { self.sent.front().map(|(at, _)| *at + WINDOW) };
        resume.max(rate)
    }

    /// When a timer must admit requests, if there are waiters and no earlier timer.
    fn next_wakeup(&mut self, now: Instant, limits: &Limits) -> Option<Instant> {
        let resume = self.resume.filter(|resume| *resume > now);
        let is_scarce = self.waiting > 0 && !self.has_rate(usize::MAX, limits);
        let of_rate = || self.sent.front().filter(|_| is_scarce).map(|(at, _)| *at + WINDOW);
        let at = resume.filter(|_| self.waiting > 0).or_else(of_rate)?;
        if self.next_wakeup.is_some_and(|next_wakeup| next_wakeup <= at) {
            return None;
        }
        self.next_wakeup = Some(at);
        Some(at)
    }

    fn expire_sent(&mut self, now: Instant) {
        while let Some((at, _)) = self.sent.front()
            && *at + WINDOW <= now
        {
            let Some((_, owner)) = self.sent.pop_front() else { return };
            if let Some(share) = self.queues.get_mut(&owner) {
                share.sent -= 1;
            }
            self.remove_if_idle(&owner);
        }
    }

    /// Drops the entry of a owner without requests.
    fn remove_if_idle(&mut self, owner: &Owner) {
        let is_empty =
            |share: &OwnerQueue| share.waiting.is_empty() && share.in_flight == 0 && share.sent == 0;
        if self.queues.get(owner).is_some_and(is_empty) {
            self.queues.remove(owner);
        }
    }

    /// Drops the waiters for which `stays` is false.
    fn retain_waiters(&mut self, stays: impl Fn(&Waiter) -> bool) {
        self.queues.values_mut().for_each(|share| share.waiting.retain(&stays));
        self.waiting = self.queues.values().map(|share| share.waiting.len()).sum();
        let queues = &self.queues;
        self.turns.retain(|caller| queues.get(caller).is_some_and(|share| !share.waiting.is_empty()));
        self.queues.retain(|_, share| !share.waiting.is_empty() || share.in_flight > 0 || share.sent > 0);
    }

    fn rejection(&self, now: Instant) -> Rejected {
        match self.resume.filter(|resume| *resume > now) {
            Some(resume) => Rejected::Paused(resume - now),
            None => Rejected::DeadlineExceeded,
        }
    }
}

/// The pause if the vault gives no Retry-After. Doubles with every 429 in a row, with jitter so that clients
/// don't retry at the same time.
fn back_off(consecutive_throttles: u32) -> Duration {
    let longest = Duration::from_secs(1 << consecutive_throttles.min(5)).min(MAX_BACK_OFF);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
