//! What time others say it is: the vault and the API server, by the `Date` of their answers.
//!
//! What they date (versions, expiry) is judged by their clock and not by this machine's, which somebody may set. Between two answers it goes
//! on by the monotonic clock.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimeParser};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How far two clocks may be apart without harm. A date in an answer is exact to a second, and may be under way for some.
pub const HARMLESS: SignedDuration = SignedDuration::from_secs(5);

/// The clock of a peer. A clone is about the same one.
#[derive(Clone, Debug, Default)]
pub struct PeerClock(Arc<Mutex<Option<Told>>>);

/// What a peer said, and when it was heard.
#[derive(Clone, Copy, Debug)]
struct Told {
    date: Timestamp,
    heard: Instant,
}

impl PeerClock {
    /// Takes in the date of an answer that has just come, as HTTP writes it.
    pub fn hear(&self, date: &str) {
        if let Ok(date) = DateTimeParser::new().parse_timestamp(date) {
            *self.lock() = Some(Told { date, heard: Instant::now() });
        }
    }

    /// What it shows now, at the earliest; what this machine's clock shows where the peer has said nothing yet.
    pub fn now(&self) -> Timestamp {
        self.shows().unwrap_or_else(Timestamp::now)
    }

    /// By how much this machine's clock is ahead of it; negative where it is behind, and nothing where the peer has said nothing yet.
    pub fn skew(&self) -> Option<SignedDuration> {
        // The date leaves out up to a second.
        Some(Timestamp::now().duration_since(self.shows()?) - SignedDuration::from_millis(500))
    }

    fn shows(&self) -> Option<Timestamp> {
        let told = (*self.lock())?;
        told.date.checked_add(told.heard.elapsed()).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Told>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_from_what_the_peer_said_whatever_this_machine_shows() {
        let clock = PeerClock::default();
        assert_eq!(clock.skew(), None);
        clock.hear("not a date");
        assert_eq!(clock.skew(), None);
        clock.hear("Sun, 06 Nov 1994 08:49:37 GMT");
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(clock.now(), "1994-11-06T08:50:37Z".parse::<Timestamp>().unwrap());
        let years = clock.skew().unwrap().as_hours() / (365 * 24);
        assert!(years > 30, "this machine is ahead: {years}");
    }

    #[test]
    fn clocks_that_agree_have_no_skew_worth_a_word() {
        let clock = PeerClock::default();
        clock.hear(&Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
        assert!(clock.skew().unwrap().abs() < HARMLESS);
    }
}
