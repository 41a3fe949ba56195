//! How long to wait for the Secret Store extension. Pure functions. An extension that works on other
//! SecretSyncs is busy and will reach this one, too; one that works on none is not running. A trigger may
//! get lost either way, so a SecretSync without an answer is written again, at a growing pause.

use std::time::Duration;

use crate::backoff::Backoff;

/// The longest pause between two triggers, in units of the patience.
const LONGEST_PAUSE: u32 = 32;

/// How long a SecretSync has waited, and what the extension did meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// How long the extension may take to answer a change.
    pub patience: Duration,
    /// Time since the last trigger.
    pub waited: Duration,
    /// How often it was triggered again.
    pub nudges: u32,
    /// For how long the extension has not acted on any SecretSync.
    pub quiet: Duration,
    /// Whether the extension has answered a SecretSync that was triggered long after this one.
    pub is_overtaken: bool,
}

/// The state of the extension, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Not known yet; check again after this time.
    Wait(Duration),
    /// It works on other SecretSyncs; check again after this time.
    Busy(Duration),
    /// It works on none; check again after this time.
    Dead(Duration),
    /// Trigger it again.
    Nudge,
}

impl Waiting {
    pub(super) fn decide(self) -> Patience {
        let Self { patience, waited, nudges, quiet, is_overtaken } = self;
        if waited < patience {
            return Patience::Wait(patience - waited);
        }
        let (first, longest) = (patience.saturating_mul(2), patience.saturating_mul(LONGEST_PAUSE));
        let pause = Backoff::doubling(first, longest).pause(nudges);
        let is_dead = quiet >= patience;
        match waited >= pause {
            true if is_dead || is_overtaken => Patience::Nudge,
            _ if is_dead => Patience::Dead(pause.saturating_sub(waited)),
            _ => Patience::Busy(patience),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn decided(waited: u64, nudges: u32, quiet: u64, is_overtaken: bool) -> Patience {
        let (patience, waited, quiet) = (seconds(30), seconds(waited), seconds(quiet));
        Waiting { patience, waited, nudges, quiet, is_overtaken }.decide()
    }

    #[test]
    fn an_extension_that_syncs_others_is_busy_however_long_one_secretsync_waits() {
        for waited in [30, 60, 600, 6_000] {
            assert_eq!(decided(waited, 0, 29, false), Patience::Busy(seconds(30)), "{waited}");
        }
    }

    #[test]
    fn an_extension_without_activity_is_dead_once_a_secretsync_has_waited() {
        assert_eq!(decided(29, 0, 6_000, false), Patience::Wait(seconds(1)));
        assert_eq!(decided(30, 0, 30, false), Patience::Dead(seconds(30)));
        assert_eq!(decided(30, 0, 29, false), Patience::Busy(seconds(30)));
    }

    #[test]
    fn an_overtaken_secretsync_is_triggered_again_at_a_growing_bounded_pause() {
        for (nudges, pause) in [(0, 60), (1, 120), (2, 240), (3, 480), (4, 960), (5, 960), (u32::MAX, 960)] {
            for (quiet, is_overtaken) in [(0, true), (30, false)] {
                assert_eq!(decided(pause, nudges, quiet, is_overtaken), Patience::Nudge, "{nudges}");
                assert_ne!(decided(pause - 1, nudges, quiet, is_overtaken), Patience::Nudge, "{nudges}");
            }
        }
    }
}
