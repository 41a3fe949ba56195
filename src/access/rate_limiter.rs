//! A rate limit for each of many keys.

use std::{hash::Hash, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

/// Rate limiters kept before idle ones are evicted.
const MAX_KEYS: usize = 10_000;

/// A rate limit for each key.
pub(crate) struct KeyedRateLimiter<K: Clone + Eq + Hash>(DefaultKeyedRateLimiter<K>);

// === impl KeyedRateLimiter ===

impl<K: Clone + Eq + Hash> KeyedRateLimiter<K> {
    pub(crate) fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    /// Counts one use against the limit of a key. The error is the time until it is allowed.
    pub(crate) fn check(&self, key: &K) -> Result<(), Duration> {
        if self.0.len() > MAX_KEYS {
            self.0.retain_recent();
        }
        let now = self.0.clock().now();
        self.0.check_key(key).map_err(|until| until.wait_time_from(now))
    }
}
