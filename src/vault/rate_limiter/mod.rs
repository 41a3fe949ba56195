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
const PERSONS_IN_A_ROW: u32 = 8;
/// A caller's share of a common resource is one of this many parts.
const SHARE: usize = 8;
/// The window of the request rate.
const WINDOW: Duration = Duration::from_secs(10);
/// Minimum pause after a 429, so that other requests in flight that also get a 429 count as the same event.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// Maximum pause. A vault asks for seconds; a wrong header must not stop the client for a day.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Maximum pause if the vault gives no Retry-After.
const LONGEST_GUESS: Duration = Duration::from_secs(32);

/// The rate limiter of a client.
pub(super) struct Pace {
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

/// Who a request is for. Each party has a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party {
    /// A caller of the API; an empty name for no particular one.
    Caller(Arc<str>),
    /// The service's own work.
    Background,
}

/// The slot of a request in flight. Dropping it frees the slot.
pub(super) struct Permit {
    pace: Arc<Pace>,
    party: Party,
}

/// Why a request can't be sent in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client pauses for this long, which is past the deadline.
    Pausing(Duration),
    /// It did not get its turn before the deadline.
    TooLate,
    /// The queue of this caller, or of all, is full.
    TooMany,
}

struct State {
    /// Requests that may be in flight now. Additive increase, multiplicative decrease (AIMD); the fraction
    /// accumulates.
    allowed: f64,
    in_flight: usize,
    /// Parties with requests that are queued, in flight or were sent in the last window.
    shares: HashMap<Party, Share>,
    /// Callers with queued requests, in the order of their turns.
    turns: VecDeque<Party>,
    waiting: usize,
    persons_in_a_row: u32,
    /// Nothing is sent before this time.
    resume: Option<Instant>,
    /// 429s since the last success.
    strikes: u32,
    /// The requests of the last window, and when they were sent.
    sent: VecDeque<(Instant, Party)>,
    /// When a timer next admits requests.
    alarm: Option<Instant>,
}

/// The requests of one party.
#[derive(Default)]
struct Share {
    waiting: VecDeque<Waiter>,
    in_flight: usize,
    /// Requests sent in the last window.
    sent: usize,
}

struct Waiter {
    deadline: Instant,
    slot: oneshot::Sender<Permit>,
}

// === impl Pace ===

