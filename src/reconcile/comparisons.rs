//! When each followed vault secret was last compared with the edge, and why the latest check could not.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::model::{
    Condition, ConditionType, Origin, Reason, State, Status, SyncedSecret, VaultSecretName, now,
};

/// Rotation checks that may fail before a comparison counts as stale.
const MISSED_CHECKS: u32 = 3;
/// A comparison younger than this is never stale: a check of a large vault takes a while.
const MIN_STALE_AGE: Duration = Duration::from_secs(10);

/// The last comparison of each followed vault secret.
pub(super) struct Comparisons {
    state: Mutex<ComparisonState>,
    /// The age at which a comparison becomes stale.
    limit: Duration,
}

struct ComparisonState {
    /// Stands in for the comparison of a vault secret that this process has not compared yet.
    start: Moment,
    compared: HashMap<VaultSecretName, Moment>,
    /// Why the latest check did not compare everything.
    trouble: Option<String>,
}

/// A time by the monotonic clock, for measuring, and by the system clock, for display.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    time: Timestamp,
}

impl Comparisons {
    /// No comparisons yet. `interval` is the interval of the rotation check.
    pub(super) fn new(interval: Duration) -> Self {
        let known = ComparisonState { start: Moment::now(), compared: HashMap::new(), trouble: None };
        Self { state: Mutex::new(known), limit: (interval * MISSED_CHECKS).max(MIN_STALE_AGE) }
    }

    /// Notes that these have just been compared.
    pub(super) fn note<'a>(&self, names: impl IntoIterator<Item = &'a VaultSecretName>) {
        let now = Moment::now();
        self.lock().compared.extend(names.into_iter().map(|name| (name.clone(), now)));
    }

    /// Ends a check: forgets vault secrets that are no longer followed, and remembers why others could not be
    /// compared.
    pub(super) fn end_check(&self, is_followed: impl Fn(&VaultSecretName) -> bool, trouble: Option<String>) {
        let mut known = self.lock();
        known.compared.retain(|name, _| is_followed(name));
        known.trouble = trouble;
    }

    /// The `Compared` condition of a synced secret; none if it is fresh and was never stale.
    pub(super) fn condition_of(&self, secret: &SyncedSecret) -> Option<Condition> {
        if secret.origin != Origin::Managed || secret.state != State::Synced {
            return None;
        }
        let known = self.lock();
        let followed = secret.references.iter().filter(|reference| reference.version.is_none());
        let oldest =
            followed.map(|reference| known.moment(&reference.vault_secret)).min_by_key(|moment| moment.at);
        let has_condition = secret.condition(ConditionType::Compared).is_some();
        match oldest.filter(|oldest| oldest.at.elapsed() > self.limit) {
            Some(oldest) => Some(known.not_compared(oldest)),
            None if has_condition => Some(compared("Its references were compared with the vault.")),
            None => None,
        }
    }

    /// The `Compared` condition of the vault: the oldest of all comparisons.
    pub(super) fn condition(&self) -> Condition {
        let known = self.lock();
        match known.compared.values().copied().min_by_key(|moment| moment.at) {
            Some(oldest) if oldest.at.elapsed() > self.limit => known.not_compared(oldest),
            None if known.trouble.is_some() && known.start.at.elapsed() > self.limit => {
                known.not_compared(known.start)
            }
            Some(oldest) => compared(&format!(
                "Everything that follows the latest version has been compared with the vault since {}.",
                oldest.time
            )),
            None => Condition::new(
                ConditionType::Compared,
                Status::Unknown,
                Reason::NotChecked,
                "Nothing that follows the latest version has been compared with the vault since the start.",
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ComparisonState> {
        self.state.lock()
    }
}

impl ComparisonState {
    fn moment(&self, name: &VaultSecretName) -> Moment {
        self.compared.get(name).copied().unwrap_or(self.start)
    }

    fn not_compared(&self, oldest: Moment) -> Condition {
        let why = self.trouble.as_deref().unwrap_or("the rotation check has not reached it");
        let message = format!(
            "Last compared with the vault at {}; the edge may hold older versions. {why}",
            oldest.time
        );
        Condition::new(ConditionType::Compared, Status::False, Reason::NotCompared, message)
    }
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), time: now() }
    }
}

