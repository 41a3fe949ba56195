//! The clocks of the vault and the API server, from the `Date` header of their responses.
//!
//! Their timestamps (versions, expiry) are compared with their own clock, because this machine's clock may be
//! wrong. Between two responses the time advances by the monotonic clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Skew between two clocks that does no harm. A `Date` has a resolution of a second, and responses take time.
pub const TOLERATED_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// The clock of a peer. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct PeerClock(Arc<Mutex<Option<Reading>>>);

/// A date from a peer, and when it arrived.
#[derive(Clone, Copy, Debug)]
struct Reading {
    date: Timestamp,
    received: Instant,
}

impl PeerClock {
    /// Records the HTTP date of a response that just arrived.
    pub fn record_date(&self, date: &str) {
        if let Ok(date) = DateTimeParser::new().parse_timestamp(date) {
            *self.lock() = Some(Reading { date, received: Instant::now() });
        }
    }

    /// The earliest time that it can be now; this machine's time before the first response.
    pub fn now(&self) -> Timestamp {
        self.estimate().unwrap_or_else(Timestamp::now)
    }

    /// How far this machine's clock is ahead; negative if it is behind, `None` before the first response.
    pub fn skew(&self) -> Option<SignedDuration> {
        // The date is truncated to a second.
        Some(Timestamp::now().duration_since(self.estimate()?) - SignedDuration::from_millis(500))
    }

    fn estimate(&self) -> Option<Timestamp> {
        let reading = (*self.lock())?;
        reading.date.checked_add(reading.received.elapsed()).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Reading>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_peers_time_advances_independently_of_the_local_clock() {
        let clock = PeerClock::default();
        assert_eq!(clock.skew(), None);
        clock.record_date("not a date");
        assert_eq!(clock.skew(), None);
        clock.record_date("Sun, 06 Nov 1994 08:49:37 GMT");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now(), "1994-11-06T08:50:37Z".parse::<Timestamp>().unwrap());
        let years = clock.skew().unwrap().as_hours() / (365 * 24);
        assert!(years > 30, "this machine is ahead: {years}");
    }

    #[test]
    fn clocks_that_agree_have_no_reported_skew() {
        let clock = PeerClock::default();
        clock.record_date(&Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert!(clock.skew().unwrap().abs() < TOLERATED_SKEW);
    }
}
