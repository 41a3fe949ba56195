//! The vault's clock: the wall's, plus what a test has advanced it by.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::Timestamp;

/// The time that tokens expire by, transitions end by, and attributes show in whole seconds.
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

    /// Lets time pass at once, for a test that would else sleep. A restart forgets it.
    pub fn advance(&self, by: Duration) {
        let milliseconds = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead_milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}
