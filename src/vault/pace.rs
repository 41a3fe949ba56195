//! The pace of the whole client: how many requests are in flight, who goes first, and how a throttling vault slows it down.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout_at},
};

use super::Priority;

/// A person goes before the background, but after so many persons in a row the background has its turn too.
const PERSONS_IN_A_ROW: u32 = 8;
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
    /// Requests in flight while the vault does not throttle.
    most: usize,
    /// Requests in any ten seconds.
    per_window: Option<usize>,
    state: Mutex<State>,
}

/// A request in flight: ends with its drop.
pub(super) struct Permit(Arc<Pace>);

/// Why a request may not go in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The client pauses for so long, which is past the deadline.
    Pausing(Duration),
    /// Too many are before it.
    TooLate,
}

struct State {
    /// Requests that may be in flight now. Additive increase, multiplicative decrease; the fraction counts towards the next one.
    allowed: f64,
    in_flight: usize,
    interactive: VecDeque<Waiter>,
    background: VecDeque<Waiter>,
    persons_in_a_row: u32,
    /// Nothing is sent before.
    resume: Option<Instant>,
    /// 429s since the last success.
    strikes: u32,
    /// When the requests of the last window were sent.
    sent: VecDeque<Instant>,
}

struct Waiter {
    deadline: Instant,
    slot: oneshot::Sender<Permit>,
}

// === impl Pace ===

impl Pace {
    /// A pace of `most` requests in flight (at least one) and, where given, `per_window` in any ten seconds.
    pub(super) fn new(most: usize, per_window: Option<u32>) -> Arc<Self> {
        let most = most.max(1);
        let per_window = per_window.map(|requests| requests.max(1) as usize);
        Arc::new(Self { most, per_window, state: Mutex::new(State::new(most)) })
    }

    /// Waits until a request may be sent, and answers at once where that will not be before its deadline.
    pub(super) async fn enter(
        self: &Arc<Self>,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Permit, Refused> {
        if let Some(resume) = self.state().resume.filter(|resume| *resume >= deadline) {
            return Err(Refused::Pausing(resume - Instant::now()));
        }
        let permit = self.slot(priority, deadline).await?;
        loop {
            let now = Instant::now();
            let ready = self.state().ready(now, self.per_window);
            match ready {
                Ok(()) => return Ok(permit),
                Err(at) if at >= deadline => return Err(Refused::Pausing(at - now)),
                Err(at) => sleep_until(at).await,
            }
        }
    }

    /// The vault took a request: one more may be in flight once as many as now have been.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.strikes = 0;
        state.allowed = (state.allowed + 1.0 / state.allowed).min(self.most as f64);
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
        state.interactive.retain(|waiter| waiter.deadline > resume);
        state.background.retain(|waiter| waiter.deadline > resume);
    }

    async fn slot(self: &Arc<Self>, priority: Priority, deadline: Instant) -> Result<Permit, Refused> {
        let (slot, granted) = oneshot::channel();
        self.state().queue(priority).push_back(Waiter { deadline, slot });
        self.admit();
        match timeout_at(deadline, granted).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.state().refusal(Instant::now())),
        }
    }

    /// Lets in as many waiters as there are free slots.
    fn admit(self: &Arc<Self>) {
        loop {
            let Some(waiter) = self.state().next_in() else { return };
            // A waiter that has left in the meantime gives the slot back with the drop of the permit.
            drop(waiter.slot.send(Permit(self.clone())));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the lock")
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
        self.0.admit();
    }
}

// === impl State ===

impl State {
    fn new(most: usize) -> Self {
        Self {
            allowed: most as f64,
            in_flight: 0,
            interactive: VecDeque::new(),
            background: VecDeque::new(),
            persons_in_a_row: 0,
            resume: None,
            strikes: 0,
            sent: VecDeque::new(),
        }
    }

    fn queue(&mut self, priority: Priority) -> &mut VecDeque<Waiter> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Background => &mut self.background,
        }
    }

    /// Takes a slot for whoever is next; `None` where no slot is free or nobody waits.
    fn next_in(&mut self) -> Option<Waiter> {
        while self.in_flight < self.allowed as usize {
            let persons_first = self.persons_in_a_row < PERSONS_IN_A_ROW || self.background.is_empty();
            let waiter = match self.interactive.is_empty() || !persons_first {
                true => {
                    self.persons_in_a_row = 0;
                    self.background.pop_front()?
                }
                false => {
                    self.persons_in_a_row =
                        if self.background.is_empty() { 0 } else { self.persons_in_a_row + 1 };
                    self.interactive.pop_front()?
                }
            };
            if !waiter.slot.is_closed() {
                self.in_flight += 1;
                return Some(waiter);
            }
        }
        None
    }

    /// Counts a request as sent now, or tells when to ask again.
    fn ready(&mut self, now: Instant, per_window: Option<usize>) -> Result<(), Instant> {
        if let Some(resume) = self.resume.filter(|resume| *resume > now) {
            return Err(resume);
        }
        let Some(per_window) = per_window else { return Ok(()) };
        while self.sent.front().is_some_and(|sent| *sent + WINDOW <= now) {
            self.sent.pop_front();
        }
        match self.sent.front() {
            Some(first) if self.sent.len() >= per_window => Err(*first + WINDOW),
            _ => {
                self.sent.push_back(now);
                Ok(())
            }
        }
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