fn compared(message: &str) -> Condition {
    Condition::new(ConditionType::Compared, Status::True, Reason::Compared, message)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);
    const LIMIT: Duration = Duration::from_secs(180);
    const SECOND: Duration = Duration::from_secs(1);

    /// In sync, with a reference that follows the latest version of each of these.
    fn synced(followed: &[&str]) -> SyncedSecret {
        let mut secret = SyncedSecret::example("edp1secrets");
        secret.state = State::Synced;
        let reference = secret.references.remove(0);
        let follows = |name: &&str| {
            let mut reference = reference.clone();
            reference.vault_secret = name.parse().unwrap();
            reference
        };
        secret.references = followed.iter().map(follows).collect();
        secret
    }

    fn names(names: &[&str]) -> Vec<VaultSecretName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn said(condition: &Condition) -> (ConditionType, Status, Reason) {
        (condition.kind, condition.status, condition.reason)
    }

    const OLD: (ConditionType, Status, Reason) =
        (ConditionType::Compared, Status::False, Reason::NotCompared);
    const FRESH: (ConditionType, Status, Reason) = (ConditionType::Compared, Status::True, Reason::Compared);
    const UNKNOWN: (ConditionType, Status, Reason) =
        (ConditionType::Compared, Status::Unknown, Reason::NotChecked);

    #[tokio::test(start_paused = true)]
    async fn a_comparison_is_stale_after_three_missed_checks_and_the_condition_says_why() {
        let (comparisons, mut secret) = (Comparisons::new(INTERVAL), synced(&["a"]));
        advance(LIMIT).await;
        assert_eq!(comparisons.condition_of(&secret), None, "three checks may be missed");
        advance(SECOND).await;
        let old = comparisons.condition_of(&secret).unwrap();
        assert_eq!(said(&old), OLD);
        assert!(old.message.contains("has not reached it"), "{}", old.message);
        comparisons.end_check(|_| true, Some("The vault is away.".to_owned()));
        let old = comparisons.condition_of(&secret).unwrap();
        assert!(old.message.ends_with("The vault is away."), "{}", old.message);

        comparisons.note(&names(&["a"]));
        assert_eq!(comparisons.condition_of(&secret), None, "nobody was told that it was old");
        secret.set_condition(old);
        assert_eq!(said(&comparisons.condition_of(&secret).unwrap()), FRESH);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_comparison_of_all_references_decides() {
        let (comparisons, secret) = (Comparisons::new(INTERVAL), synced(&["a", "b"]));
        comparisons.note(&names(&["a"]));
        advance(LIMIT).await;
        comparisons.note(&names(&["b"]));
        advance(SECOND).await;
        assert_eq!(said(&comparisons.condition_of(&secret).unwrap()), OLD);
        comparisons.note(&names(&["a"]));
        assert_eq!(comparisons.condition_of(&secret), None);
    }

    #[tokio::test(start_paused = true)]
    async fn pinned_failed_and_unmanaged_synced_secrets_get_no_compared_condition() {
        let comparisons = Comparisons::new(INTERVAL);
        let (mut pinned, mut failed, mut theirs) = (synced(&["a"]), synced(&["a"]), synced(&["a"]));
        pinned.references[0].version = Some("1".repeat(32).parse().unwrap());
        failed.state = State::Failed;
        theirs.origin = Origin::Unmanaged;
        advance(LIMIT + SECOND).await;
        for secret in [pinned, failed, theirs] {
            assert_eq!(comparisons.condition_of(&secret), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_condition_of_the_vault_shows_the_oldest_comparison() {
        let comparisons = Comparisons::new(INTERVAL);
        assert_eq!(said(&comparisons.condition()), UNKNOWN);
        comparisons.note(&names(&["a"]));
        advance(LIMIT).await;
        comparisons.note(&names(&["b"]));
        assert_eq!(said(&comparisons.condition()), FRESH, "three checks may be missed");
        advance(SECOND).await;
        assert_eq!(said(&comparisons.condition()), OLD);
        comparisons.end_check(|name| name.as_str() != "a", None);
        assert_eq!(said(&comparisons.condition()), FRESH, "what nobody follows any more is forgotten");
        comparisons.end_check(|_| false, None);
        assert_eq!(said(&comparisons.condition()), UNKNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_vault_that_was_never_compared_is_reported_once_the_start_is_long_ago() {
        let comparisons = Comparisons::new(INTERVAL);
        advance(LIMIT + SECOND).await;
        assert_eq!(said(&comparisons.condition()), UNKNOWN, "nothing is followed");
        comparisons.end_check(|_| false, Some("The vault is away.".to_owned()));
        assert_eq!(said(&comparisons.condition()), OLD);

        let comparisons = Comparisons::new(INTERVAL);
        comparisons.end_check(|_| false, Some("The vault is away.".to_owned()));
        advance(LIMIT).await;
        assert_eq!(said(&comparisons.condition()), UNKNOWN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_comparison_of_a_few_seconds_is_never_stale_even_with_a_short_interval() {
        let (comparisons, secret) = (Comparisons::new(SECOND), synced(&["a"]));
        advance(MIN_STALE_AGE).await;
        assert_eq!(comparisons.condition_of(&secret), None);
        advance(SECOND).await;
        assert_eq!(said(&comparisons.condition_of(&secret).unwrap()), OLD);
    }
}
