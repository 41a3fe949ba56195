//! The pace of the whole client: how many requests are in flight, who goes first, and how a throttling vault slows it down.
//!
//! Whoever waits stands in the queue of its own caller, and the callers take turns, so that one who asks for much makes nobody wait but
//! itself. A caller has no more than half of the slots that the other callers leave, so there is always one for the next; and no more than an eighth
//! of those who wait, or of what is left of the rate for those who asked for little. What the service does for nobody in particular has a queue
//! too: persons go before it, and never for ever.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

/// A person goes before the background, but after so many persons in a row the background has its turn too.
const PERSONS_IN_A_ROW: u32 = 8;
/// One of so many parts is the most that one may take of what all share.
const SHARE: usize = 8;
/// The window of the request rate.
const WINDOW: Duration = Duration::from_secs(10);
/// The least pause after a 429, so that the others in flight that hear the same count as one.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a vault asks for seconds, and a wrong header must not silence the client for a day.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause where the vault names none.
const LONGEST_GUESS: Duration = Duration::from_secs(32);

/// The pace of a client.
pub(super) struct Pace {
    limits: Limits,
    state: Mutex<State>,
}

/// What the requests of all together may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Requests in flight while the vault does not throttle; at least one.
    pub(super) in_flight: usize,
    /// Requests that wait.
    pub(super) waiting: usize,
    /// Requests in any ten seconds.
    pub(super) per_window: Option<u32>,
}

/// For whom a request is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Party {
    /// A person who calls; nobody in particular where it has no name.
    Caller(Arc<str>),
    /// What the service does by itself.
    Background,
}

/// A request in flight: ends with its drop.
pub(super) struct Permit {
    pace: Arc<Pace>,
    party: Party,
}

/// Why a request may not go in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client pauses for so long, which is past the deadline.
    Pausing(Duration),
    /// Too many are before it.
    TooLate,
    /// As many of this caller wait as may, or as many of all.
    TooMany,
}

struct State {
    /// Requests that may be in flight now. Additive increase, multiplicative decrease; the fraction counts towards the next one.
    allowed: f64,
    in_flight: usize,
    /// Of all that wait, are in flight or were sent in the last window.
    shares: HashMap<Party, Share>,
    /// Callers with a request that waits, in the order of their turns.
    turns: VecDeque<Party>,
    waiting: usize,
    persons_in_a_row: u32,
    /// Nothing is sent before.
    resume: Option<Instant>,
    /// 429s since the last success.
    strikes: u32,
    /// The requests of the last window, and when they were sent.
    sent: VecDeque<(Instant, Party)>,
    /// When somebody looks again who may go.
    alarm: Option<Instant>,
}

/// What one party has of all.
#[derive(Default)]
struct Share {
    waiting: VecDeque<Waiter>,
    in_flight: usize,
    /// In the last window.
    sent: usize,
}

struct Waiter {
    deadline: Instant,
    slot: oneshot::Sender<Permit>,
}

// === impl Pace ===

