//! Limits on what callers use at a time: calls, watches, bytes of requests; and on their calls a second.

use std::{sync::Arc, time::Duration};

use governor::Quota;
use tonic::Status;

use super::{
    budget::{Budget, Permit},
    limit::{Limit, LimitHits},
    request_body::BodyLimits,
};
use crate::{access::KeyedRateLimiter, api::options::Limits};

/// The limits and what all callers use of them. A clone shares both.
#[derive(Clone)]
pub(crate) struct CallerLimits(Arc<Inner>);

struct Inner {
    rate: Option<(u32, KeyedRateLimiter<String>)>,
    calls: Budget,
    watches: Budget,
    bytes: Budget,
    /// Calls that wait for the rest of a request, and its bytes, if the caller is not authorized yet: it
    /// lacks the permission on all names, and which name it needs is known only when the request is read.
    undecided: (Budget, Budget),
    message_bytes: (Limit, usize),
    small_message_bytes: (Limit, usize),
    receive_timeout: (Limit, Duration),
    /// Calls reserved for the Unix socket.
    reserve: Budget,
    limit_hits: LimitHits,
}

// === impl CallerLimits ===

impl CallerLimits {
    pub(crate) fn new(limits: &Limits, reserve: Budget, limit_hits: LimitHits) -> Self {
        let rate =
            limits.calls_per_second.map(|rate| (rate.get(), KeyedRateLimiter::new(Quota::per_second(rate))));
        let budget = |all, each| Budget::new(all, each, limit_hits.clone());
        let (calls, bytes) = (limits.concurrent_calls, limits.request_bytes);
        let undecided_calls = (eighth(calls), eighth(eighth(calls)));
        // The largest allowed message must fit for every caller.
        let undecided_bytes = eighth(bytes).max(limits.message_bytes);
        Self(Arc::new(Inner {
            rate,
            calls: budget(
                (Limit::ConcurrentCalls, limits.concurrent_calls),
                (Limit::CallsPerCaller, limits.calls_per_caller),
            ),
            watches: budget(
                (Limit::Watchers, limits.watchers),
                (Limit::WatchesPerCaller, limits.watches_per_caller),
            ),
            bytes: budget(
                (Limit::RequestBytes, bytes),
                (Limit::RequestBytesPerCaller, limits.request_bytes_per_caller.max(limits.message_bytes)),
            ),
            undecided: (
                budget(
                    (Limit::UndecidedCalls, undecided_calls.0),
                    (Limit::UndecidedCallsPerCaller, undecided_calls.1),
                ),
                budget(
                    (Limit::UndecidedBytes, undecided_bytes),
                    (Limit::UndecidedBytesPerCaller, eighth(undecided_bytes).max(limits.message_bytes)),
                ),
            ),
            message_bytes: (Limit::MessageBytes, limits.message_bytes),
            small_message_bytes: (Limit::SmallMessageBytes, limits.small_message_bytes),
            receive_timeout: (Limit::ReceiveTimeout, limits.receive_timeout),
            reserve,
            limit_hits,
        }))
    }

    /// Begins a call of a caller.
    pub(crate) fn call(&self, caller: &str, is_unix: bool) -> Result<Permit, Status> {
        if let Some((number, rate)) = &self.0.rate {
            rate.check(&caller.to_owned()).map_err(|wait| self.calling_too_fast(*number, wait))?;
        }
        match is_unix {
            true => self.0.calls.take_or(&self.0.reserve, caller, 1),
            false => self.0.calls.take(caller, 1),
        }
    }

    /// The limits on the body of a request, and the permit for its bytes. A caller that is not authorized yet
    /// gets only a small part of the budgets.
    pub(crate) fn request(
        &self,
        caller: &str,
        carries_values: bool,
        is_authorized: bool,
    ) -> Result<(BodyLimits, Arc<Permit>), Status> {
        let bytes = Arc::new(self.0.bytes.take(caller, 0)?);
        let largest = match carries_values {
            true => self.0.message_bytes,
            false => self.0.small_message_bytes,
        };
        let (small, limit_hits) = (self.0.small_message_bytes.1, self.0.limit_hits.clone());
        let mut body = BodyLimits::new(largest, self.0.receive_timeout, small, limit_hits);
        body.bytes.1.push(bytes.clone());
        if !is_authorized {
            let (calls, undecided_bytes) = &self.0.undecided;
            body.late = Some((calls.clone(), caller.to_owned()));
            body.bytes.1.push(Arc::new(undecided_bytes.take(caller, 0)?));
        }
        Ok((body, bytes))
    }

    /// Begins a watch of a caller.
    pub(crate) fn watch(&self, caller: &str) -> Result<Permit, Status> {
        self.0.watches.take(caller, 1)
    }

    fn calling_too_fast(&self, number: u32, wait: Duration) -> Status {
        self.0.limit_hits.count(Limit::CallsPerSecond);
        Limit::CallsPerSecond.exceeded_until(number, Some(wait.max(Duration::from_millis(1))))
    }
}

/// The largest part of something that one holder may use.
fn eighth(all: usize) -> usize {
    (all / 8).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_calls_too_often_is_told_when_to_retry_and_others_are_not_affected() {
        let limits = Limits { calls_per_second: std::num::NonZeroU32::new(5), ..Limits::default() };
        let limits = CallerLimits::new(&limits, Budget::reserve((Limit::UnixCalls, 1)), LimitHits::default());
        for _ in 0..5 {
            limits.call("a", false).unwrap();
        }
        let refused = limits.call("a", false).err().unwrap();
        use tonic_types::StatusExt;
        let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
        limits.call("b", false).unwrap();
    }
}
