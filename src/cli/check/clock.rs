//! The check of this machine's clock against a peer's.

use std::time::Duration;

use jiff::SignedDuration;

use super::{names::CheckName, report::CheckResult};
use crate::peer_clock::TOLERATED_SKEW;

/// Compares this machine's clock with that of a peer.
pub(super) fn check_clock(check: CheckName, peer: &str, skew: Option<SignedDuration>) -> CheckResult {
    let Some(skew) = skew else {
        return CheckResult::unknown(check, format!("Not checked: {peer} does not answer."));
    };
    let by = humantime::format_duration(Duration::from_secs(skew.abs().as_secs().unsigned_abs()));
    match (skew.abs() <= TOLERATED_SKEW, skew.is_negative()) {
        (true, _) => CheckResult::passed(check, format!("Within {} s of {peer}.", TOLERATED_SKEW.as_secs())),
        (false, is_behind) => {
            let side = if is_behind { "behind" } else { "ahead of" };
            let remedy = "Correct the clock that is wrong, preferably with NTP (chrony, systemd-timesyncd): the validity of \
                          certificates and tokens depends on the time, and the audit log uses this machine's \
                          clock.";
            CheckResult::warning(check, format!("This machine's clock is {by} {side} {peer}. {remedy}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{names::VAULT_CLOCK, report::CheckStatus},
        *,
    };

    #[test]
    fn a_skewed_clock_is_a_warning_with_the_skew_and_a_remedy() {
        let row = |seconds| check_clock(VAULT_CLOCK, "the vault", Some(SignedDuration::from_secs(seconds)));
        for near in [-5, 0, 5] {
            assert_eq!(row(near).holds, CheckStatus::Yes, "{near}");
        }
        for (far, word) in [(-3_600, "1h behind the vault"), (86_400, "1day ahead of the vault")] {
            let row = row(far);
            assert_eq!(row.holds, CheckStatus::Warning, "{far}");
            assert!(row.found.contains(word) && row.found.contains("NTP"), "{}", row.found);
        }
        assert_eq!(check_clock(VAULT_CLOCK, "the vault", None).holds, CheckStatus::Unknown);
    }
}
