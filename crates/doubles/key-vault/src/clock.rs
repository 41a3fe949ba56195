//! The vault's clock: the system clock plus what a test has advanced it by.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;

/// The time by which tokens expire and transitions end, and which attributes show in whole seconds.
#[derive(Debug, Default)]
pub struct Clock {
    ahead_milliseconds: AtomicU64,
}

impl Clock {
    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + Duration::from_millis(self.ahead_milliseconds.load(Ordering::Relaxed))
    }

    /// Now, in Unix seconds, as the wire shows it.
    pub fn seconds(&self) -> i64 {
        self.now().as_second()
    }

    /// Advances the clock, so that a test needn't sleep. A restart forgets this.
    pub fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
