//! The queues of the rate limiter, and the rules that say who may send next.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::{Limits, Owner, Permit, Rejected};

/// After this many callers in a row, the background gets a turn.
const MAX_CALLERS_IN_A_ROW: u32 = 8;
/// A caller's share of a common resource is one of this many parts.
const SHARE_DIVISOR: usize = 8;
/// The window of the request rate.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The state of the rate limiter.
pub(super) struct State {
    /// Requests that may be in flight now. Additive increase, multiplicative decrease (AIMD); the fraction
    /// accumulates.
    pub(super) allowed: f64,
    pub(super) in_flight: usize,
    /// Parties with requests that are queued, in flight or were sent in the last window.
    pub(super) queues: HashMap<Owner, OwnerQueue>,
    /// Callers with queued requests, in the order of their turns.
    pub(super) turns: VecDeque<Owner>,
    pub(super) waiting: usize,
    pub(super) callers_in_a_row: u32,
    /// Nothing is sent before this time.
    pub(super) resume: Option<Instant>,
    /// 429s since the last success.
    pub(super) consecutive_throttles: u32,
    /// The requests of the last window, and when they were sent.
    pub(super) sent: VecDeque<(Instant, Owner)>,
    /// When a timer next admits requests.
    pub(super) next_wakeup: Option<Instant>,
}

/// The requests of one owner.
#[derive(Default)]
pub(super) struct OwnerQueue {
    waiting: VecDeque<Waiter>,
    in_flight: usize,
    /// Requests sent in the last window.
    sent: usize,
}

/// A queued request.
pub(super) struct Waiter {
    pub(super) deadline: Instant,
    pub(super) slot: oneshot::Sender<Permit>,
}

// === impl State ===

impl State {
    pub(super) fn new(most: usize) -> Self {
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
    pub(super) fn wait(&mut self, owner: &Owner, waiter: Waiter, most: usize) -> bool {
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
    pub(super) fn next_admitted(&mut self, now: Instant, limits: &Limits) -> Option<(Owner, Waiter)> {
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
    pub(super) fn complete(&mut self, owner: &Owner) {
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
    pub(super) fn rate_allows_from(
        &mut self,
        owner: &Owner,
        now: Instant,
        limits: &Limits,
    ) -> Option<Instant> {
        self.expire_sent(now);
        let sent = self.queues.get(owner).map_or(0, |share| share.sent);
        let resume = self.resume.filter(|resume| *resume > now);
        let rate =
            if self.has_rate(sent, limits) { None } else { self.sent.front().map(|(at, _)| *at + WINDOW) };
        resume.max(rate)
    }

    /// When a timer must admit requests, if there are waiters and no earlier timer.
    pub(super) fn next_wakeup(&mut self, now: Instant, limits: &Limits) -> Option<Instant> {
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
    pub(super) fn retain_waiters(&mut self, stays: impl Fn(&Waiter) -> bool) {
        self.queues.values_mut().for_each(|share| share.waiting.retain(&stays));
        self.waiting = self.queues.values().map(|share| share.waiting.len()).sum();
        let queues = &self.queues;
        self.turns.retain(|caller| queues.get(caller).is_some_and(|share| !share.waiting.is_empty()));
        self.queues.retain(|_, share| !share.waiting.is_empty() || share.in_flight > 0 || share.sent > 0);
    }

    pub(super) fn rejection(&self, now: Instant) -> Rejected {
        match self.resume.filter(|resume| *resume > now) {
            Some(resume) => Rejected::Paused(resume - now),
            None => Rejected::DeadlineExceeded,
        }
    }
}
