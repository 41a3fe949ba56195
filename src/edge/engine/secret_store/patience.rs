//! How long to wait for the Secret Store extension: pure. One that is at work on others is busy, and comes to
//! this one too; one that is at work on nobody is not there. Either way something may get lost, so what it
//! leaves alone for long it is told again, ever more rarely.

use crate::backoff::Backoff;
use std::time::Duration;

/// The longest pause before the extension is nudged again, in units of the patience.
const LONGEST_PAUSE: u32 = 32;

/// How long a SecretSync has waited, and what the extension did meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// How long the extension may leave a change without an answer.
    pub patience: Duration,
    /// Since it was told last.
    pub waited: Duration,
    /// How often it was told again.
    pub nudges: u32,
    /// For how long it has not acted on any SecretSync.
    pub quiet: Duration,
    /// Whether it has served one that it was told of long after this.
    pub is_overtaken: bool,
}

/// What to make of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Nothing can be said yet; look again after this.
    Wait(Duration),
    /// It is at work on others; look again after this.
    Busy(Duration),
    /// It works for nobody; look again after this.
    Dead(Duration),
    /// Tell it again.
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
    fn an_extension_that_serves_others_is_busy_however_long_this_one_waits() {
        for waited in [30, 60, 600, 6_000] {
            assert_eq!(decided(waited, 0, 29, false), Patience::Busy(seconds(30)), "{waited}");
        }
    }

    #[test]
    fn one_that_serves_nobody_is_dead_once_somebody_has_waited_for_it() {
        assert_eq!(decided(29, 0, 6_000, false), Patience::Wait(seconds(1)));
        assert_eq!(decided(30, 0, 30, false), Patience::Dead(seconds(30)));
        assert_eq!(decided(30, 0, 29, false), Patience::Busy(seconds(30)));
    }

    #[test]
    fn what_is_passed_over_is_told_again_ever_more_rarely_up_to_a_longest_pause() {
        for (nudges, pause) in [(0, 60), (1, 120), (2, 240), (3, 480), (4, 960), (5, 960), (u32::MAX, 960)] {
            for (quiet, is_overtaken) in [(0, true), (30, false)] {
                assert_eq!(decided(pause, nudges, quiet, is_overtaken), Patience::Nudge, "{nudges}");
                assert_ne!(decided(pause - 1, nudges, quiet, is_overtaken), Patience::Nudge, "{nudges}");
            }
        }
    }
}
