//! The clock of a database, which retention follows.
//!
//! It advances by the monotonic clock while the service runs, and continues where it stopped. A wall clock
//! that jumps, forward or back, during a run or between runs, makes no row older or younger. Downtime is not
//! counted, so that a row with a retention of a day is available for at least a day of operation.
//!
//! Its times are microseconds like those of the wall clock, from which it started: rows of releases without
//! this clock age by it, too.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::SqlitePool;
use tokio::time::Instant;

use super::{StoreError, Transaction, settings, statements};

/// The name under which the settings hold the clock.
const NAME: &str = "clock";

statements! {
    /// The newest recorded time: after a crash it may be newer than the time in the settings.
    NEWEST = "
        SELECT max(coalesce((SELECT max(create_time) FROM requests), ?1),
                   coalesce((SELECT max(change_time) FROM changes), ?1),
                   coalesce((SELECT max(kept_since) FROM audit_events), ?1),
                   coalesce((SELECT max(kept_since) FROM audit_denials), ?1))";
}

/// The clock of a database; see the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Its time when the service started.
    began: Timestamp,
    started: Instant,
}

impl Clock {
    /// Continues from its last time.
    pub(super) fn from(began: Timestamp) -> Self {
        Self { began, started: Instant::now() }
    }

    pub(super) fn now(self) -> Timestamp {
        // An overflow means that the clock was set to the end of time: it stands still.
        self.began.checked_add(self.started.elapsed()).unwrap_or(self.began)
    }
}

/// The clock with its last time; the current time for a new database.
pub(super) async fn read(writer: &SqlitePool) -> Result<Clock, StoreError> {
    let kept = settings::number(writer, NAME).await?;
    let newest: i64 = sqlx::query_scalar(NEWEST).bind(i64::MIN).fetch_one(writer).await?;
    let last = kept.unwrap_or(i64::MIN).max(newest);
    Ok(Clock::from(Timestamp::from_microsecond(last).unwrap_or_else(|_| Timestamp::now())))
}

/// Retention of recorded data.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Calls with a `request_id`.
    pub requests: Duration,
    /// Changes of the feed.
    pub changes: Duration,
    /// This many changes are kept, whatever their age.
    pub last_changes: i64,
    /// Events of the audit.
    pub audit: Duration,
    /// Approximate bytes of events: beyond it, the oldest are pruned, whatever their age.
    pub audit_bytes: u64,
    /// Approximate bytes of changes: likewise.
    pub feed_bytes: u64,
}

/// Request ids are kept for a day (AIP-155), and the feed goes back at least a day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Retention {
    fn default() -> Self {
        Self {
            requests: DAY,
            changes: DAY,
            last_changes: 100_000,
            audit: 365 * DAY,
            audit_bytes: 256 * 1024 * 1024,
            feed_bytes: 128 * 1024 * 1024,
        }
    }
}

impl Transaction {
    /// Prunes what has exceeded its retention, and saves the clock.
    pub async fn prune(&mut self, retention: &Retention) -> Result<(), StoreError> {
        let now = self.store.clock();
        self.save_clock().await?;
        self.prune_requests(now - retention.requests).await?;
        self.prune_changes(now - retention.changes, retention.last_changes).await?;
        self.prune_audit(now - retention.audit).await
    }

    /// Saves the clock, so that the next run continues from there.
    pub(super) async fn save_clock(&mut self) -> Result<(), StoreError> {
        let now = self.store.clock().as_microsecond();
        self.store.run(settings::set_number(&mut self.sql, NAME, now)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_continues_from_its_saved_time_while_the_service_runs() {
        let clock = Clock::from(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH, "whatever the wall clock says");
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now().as_second(), 90);
        let after_a_restart = Clock::from(clock.now());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(after_a_restart.now().as_second(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stops_at_the_maximum_time() {
        let clock = Clock::from(Timestamp::MAX);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now(), Timestamp::MAX);
    }
}
