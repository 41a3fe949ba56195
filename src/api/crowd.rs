//! What one caller may take of what all share: calls a second, calls and watches at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use tonic::{Code, Status};

use super::{error::of_server, options::Limits};

/// Callers whose rates are remembered before those are forgotten that have been quiet.
const CALLERS: usize = 10_000;

/// All callers.
#[derive(Clone)]
pub(super) struct Crowd(Arc<Inner>);

struct Inner {
    rate: Option<DefaultKeyedRateLimiter<String>>,
    calls: Shares,
    watches: Shares,
}

/// How much of something everybody holds.
struct Shares {
    limit: usize,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// One of them; given back when dropped.
pub(super) struct Share {
    holder: String,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

// === impl Crowd ===

impl Crowd {
    pub(super) fn new(limits: &Limits) -> Self {
        let rate = limits.calls_per_second.map(|rate| RateLimiter::keyed(Quota::per_second(rate)));
        Self(Arc::new(Inner {
            rate,
            calls: Shares::new(limits.calls_per_caller),
            watches: Shares::new(limits.watches_per_caller),
        }))
    }

    /// A call of a caller.
    pub(super) fn call(&self, caller: &str) -> Result<Share, Status> {
        if let Some(rate) = &self.0.rate {
            if rate.len() > CALLERS {
                rate.retain_recent();
            }
            let now = rate.clock().now();
            rate.check_key(&caller.to_owned()).map_err(|until| too_fast(until.wait_time_from(now)))?;
        }
        self.0.calls.take(caller).ok_or_else(too_many_calls)
    }

    /// A watch of a caller.
    pub(super) fn watch(&self, caller: &str) -> Result<Share, Status> {
        self.0.watches.take(caller).ok_or_else(too_many_watches)
    }
}

// === impl Shares ===

impl Shares {
    fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    fn take(&self, holder: &str) -> Option<Share> {
        let mut held = lock(&self.held);
        let count = held.entry(holder.to_owned()).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share { holder: holder.to_owned(), held: self.held.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(count) = held.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.holder);
            }
        }
    }
}

fn lock(held: &Mutex<HashMap<String, usize>>) -> MutexGuard<'_, HashMap<String, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_fast(wait: Duration) -> Status {
    let message = "You call more often than one caller may. Call less often, or ask the operator for a higher \
                   limits.calls_per_second.";
    of_server(Code::ResourceExhausted, "CALLING_TOO_FAST", message, Some(wait.max(Duration::from_millis(1))))
}

fn too_many_calls() -> Status {
    let message = "As many calls of yours are under way, or their answers not taken, as one caller may have. Wait for some \
                   to end.";
    of_server(Code::ResourceExhausted, "TOO_MANY_CALLS_OF_CALLER", message, Some(Duration::from_secs(1)))
}

fn too_many_watches() -> Status {
    let message = "As many watches of yours are open as one caller may have. Close one, or share one.";
    of_server(Code::ResourceExhausted, "TOO_MANY_WATCHES_OF_CALLER", message, Some(Duration::from_secs(10)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_free_again_when_it_is_given_back_and_nothing_is_kept_of_who_holds_none() {
        let shares = Shares::new(2);
        let (first, second) = (shares.take("a").unwrap(), shares.take("a").unwrap());
        assert!(shares.take("a").is_none());
        assert!(shares.take("b").is_some(), "others have theirs");
        drop(first);
        let third = shares.take("a").unwrap();
        drop((second, third));
        assert!(lock(&shares.held).is_empty());
    }

    #[test]
    fn a_caller_that_calls_too_often_is_told_when_to_come_back_and_others_are_not() {
        let limits = Limits { calls_per_second: std::num::NonZeroU32::new(5), ..Limits::default() };
        let crowd = Crowd::new(&limits);
        for _ in 0..5 {
            crowd.call("a").unwrap();
        }
        let told = crowd.call("a").err().unwrap();
        use tonic_types::StatusExt;
        let wait = told.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
        crowd.call("b").unwrap();
    }
}
