//! Exponential back-off: how long to wait before a retry. The pauses are those of the crate `backon`.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use rand::RngExt;

/// After so many failures every pause is the longest one: a day from a millisecond is 27 doublings.
const MAX_STEPS: u32 = 32;
/// The shortest pause with full jitter, as a part of the whole one. Never zero: a retry at once is none.
const MIN_JITTER: f64 = 0.05;

/// Pauses that grow by a factor from a first one to a longest one.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    factor: f32,
}

impl Backoff {
    /// Each pause is twice the one before, and none longer than `longest`.
    pub const fn doubling(first: Duration, longest: Duration) -> Self {
        Self::growing(2.0, first, longest)
    }

    /// Each pause is `factor` times the one before, and none longer than `longest`.
    pub const fn growing(factor: f32, first: Duration, longest: Duration) -> Self {
        Self { first, longest, factor }
    }

    /// The pauses, without end.
    pub fn pauses(self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(self.factor)
            .without_max_times()
            .build()
    }

    /// The pause after this many earlier failures: the first one after none.
    pub fn pause(self, failures: u32) -> Duration {
        let place = usize::try_from(failures.min(MAX_STEPS)).unwrap_or_default();
        self.pauses().nth(place).unwrap_or(self.longest)
    }

    /// The same with equal jitter: between half of it and all of it.
    pub fn with_equal_jitter(self, failures: u32) -> Duration {
        self.pause(failures).mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// The same with full jitter: nearly anything up to it, so that many failures at the same time are not
    /// retried at the same time.
    pub fn with_full_jitter(self, failures: u32) -> Duration {
        self.pause(failures).mul_f64(rand::rng().random_range(MIN_JITTER..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(1), Duration::from_secs(60));

    #[test]
    fn pauses_double_up_to_the_longest_one() {
        let pauses = [0, 1, 2, 3, 4, 5, 6, 7, u32::MAX].map(|failures| BACKOFF.pause(failures).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(BACKOFF.pauses().nth(10_000), Some(Duration::from_secs(60)));
        let growing = Backoff::growing(4.0, Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(growing.pause(2), Duration::from_secs(16));
    }

    #[test]
    fn jitter_spreads_pauses_and_lengthens_none() {
        for _ in 0..100 {
            let (equal, full) = (BACKOFF.with_equal_jitter(9), BACKOFF.with_full_jitter(9));
            assert!((Duration::from_secs(30)..=Duration::from_secs(60)).contains(&equal), "{equal:?}");
            assert!((Duration::from_secs(3)..=Duration::from_secs(60)).contains(&full), "{full:?}");
        }
    }
}
