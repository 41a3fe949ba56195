//! How often each of many may do something.

use std::{hash::Hash, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

/// Those who are told apart before the quiet ones are forgotten.
const HOLDERS: usize = 10_000;

/// A rate for each holder.
pub(crate) struct Rate<K: Clone + Eq + Hash>(DefaultKeyedRateLimiter<K>);

// === impl Rate ===

impl<K: Clone + Eq + Hash> Rate<K> {
    pub(crate) fn new(quota: Quota) -> Self {
        Self(RateLimiter::keyed(quota))
    }

    /// Whether a holder may do it once more now, and else in how long.
    pub(crate) fn allow(&self, holder: &K) -> Result<(), Duration> {
        if self.0.len() > HOLDERS {
            self.0.retain_recent();
        }
        let now = self.0.clock().now();
        self.0.check_key(holder).map_err(|until| until.wait_time_from(now))
    }
}