impl Pace {
    /// A rate limiter with these limits.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let per_window = limits.per_window.map(|requests| requests.max(1));
        let limits = Limits { in_flight: limits.in_flight.max(1), per_window, ..limits };
        Arc::new(Self { limits, state: Mutex::new(State::new(limits.in_flight)) })
    }

    /// Waits until a request may be sent. Fails immediately if that can't be before its deadline.
    pub(super) async fn enter(self: &Arc<Self>, party: &Party, deadline: Instant) -> Result<Permit, Refused> {
        let granted = self.queue(party, deadline)?;
        self.admit();
        match timeout_at(deadline, granted).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.state().refusal(Instant::now())),
        }
    }

    /// The vault accepted a request. Allows one more in flight after as many successes as are allowed now.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.strikes = 0;
        state.allowed = (state.allowed + 1.0 / state.allowed).min(self.limits.in_flight as f64);
    }

    /// The vault throttles. Everyone pauses, then half as many requests may be in flight.
    pub(super) fn throttled(&self, retry_after: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.resume.is_none_or(|resume| resume <= now) {
            state.allowed = (state.allowed / 2.0).max(1.0);
            state.strikes = state.strikes.saturating_add(1);
        }
        let pause = retry_after.unwrap_or_else(|| guess(state.strikes)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let resume = state.resume.map_or(now + pause, |resume| resume.max(now + pause));
        state.resume = Some(resume);
        // Requests whose deadline is earlier fail now: dropping a waiter closes its channel.
        state.keep_waiting(|waiter| waiter.deadline > resume);
    }

    /// Puts a request into the queue of its party.
    fn queue(&self, party: &Party, deadline: Instant) -> Result<oneshot::Receiver<Permit>, Refused> {
        let now = Instant::now();
        let mut state = self.state();
        if let Some(at) = state.rate_allows_at(party, now, &self.limits).filter(|at| *at >= deadline) {
            return Err(Refused::Pausing(at - now));
        }
        let (slot, granted) = oneshot::channel();
        match state.wait(party, Waiter { deadline, slot }, self.limits.waiting) {
            true => Ok(granted),
            false => Err(Refused::TooMany),
        }
    }

    /// Admits all requests that may be sent now, in turn.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some((party, waiter)) = self.state().next_in(Instant::now(), &self.limits) else { break };
            // If the waiter has left in the meantime, dropping the permit frees the slot.
            drop(waiter.slot.send(Permit { pace: self.clone(), party }));
        }
        self.come_back();
    }

    /// If queued requests only wait for time to pass, admits them when it has passed.
    fn come_back(self: &Arc<Self>) {
        let Some(at) = self.state().alarm(Instant::now(), &self.limits) else { return };
        let pace = Arc::downgrade(self);
        let look = async move {
            sleep_until(at).await;
            if let Some(pace) = pace.upgrade() {
                pace.state().alarm.take_if(|alarm| *alarm == at);
                pace.admit();
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
        self.pace.state().leave(&self.party);
        self.pace.admit();
    }
}

// === impl State ===

impl State {
    fn new(most: usize) -> Self {
        Self {
            allowed: most as f64,
            in_flight: 0,
            shares: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            persons_in_a_row: 0,
            resume: None,
            strikes: 0,
            sent: VecDeque::new(),
            alarm: None,
        }
    }

    /// Puts a waiter into the queue of its party, unless that is full.
    fn wait(&mut self, party: &Party, waiter: Waiter, most: usize) -> bool {
        let own = if *party == Party::Background { most } else { (most / SHARE).max(1) };
        let is_full = |state: &Self| {
            let share = state.shares.get(party).map_or(0, |share| share.waiting.len());
            share >= own || state.waiting >= most
        };
        if is_full(self) {
            // Waiters that have left may still be in their queues.
            self.keep_waiting(|waiter| !waiter.slot.is_closed());
            // The service's own work has a fixed number of workers, and no caller may make them fail.
            if is_full(self) && *party != Party::Background {
                return false;
            }
        }
        let share = self.shares.entry(party.clone()).or_default();
        if share.waiting.is_empty() && *party != Party::Background {
            self.turns.push_back(party.clone());
        }
        share.waiting.push_back(waiter);
        self.waiting += 1;
        true
    }

    /// Takes a slot for the next request; `None` if none may be sent now.
    fn next_in(&mut self, now: Instant, limits: &Limits) -> Option<(Party, Waiter)> {
        self.forget_sent(now);
        if self.resume.is_some_and(|resume| resume > now) {
            return None;
        }
        loop {
            let background = self.may_go(&Party::Background, limits);
            let party = match background && self.persons_in_a_row >= PERSONS_IN_A_ROW {
                true => Party::Background,
                false => match self.next_caller(limits) {
                    Some(caller) => caller,
                    None if background => Party::Background,
                    None => return None,
                },
            };
            let Some(waiter) = self.take(&party) else { continue };
            if !waiter.slot.is_closed() {
                self.go(&party, now, limits);
                return Some((party, waiter));
            }
        }
    }

    /// The next caller in turn that may send now.
    fn next_caller(&mut self, limits: &Limits) -> Option<Party> {
        let turn = self.turns.iter().position(|caller| self.may_go(caller, limits))?;
        self.turns.remove(turn)
    }

    /// Takes the first waiter of a party. A caller with more waiters gets its next turn after all others.
    fn take(&mut self, party: &Party) -> Option<Waiter> {
        let share = self.shares.get_mut(party)?;
        let waiter = share.waiting.pop_front()?;
        self.waiting -= 1;
        if !share.waiting.is_empty() && *party != Party::Background {
            self.turns.push_back(party.clone());
        }
        self.forget(party);
        Some(waiter)
    }

    /// Counts a request as in flight and sent.
    fn go(&mut self, party: &Party, now: Instant, limits: &Limits) {
        let background = self.shares.get(&Party::Background);
        let background_waits = background.is_some_and(|share| !share.waiting.is_empty());
        self.persons_in_a_row = match party {
            Party::Caller(_) if background_waits => self.persons_in_a_row + 1,
            _ => 0,
        };
        self.in_flight += 1;
        let share = self.shares.entry(party.clone()).or_default();
        share.in_flight += 1;
        if limits.per_window.is_some() {
            share.sent += 1;
            self.sent.push_back((now, party.clone()));
        }
    }

    /// Counts a request as completed.
    fn leave(&mut self, party: &Party) {
        self.in_flight -= 1;
        if let Some(share) = self.shares.get_mut(party) {
            share.in_flight -= 1;
        }
        self.forget(party);
    }

    /// Whether a party has a waiter, a free slot and rate left.
    fn may_go(&self, party: &Party, limits: &Limits) -> bool {
        let Some(share) = self.shares.get(party).filter(|share| !share.waiting.is_empty()) else {
            return false;
        };
        let allowed = self.allowed as usize;
        // An eighth of the slots is reserved for callers, and another for the service's own work: if the
        // vault answers the one kind slowly, it does not stop the other.
        let kept = if allowed > 1 { (allowed / SHARE).max(1) } else { 0 };
        let background = self.shares.get(&Party::Background).map_or(0, |share| share.in_flight);
        let has_slot = match party {
            Party::Background => share.in_flight + kept < allowed.max(1),
            Party::Caller(_) => {
                // Unused slots are available to everyone: with a fixed share, a lone caller would wait for
                // nobody.
                let left = allowed.saturating_sub(self.in_flight - background - share.in_flight);
                share.in_flight < (left / 2).max(1) && self.in_flight - background + kept < allowed.max(1)
            }
        };
        has_slot && self.in_flight < allowed && self.has_rate(share.sent, limits)
    }

    /// Whether a party that sent `sent` requests may send one more. The last eighth of the rate is for those
    /// that sent little.
    fn has_rate(&self, sent: usize, limits: &Limits) -> bool {
        let Some(per_window) = limits.per_window.map(|requests| requests as usize) else { return true };
        let kept = per_window / SHARE;
        let left = per_window.saturating_sub(self.sent.len());
        left > kept || (left > 0 && sent < kept / 2)
    }

    /// When the pause and the rate let a party send, if that is later than now.
    fn rate_allows_at(&mut self, party: &Party, now: Instant, limits: &Limits) -> Option<Instant> {
        self.forget_sent(now);
        let sent = self.shares.get(party).map_or(0, |share| share.sent);
        let resume = self.resume.filter(|resume| *resume > now);
        let rate =
            if self.has_rate(sent, limits) { None } else { self.sent.front().map(|(at, _)| *at + WINDOW) };
        resume.max(rate)
    }

    /// When a timer must admit requests, if there are waiters and no earlier timer.
    fn alarm(&mut self, now: Instant, limits: &Limits) -> Option<Instant> {
        let resume = self.resume.filter(|resume| *resume > now);
        let is_scarce = self.waiting > 0 && !self.has_rate(usize::MAX, limits);
        let of_rate = || self.sent.front().filter(|_| is_scarce).map(|(at, _)| *at + WINDOW);
        let at = resume.filter(|_| self.waiting > 0).or_else(of_rate)?;
        if self.alarm.is_some_and(|alarm| alarm <= at) {
            return None;
        }
        self.alarm = Some(at);
        Some(at)
    }

    fn forget_sent(&mut self, now: Instant) {
        while let Some((at, _)) = self.sent.front()
            && *at + WINDOW <= now
        {
            let Some((_, party)) = self.sent.pop_front() else { return };
            if let Some(share) = self.shares.get_mut(&party) {
                share.sent -= 1;
            }
            self.forget(&party);
        }
    }

    /// Drops the entry of a party without requests.
    fn forget(&mut self, party: &Party) {
        let is_empty = |share: &Share| share.waiting.is_empty() && share.in_flight == 0 && share.sent == 0;
        if self.shares.get(party).is_some_and(is_empty) {
            self.shares.remove(party);
        }
    }

    /// Drops the waiters for which `stays` is false.
    fn keep_waiting(&mut self, stays: impl Fn(&Waiter) -> bool) {
        self.shares.values_mut().for_each(|share| share.waiting.retain(&stays));
        self.waiting = self.shares.values().map(|share| share.waiting.len()).sum();
        let shares = &self.shares;
        self.turns.retain(|caller| shares.get(caller).is_some_and(|share| !share.waiting.is_empty()));
        self.shares.retain(|_, share| !share.waiting.is_empty() || share.in_flight > 0 || share.sent > 0);
    }

    fn refusal(&self, now: Instant) -> Refused {
        match self.resume.filter(|resume| *resume > now) {
            Some(resume) => Refused::Pausing(resume - now),
            None => Refused::TooLate,
        }
    }
}

/// The pause if the vault gives no Retry-After. Doubles with every 429 in a row, with jitter so that clients
/// don't retry at the same time.
fn guess(strikes: u32) -> Duration {
    let longest = Duration::from_secs(1 << strikes.min(5)).min(LONGEST_GUESS);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
