//! Versions that are not valid yet (`nbf` in the future): synced with a condition that says so, or held back until their
//! time, as `sync.not_before` says. Only the direct engine can hold one back: the Secret Store extension reads the vault
//! by itself.
//!
//! All keys of a Secret change together, so a version that is held back holds back the newer versions of the other keys,
//! too. Until then the edge keeps the versions that it has, and drift is repaired with them.

use std::time::Duration;

use jiff::Timestamp;

use super::{Reconciler, queue::Requeue};
use crate::{
    edge::engine::{Failure, Retry, reads_values},
    model::{
        Condition, ConditionType, NotBefore, Reason, Reference, ReferenceStatus, State, Status, SyncEngine,
        SyncedSecret,
    },
    store::Record,
};

/// The longest sleep: a clock may be corrected meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);
/// The shortest one, so that no clock makes this a busy loop.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Versions that must wait.
pub(super) struct Hold {
    /// Why each reference waits, and when to try again: the failure to report if the edge has nothing to keep.
    pub failure: Failure,
    /// When all of them are valid.
    pub until: Timestamp,
    /// Whether the edge holds another version of each of them, to be kept.
    pub can_keep: bool,
}

impl Hold {
    /// What must wait of the versions that the vault has. A version that is at the edge already stays there.
    pub(super) fn of(references: &[Reference], found: &[&ReferenceStatus], now: Timestamp) -> Option<Self> {
        let early = |place: usize| {
            let (held, status) = (&references[place].status, found[place]);
            let at = status.not_before_time.filter(|at| *at > now);
            at.filter(|_| held.synced_version != status.synced_version).map(|at| (place, at))
        };
        let early: Vec<_> = (0..references.len()).filter_map(early).collect();
        let until = early.iter().map(|(_, at)| *at).max()?;
        let can_keep = early.iter().all(|(place, _)| references[*place].status.synced_version.is_some());
        let problems = early.iter().map(|(place, at)| {
            (*place, Reason::NotYetValid, message(&references[*place], found[*place], *at))
        });
        let retry = Retry::After(sleep(now, until));
        let failure = Failure::of_references(references, problems.collect(), retry)?;
        let versions = found.iter().enumerate();
        let versions = versions.filter_map(|(place, status)| Some((place, status.synced_version.as_ref()?)));
        Some(Self { failure: failure.holding_back(references, versions), until, can_keep })
    }

    /// Marks the kept versions, and says of each reference why it waits.
    pub(super) fn mark(&self, references: &[Reference], statuses: &mut [ReferenceStatus]) {
        for (place, (reference, status)) in references.iter().zip(statuses).enumerate() {
            let is_kept = reference.status.synced_version.is_some();
            status.held_until = is_kept.then_some(self.until);
            let problem = self.failure.problems.iter().find(|(other, ..)| *other == place);
            status.problem = problem.map(|(_, reason, message)| {
                let problem = Condition::new(ConditionType::Synced, Status::False, *reason, message);
                problem.since(reference.status.problem.as_ref())
            });
        }
    }
}

fn message(reference: &Reference, found: &ReferenceStatus, at: Timestamp) -> String {
    let version = found.synced_version.as_ref().map(ToString::to_string).unwrap_or_default();
    let keeps = match &reference.status.synced_version {
        Some(held) => format!("the edge keeps {held} until then"),
        None => "the edge gets it then".to_owned(),
    };
    format!(
        "The version {version} of the vault secret {:?} is not valid before {at}; {keeps}, and the service does that by itself. To \
         sync it now, change its not-before date in the vault, or set sync.not_before to warn.",
        reference.vault_secret.as_str()
    )
}

fn sleep(now: Timestamp, until: Timestamp) -> Duration {
    let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    left.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
}

/// The condition of versions that are not valid yet; none if there never was one.
pub(super) fn condition(engine: SyncEngine, secret: &SyncedSecret, now: Timestamp) -> Option<Condition> {
    let (kind, references) = (ConditionType::NotYetValid, &secret.references);
    let is_future = |at: Option<Timestamp>| at.is_some_and(|at| at > now);
    let waits = references.iter().find_map(|reference| {
        let problem = reference.status.problem.as_ref()?;
        let is_waiting = problem.reason == Reason::NotYetValid && is_future(reference.status.held_until);
        is_waiting.then(|| format!("Key {}: {}", reference.key, problem.message))
    });
    let is_early = || {
        let reference = references.iter().find(|reference| is_future(reference.status.not_before_time))?;
        Some(synced_early(engine, reference, reference.status.not_before_time?))
    };
    match waits.or_else(is_early) {
        Some(message) => Some(Condition::new(kind, Status::True, Reason::NotYetValid, message)),
        None => secret.condition(kind).map(|_| {
            Condition::new(kind, Status::False, Reason::Valid, "Every version at the edge is valid by now.")
        }),
    }
}

/// The message about a version that is at the edge before its time.
fn synced_early(engine: SyncEngine, reference: &Reference, at: Timestamp) -> String {
    let happened = format!(
        "Key {}: the edge holds a version of the vault secret {:?} that is not valid before {at}.",
        reference.key,
        reference.vault_secret.as_str()
    );
    let next = match engine {
        SyncEngine::Direct => "To keep such versions back until then, set sync.not_before to hold.",
        SyncEngine::SecretStore => {
            "The Secret Store extension takes a version as soon as it reads it, so sync.not_before = hold holds back nothing in this \
             engine. To keep the version of before, name it in the reference with UpdateSyncedSecret; otherwise add a version to the vault \
             only when it is valid, or use the direct engine (sync.engine)."
        }
    };
    format!("{happened} {next}")
}

