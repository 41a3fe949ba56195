//! Throttling with a token bucket, like a real vault's.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// A rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttle {
    /// Requests per second.
    pub per_second: f64,
    /// The size of a burst.
    pub burst: f64,
    /// `Retry-After` in seconds; absent for no header, as from the real vault at times.
    #[serde(default)]
    pub retry_after_seconds: Option<u64>,
}

/// The bucket.
#[derive(Default)]
pub(super) struct Bucket {
    level: Mutex<Option<Level>>,
}

/// How full the bucket was, and when.
struct Level {
    requests: f64,
    at: Timestamp,
}

impl Throttle {
    /// The `Retry-After` of refused requests.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_seconds.map(Duration::from_secs)
    }
}

impl Bucket {
    /// Whether one more request is admitted. Refused requests count, too, as with the real vault: the level may fall
    /// below zero by at most one burst.
    pub(super) fn admits(&self, throttle: &Throttle, now: Timestamp) -> bool {
        let mut level = self.level.lock();
        let before = level.take().unwrap_or(Level { requests: throttle.burst, at: now });
        let gained =
            now.duration_since(before.at).max(SignedDuration::ZERO).as_secs_f64() * throttle.per_second;
        let available = (before.requests + gained).min(throttle.burst);
        let requests = (available - 1.0).max(-throttle.burst);
        *level = Some(Level { requests, at: now });
        available >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_the_rate_limits_and_refused_requests_count_too() {
        let throttle = Throttle { per_second: 1.0, burst: 2.0, retry_after_seconds: None };
        let bucket = Bucket::default();
        let start = Timestamp::UNIX_EPOCH;
        let at = |seconds| bucket.admits(&throttle, start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(0), at(0)], [true, true, false]);
        assert!(!at(1), "the refused request has used up this second");
        assert!(at(4));
    }
}