impl Pace {
    /// A pace within these limits.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let per_window = limits.per_window.map(|requests| requests.max(1));
        let limits = Limits { in_flight: limits.in_flight.max(1), per_window, ..limits };
        Arc::new(Self { limits, state: Mutex::new(State::new(limits.in_flight)) })
    }

    /// Waits until a request may be sent, and answers at once where that will not be before its deadline.
    pub(super) async fn enter(self: &Arc<Self>, party: &Party, deadline: Instant) -> Result<Permit, Refused> {
        let granted = self.queue(party, deadline)?;
        self.admit();
        match timeout_at(deadline, granted).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.state().refusal(Instant::now())),
        }
    }

    /// The vault took a request: one more may be in flight once as many as now have been.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.strikes = 0;
        state.allowed = (state.allowed + 1.0 / state.allowed).min(self.limits.in_flight as f64);
    }

    /// The vault throttles: everyone pauses, then half as many requests are in flight.
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
        // Whoever can't wait so long hears it now: their channel closes.
        state.keep_waiting(|waiter| waiter.deadline > resume);
    }

    /// A place in the queue of a party.
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

    /// Lets in whoever may go now, in turn.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some((party, waiter)) = self.state().next_in(Instant::now(), &self.limits) else { break };
            // A waiter that has left in the meantime gives the slot back with the drop of the permit.
            drop(waiter.slot.send(Permit { pace: self.clone(), party }));
        }
        self.come_back();
    }

    /// Where only time stands in the way of who waits, looks again when it has passed.
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
        // At the end there is nobody left to look for.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(look);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
            // Those who have left are still in their queues.
            self.keep_waiting(|waiter| !waiter.slot.is_closed());
            // What the service does by itself has workers of its own number, and no caller shall make them fail.
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

    /// Takes a slot for whoever is next; `None` where nobody may go now.
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

    /// The caller whose turn it is, of those who may go now.
    fn next_caller(&mut self, limits: &Limits) -> Option<Party> {
        let turn = self.turns.iter().position(|caller| self.may_go(caller, limits))?;
        self.turns.remove(turn)
    }

    /// Takes the first waiter of a party; a caller that has more of them has its next turn after all others.
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

    /// Counts a request as in flight and as sent.
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

    /// A request has ended.
    fn leave(&mut self, party: &Party) {
        self.in_flight -= 1;
        if let Some(share) = self.shares.get_mut(party) {
            share.in_flight -= 1;
        }
        self.forget(party);
    }

    /// Whether a party has somebody who waits, and a slot and the rate for them.
    fn may_go(&self, party: &Party, limits: &Limits) -> bool {
        let Some(share) = self.shares.get(party).filter(|share| !share.waiting.is_empty()) else {
            return false;
        };
        let allowed = self.allowed as usize;
        // An eighth of the slots is for persons alone, and another one for what the service does by itself: a vault that answers
        // the one kind slowly does not stop the other.
        let kept = if allowed > 1 { (allowed / SHARE).max(1) } else { 0 };
        let background = self.shares.get(&Party::Background).map_or(0, |share| share.in_flight);
        let has_slot = match party {
            Party::Background => share.in_flight + kept < allowed.max(1),
            Party::Caller(_) => {
                // Slots that nobody wants serve whoever is there: a fixed part would make one caller alone wait for nobody.
                let left = allowed.saturating_sub(self.in_flight - background - share.in_flight);
                share.in_flight < (left / 2).max(1) && self.in_flight - background + kept < allowed.max(1)
            }
        };
        has_slot && self.in_flight < allowed && self.has_rate(share.sent, limits)
    }

    /// Whether who has sent so many may send one more now. The last eighth of the rate is for those who have sent little.
    fn has_rate(&self, sent: usize, limits: &Limits) -> bool {
        let Some(per_window) = limits.per_window.map(|requests| requests as usize) else { return true };
        let kept = per_window / SHARE;
        let left = per_window.saturating_sub(self.sent.len());
        left > kept || (left > 0 && sent < kept / 2)
    }

    /// When a party may send by the pause and by the rate, where that is later than now.
    fn rate_allows_at(&mut self, party: &Party, now: Instant, limits: &Limits) -> Option<Instant> {
        self.forget_sent(now);
        let sent = self.shares.get(party).map_or(0, |share| share.sent);
        let resume = self.resume.filter(|resume| *resume > now);
        let rate =
            if self.has_rate(sent, limits) { None } else { self.sent.front().map(|(at, _)| *at + WINDOW) };
        resume.max(rate)
    }

    /// When to look again who may go, where somebody waits and nobody looks before.
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

    /// Keeps nothing of who has nothing.
    fn forget(&mut self, party: &Party) {
        let is_empty = |share: &Share| share.waiting.is_empty() && share.in_flight == 0 && share.sent == 0;
        if self.shares.get(party).is_some_and(is_empty) {
            self.shares.remove(party);
        }
    }

    /// Lets those leave who are not to wait.
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

/// A pause where the vault names none: doubles with every 429 in a row, with jitter so that its callers don't come back as one.
fn guess(strikes: u32) -> Duration {
    let longest = Duration::from_secs(1 << strikes.min(5)).min(LONGEST_GUESS);
    longest.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests;