/// The message of a synced secret whose edge is as it should be.
pub(super) fn synced_message(references: &[Reference]) -> String {
    match references.iter().filter_map(|reference| reference.status.held_until).max() {
        None => "The edge holds what the references say.".to_owned(),
        Some(until) => format!(
            "The edge holds the versions that are valid now; newer ones are not valid before {until} and are held back until then."
        ),
    }
}

impl Reconciler {
    /// What must wait, by the vault's clock and by the configuration.
    pub(super) fn versions_to_hold(&self, record: &Record, found: &[&ReferenceStatus]) -> Option<Hold> {
        let now = self.0.vault.clock().now();
        self.can_hold(record).then(|| Hold::of(&record.secret.references, found, now)).flatten()
    }

    fn can_hold(&self, record: &Record) -> bool {
        self.0.options.not_before == NotBefore::Hold && reads_values(record.engine)
    }

    /// Whether versions that were held back may be synced now.
    pub(super) fn is_hold_over(&self, record: &Record) -> bool {
        let is_over = |until: Timestamp| !self.can_hold(record) || until <= self.0.vault.clock().now();
        held_until(record).is_some_and(is_over)
    }

    /// When to reconcile again what is done for now: when the time of what is held back has come.
    pub(super) fn sleep_while_held(&self, record: &Record) -> Requeue {
        // Of any other state either the queue takes care, or a person.
        match held_until(record).filter(|_| record.secret.state == State::Synced) {
            None => Requeue::Never,
            Some(until) => Requeue::After(sleep(self.0.vault.clock().now(), until)),
        }
    }
}

/// Until when the direct engine holds back versions.
pub(super) fn held_until(record: &Record) -> Option<Timestamp> {
    let held = record.secret.references.iter().filter_map(|reference| reference.status.held_until).max();
    held.filter(|_| reads_values(record.engine))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::VaultVersion;

    fn version(digit: &str) -> VaultVersion {
        digit.repeat(32).parse().unwrap()
    }

    /// Two references; the edge holds version 1 of both.
    fn references() -> Vec<Reference> {
        let mut first = SyncedSecret::example("edp1secrets").references[0].clone();
        first.status.synced_version = Some(version("1"));
        let mut second = first.clone();
        second.key = "password".parse().unwrap();
        vec![first, second]
    }

    fn found(digit: &str, not_before_time: Option<Timestamp>) -> ReferenceStatus {
        ReferenceStatus {
            synced_version: Some(version(digit)),
            not_before_time,
            ..ReferenceStatus::default()
        }
    }

    #[test]
    fn only_a_future_version_that_is_not_at_the_edge_waits_and_its_siblings_with_it() {
        let (now, later) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60));
        let references = references();
        let of =
            |first: &ReferenceStatus, second: &ReferenceStatus| Hold::of(&references, &[first, second], now);
        assert!(of(&found("2", None), &found("2", Some(now))).is_none(), "it is valid from that moment on");
        assert!(of(&found("1", Some(later)), &found("1", None)).is_none(), "it is at the edge");
        let hold = of(&found("2", None), &found("2", Some(later))).unwrap();
        let reasons: Vec<_> =
            hold.failure.problems.iter().map(|(place, reason, _)| (*place, *reason)).collect();
        assert_eq!(reasons, [(1, Reason::NotYetValid), (0, Reason::HeldBack)]);
        assert_eq!((hold.until, hold.can_keep), (later, true));
        assert!(hold.failure.retry == Retry::After(Duration::from_secs(60)));
        let mut statuses = [found("1", None), found("1", None)];
        hold.mark(&references, &mut statuses);
        assert!(statuses.iter().all(|status| status.held_until == Some(later)));
        let unchanged = of(&found("1", None), &found("2", Some(later))).unwrap();
        assert_eq!(unchanged.failure.problems.len(), 1, "the first one has nothing newer");
    }

    #[test]
    fn without_a_version_at_the_edge_there_is_nothing_to_keep() {
        let (now, later) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60));
        let mut references = references();
        references[1].status = ReferenceStatus::default();
        let hold = Hold::of(&references, &[&found("1", None), &found("2", Some(later))], now).unwrap();
        assert!(!hold.can_keep);
        assert_eq!(hold.failure.reason, Reason::NotYetValid);
    }

    #[test]
    fn the_condition_says_what_waits_and_what_is_early_and_ends_when_all_are_valid() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + SignedDuration::from_secs(60);
        let mut secret = SyncedSecret::example("edp1secrets");
        secret.references = references();
        assert_eq!(condition(SyncEngine::Direct, &secret, now), None, "there never was one");
        secret.references[0].status.not_before_time = Some(later);
        for (engine, next) in [
            (SyncEngine::Direct, "set sync.not_before to hold"),
            (SyncEngine::SecretStore, "sync.not_before = hold holds back nothing"),
        ] {
            let told = condition(engine, &secret, now).unwrap();
            assert_eq!((told.status, told.reason), (Status::True, Reason::NotYetValid));
            assert!(told.message.contains("1970-01-01T00:01:00Z"), "{}", told.message);
            assert!(told.message.contains(next), "{}", told.message);
            let mut over = secret.clone();
            over.set_condition(told);
            let over = condition(engine, &over, later).unwrap();
            assert_eq!((over.status, over.reason), (Status::False, Reason::Valid));
        }
    }

    #[test]
    fn a_sleep_is_bounded_on_both_sides() {
        let now = Timestamp::UNIX_EPOCH;
        for (seconds, slept) in [(-5, 1), (0, 1), (30, 30), (1_000_000, 3_600)] {
            let until = now + SignedDuration::from_secs(seconds);
            assert_eq!(sleep(now, until), Duration::from_secs(slept), "{seconds}");
        }
    }
}
