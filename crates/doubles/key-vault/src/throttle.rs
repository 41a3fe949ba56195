//! Throttling: a token bucket, as a real vault refuses callers that ask too often.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How many requests the vault bears.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttle {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests at once after a quiet time.
    pub burst: f64,
    /// What `Retry-After` says, in whole seconds; the header is left out where absent, as the real vault does at times.
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
    /// The pause that a refused caller is told.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after_seconds.map(Duration::from_secs)
    }
}

impl Bucket {
    /// Whether the vault bears one more request. Refused ones count too, as with the real vault: the level may fall below
    /// nothing, by one burst at most.
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
    fn a_burst_passes_then_what_the_rate_allows_and_refused_requests_count_too() {
        let throttle = Throttle { per_second: 1.0, burst: 2.0, retry_after_seconds: None };
        let bucket = Bucket::default();
        let start = Timestamp::UNIX_EPOCH;
        let at = |seconds| bucket.admits(&throttle, start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(0), at(0)], [true, true, false]);
        assert!(!at(1), "the refused request has used up this second");
        assert!(at(4));
    }
}
