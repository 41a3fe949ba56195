//! What one caller may take of what all share: calls a second, calls, bytes of requests and watches at a time.

use std::{sync::Arc, time::Duration};

use governor::Quota;
use tonic::Status;

use crate::access::Rate;
use crate::api::{
    connection::{
        budget::{Budget, Share},
        limit::{Limit, Refusals},
        request_body::Terms,
    },
    options::Limits,
    rpc::methods::Method,
};

/// All callers. A clone is about the same ones.
#[derive(Clone)]
pub(crate) struct Crowd(Arc<Inner>);

struct Inner {
    rate: Option<(u32, Rate<String>)>,
    calls: Budget,
    watches: Budget,
    bytes: Budget,
    /// Calls that wait for the rest of a request, and its bytes, where the caller has no right to every name: whether it has one to its
    /// is known when the request is read.
    undecided: (Budget, Budget),
    message_bytes: (Limit, usize),
    small_message_bytes: (Limit, usize),
    receive_timeout: (Limit, Duration),
    /// Of calls, for the Unix socket.
    reserve: Budget,
    refusals: Refusals,
}

// === impl Crowd ===

impl Crowd {
    pub(crate) fn new(limits: &Limits, reserve: Budget, refusals: Refusals) -> Self {
        let rate = limits.calls_per_second.map(|rate| (rate.get(), Rate::new(Quota::per_second(rate))));
        let budget = |all, each| Budget::new(all, each, refusals.clone());
        let (calls, bytes) = (limits.concurrent_calls, limits.request_bytes);
        let undecided_calls = (eighth(calls), eighth(eighth(calls)));
        // A message that may be must have room, whoever sends it.
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
            refusals,
        }))
    }

    /// A call of a caller, perhaps through the Unix socket.
    pub(crate) fn call(&self, caller: &str, is_unix: bool) -> Result<Share, Status> {
        if let Some((number, rate)) = &self.0.rate {
            rate.allow(&caller.to_owned()).map_err(|wait| self.too_fast(*number, wait))?;
        }
        match is_unix {
            true => self.0.calls.take_or(&self.0.reserve, caller, 1),
            false => self.0.calls.take(caller, 1),
        }
    }

    /// How a request of a caller arrives, and the bytes that it takes. Where it is not known yet that its caller may do what it asks for,
    /// little of what all share is in it.
    pub(crate) fn request(
        &self,
        caller: &str,
        method: Option<&Method>,
        is_decided: bool,
    ) -> Result<(Terms, Arc<Share>), Status> {
        let bytes = Arc::new(self.0.bytes.take(caller, 0)?);
        let largest = match method.is_some_and(|method| method.carries_values) {
            true => self.0.message_bytes,
            false => self.0.small_message_bytes,
        };
        let (small, refusals) = (self.0.small_message_bytes.1, self.0.refusals.clone());
        let mut terms = Terms::new(largest, self.0.receive_timeout, small, refusals);
        terms.bytes.1.push(bytes.clone());
        if !is_decided {
            let (calls, undecided_bytes) = &self.0.undecided;
            terms.late = Some((calls.clone(), caller.to_owned()));
            terms.bytes.1.push(Arc::new(undecided_bytes.take(caller, 0)?));
        }
        Ok((terms, bytes))
    }

    /// A watch of a caller.
    pub(crate) fn watch(&self, caller: &str) -> Result<Share, Status> {
        self.0.watches.take(caller, 1)
    }

    fn too_fast(&self, number: u32, wait: Duration) -> Status {
        self.0.refusals.count(Limit::CallsPerSecond);
        Limit::CallsPerSecond.refusal_until(number, Some(wait.max(Duration::from_millis(1))))
    }
}

/// What nobody may take more of than.
fn eighth(all: usize) -> usize {
    (all / 8).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_that_calls_too_often_is_told_when_to_come_back_and_others_are_not() {
        let limits = Limits { calls_per_second: std::num::NonZeroU32::new(5), ..Limits::default() };
        let crowd = Crowd::new(&limits, Budget::reserve((Limit::UnixCalls, 1)), Refusals::default());
        for _ in 0..5 {
            crowd.call("a", false).unwrap();
        }
        let told = crowd.call("a", false).err().unwrap();
        use tonic_types::StatusExt;
        let wait = told.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait > Duration::ZERO && wait <= Duration::from_millis(200), "{wait:?}");
        crowd.call("b", false).unwrap();
    }
}
