//! Applies the results of a reconciliation to a record. Pure functions.

use jiff::{Timestamp, ToSpan};

use super::not_before;
use crate::{
    edge::Written,
    model::{
        self, CertificateFacts, CertificateKind, Condition, ConditionType, Reason, Reference,
        ReferenceStatus, State, Status, SyncedSecret, VaultSecretVersion, VaultValue,
    },
    store::{EdgeRecord, Record},
};

/// A version counts as expiring this many days before its expiry.
const EXPIRES_SOON_DAYS: i64 = 30;
/// The vault's `updated` has whole seconds: a version added within this time of a read may have the same
/// `updated` as the version that was read.
const UPDATED_RESOLUTION_SECONDS: i64 = 2;

/// The status of a reference whose value is at the edge.
pub(super) fn status_of(value: &VaultValue) -> ReferenceStatus {
    status_of_version(&value.version, value.read_time)
}

/// The status of a reference with this version at the edge. `read_time`: when the vault was read.
pub(super) fn status_of_version(version: &VaultSecretVersion, read_time: Timestamp) -> ReferenceStatus {
    let settled = version
        .secret
        .update_time
        .is_some_and(|updated| read_time.duration_since(updated).as_secs() >= UPDATED_RESOLUTION_SECONDS);
    ReferenceStatus {
        synced_version: Some(version.version.clone()),
        expire_time: version.secret.expire_time,
        vault_update_time: version.secret.update_time,
        settled,
        problem: None,
        not_before_time: version.secret.not_before_time,
        held_until: None,
        certificate: None,
    }
}

/// Records that the edge holds `attempted` with these statuses. `now`: by the vault's clock.
pub(super) fn synced(
    record: &mut Record,
    attempted: &Record,
    statuses: Vec<ReferenceStatus>,
    written: Written,
    digest: Vec<u8>,
    now: Timestamp,
) {
    record.edge = EdgeRecord {
        uid: Some(written.uid),
        resource_version: Some(written.resource_version),
        digest: Some(digest),
    };
    record.synced_requests = record.synced_requests.max(attempted.sync_requests);
    let secret = &mut record.secret;
    secret.synced_generation = attempted.secret.generation;
    for (reference, status) in attempted.secret.references.iter().zip(statuses) {
        if let Some(current) = secret.references.iter_mut().find(|current| current.has_same_spec(reference)) {
            current.status = status;
        }
    }
    // The synced secret was changed, or "Sync now" was called again, after this attempt began: the next
    // attempt is already queued.
    let is_superseded =
        secret.generation != attempted.secret.generation || record.sync_requests != attempted.sync_requests;
    if secret.state == State::Deleting || is_superseded {
        return;
    }
    secret.state = State::Synced;
    secret.sync_time = Some(model::now());
    let message = not_before::synced_message(&secret.references);
    let condition = Condition::new(ConditionType::Synced, Status::True, Reason::Synced, message);
    secret.set_condition(condition);
    let expiring = expiring(&secret.references, Timestamp::now());
    secret.set_condition(expiring);
    set_not_yet_valid(record, now);
}

/// Records what was read of the certificates at the edge; nothing if they were not read.
pub(super) fn certificates(
    secret: &mut SyncedSecret,
    attempted: &Record,
    read: Vec<Option<CertificateFacts>>,
) {
    if read.is_empty() {
        return;
    }
    for (reference, certificate) in attempted.secret.references.iter().zip(read) {
        if let Some(held) = secret.references.iter_mut().find(|held| held.has_same_spec(reference)) {
            held.status.certificate = certificate;
        }
    }
    let expiring = expiring(&secret.references, Timestamp::now());
    secret.set_condition(expiring);
}

/// Records whether a version is not valid yet, if one ever was. `now`: by the vault's clock.
pub(super) fn set_not_yet_valid(record: &mut Record, now: Timestamp) {
    if let Some(condition) = not_before::condition(record.engine, &record.secret, now) {
        record.secret.set_condition(condition);
    }
}

/// Whether the attempt is outdated: the synced secret was changed, or a missing value has been stored since.
pub(super) fn is_outdated(attempted: &Record, current: &SyncedSecret) -> bool {
    let pending = |secret: &SyncedSecret| -> Vec<bool> {
        secret.references.iter().map(|reference| reference.create_pending).collect()
    };
    current.generation != attempted.secret.generation || pending(current) != pending(&attempted.secret)
}

/// Records that the attempt failed and the edge is unchanged. `problems` name references by index.
pub(super) fn failed(
    record: &mut Record,
    attempted: &Record,
    reason: Reason,
    message: String,
    problems: &[(usize, Reason, String)],
) {
    record.synced_requests = record.synced_requests.max(attempted.sync_requests);
    let secret = &mut record.secret;
    if is_outdated(attempted, secret) {
        return;
    }
    if secret.state != State::Deleting {
        secret.state = if secret.synced_generation > 0 { State::Degraded } else { State::Failed };
    }
    for (place, reference) in secret.references.iter_mut().enumerate() {
        let problem = problems.iter().find(|(at, ..)| *at == place);
        let before = reference.status.problem.take();
        reference.status.problem = problem.map(|(_, reason, message)| {
            Condition::new(ConditionType::Synced, Status::False, *reason, message).since(before.as_ref())
        });
    }
    secret.set_condition(Condition::new(ConditionType::Synced, Status::False, reason, message));
}

/// Dates that the condition `Expiring` names.
const NAMED: usize = 5;

/// The `Expiring` condition of what is at the edge, at this time: by the dates of the versions in the vault, and by those that
/// the certificates themselves have.
pub fn expiring(references: &[Reference], now: Timestamp) -> Condition {
    let soon = now + (EXPIRES_SOON_DAYS * 24).hours();
    let mut dates: Vec<_> = references.iter().flat_map(dates).collect();
    // A revocation list lives for days: it is no news until it is overdue.
    dates.retain(|date| date.at <= if date.is_short_lived { now } else { soon });
    dates.sort_by_key(|date| date.at);
    let Some(first) = dates.first() else {
        let message = "Nothing expires within 30 days.";
        return Condition::new(ConditionType::Expiring, Status::False, Reason::NotExpiring, message);
    };
    let reason = if first.at <= now { Reason::Expired } else { Reason::ExpiresSoon };
    let told = dates.iter().take(NAMED).map(|date| match date.at <= now {
        true => format!("{} expired at {}. {}.", date.what, date.at, date.remedy),
        false => format!("{} expires at {}. {} before.", date.what, date.at, date.remedy),
    });
    let more =
        dates.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("And {more} more."));
    let message = told.chain(more).collect::<Vec<_>>().join(" ");
    Condition::new(ConditionType::Expiring, Status::True, reason, message)
}

/// A time at which something at the edge expires.
struct Expiry {
    at: Timestamp,
    what: String,
    remedy: &'static str,
    is_short_lived: bool,
}

/// When a reference expires. The date of a version that is the one of its certificate is told as that.
fn dates(reference: &Reference) -> Vec<Expiry> {
    let named = format!("{} (key {})", reference.vault_secret, reference.key);
    let certificate = reference.status.certificate.as_ref().and_then(|facts| {
        let is_list = facts.kind == CertificateKind::RevocationList;
        let (what, remedy) = match is_list {
            false => ("certificate", "Renew the certificate in the vault"),
            true => ("revocation list", "Add the next revocation list to the vault"),
        };
        let at = facts.first_not_after.or(facts.not_after)?;
        Some(Expiry { at, what: format!("The {what} of {named}"), remedy, is_short_lived: is_list })
    });
    let of_certificate = certificate.as_ref().map(|certificate| certificate.at);
    let version = reference.status.expire_time.filter(|at| Some(*at) != of_certificate);
    let version = version.map(|at| Expiry {
        at,
        what: named,
        remedy: "Add a new version with AddVaultSecretVersion",
        is_short_lived: false,
    });
    version.into_iter().chain(certificate).collect()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::model::{Encoding, SyncEngine, VaultSecret};

    fn version(digit: char) -> crate::model::VaultVersion {
        digit.to_string().repeat(32).parse().unwrap()
    }

    fn described(update_time: Option<Timestamp>) -> VaultSecretVersion {
        VaultSecretVersion {
            secret: VaultSecret {
                update_time,
                expire_time: Some(Timestamp::UNIX_EPOCH),
                ..VaultSecret::new("Edp1-User".parse().unwrap())
            },
            version: version('1'),
        }
    }

    fn status(digit: char) -> ReferenceStatus {
        ReferenceStatus { synced_version: Some(version(digit)), ..ReferenceStatus::default() }
    }

    /// A record with one "Sync now" request.
    fn recorded() -> Record {
        let mut record = Record::new(SyncedSecret::example("edp1secrets"), SyncEngine::Direct);
        record.sync_requests = 1;
        record
    }

    /// Records that `attempted` was written.
    fn see(record: &mut Record, attempted: &Record) {
        let written = Written { uid: "uid".into(), resource_version: "7".into() };
        let statuses = vec![status('1'); attempted.secret.references.len()];
        synced(record, attempted, statuses, written, vec![1], Timestamp::now());
    }

    fn fail(record: &mut Record, attempted: &Record) {
        let problems = [(0, Reason::VaultForbidden, "no".to_owned())];
        failed(record, attempted, Reason::VaultForbidden, "no".to_owned(), &problems);
    }

    #[test]
    fn a_read_within_two_seconds_of_the_update_may_have_missed_a_newer_version() {
        let updated = Timestamp::UNIX_EPOCH;
        for (seconds, settled) in [(0, false), (1, false), (2, true), (60, true), (-60, false)] {
            let read_time = updated + SignedDuration::from_secs(seconds);
            assert_eq!(status_of_version(&described(Some(updated)), read_time).settled, settled, "{seconds}");
        }
        let unknown = status_of_version(&described(None), Timestamp::now());
        assert!(!unknown.settled, "a vault that reports no update time");
        let value = VaultValue {
            value: "x".into(),
            version: described(Some(updated)),
            read_time: updated + SignedDuration::from_secs(2),
        };
        let read = status_of(&value);
        assert_eq!(read.synced_version, Some(version('1')));
        assert_eq!((read.expire_time, read.vault_update_time), (Some(updated), Some(updated)));
        assert!(read.settled && read.problem.is_none());
    }

    #[test]
    fn a_write_is_recorded_and_answers_the_sync_request() {
        let (mut record, attempted) = (recorded(), recorded());
        record.secret = attempted.secret.clone();
        see(&mut record, &attempted);
        assert_eq!(record.edge.uid.as_deref(), Some("uid"));
        assert_eq!(record.edge.resource_version.as_deref(), Some("7"));
        assert_eq!(record.edge.digest, Some(vec![1]));
        assert_eq!((record.synced_requests, record.secret.synced_generation), (1, 1));
        assert_eq!(record.secret.state, State::Synced);
        assert!(record.secret.sync_time.is_some());
        assert_eq!(record.secret.references[0].status, status('1'));
        let said = |kind| record.secret.condition(kind).map(|condition| (condition.status, condition.reason));
        assert_eq!(said(ConditionType::Synced), Some((Status::True, Reason::Synced)));
        assert_eq!(said(ConditionType::Expiring), Some((Status::False, Reason::NotExpiring)));
    }

    #[test]
    fn a_write_does_not_answer_a_sync_request_that_came_after_it_began() {
        let (mut record, attempted) = (recorded(), recorded());
        record.sync_requests = 2;
        record.secret = attempted.secret.clone();
        see(&mut record, &attempted);
        assert_eq!(record.synced_requests, 1);
        record.synced_requests = 2;
        see(&mut record, &attempted);
        assert_eq!(record.synced_requests, 2, "nor is an answer taken back");
        fail(&mut record, &attempted);
        assert_eq!(record.synced_requests, 2);
    }

    #[test]
    fn a_synced_secret_that_was_changed_or_deleted_meanwhile_is_not_in_sync() {
        for (state, generation) in [(State::Pending, 2), (State::Deleting, 1)] {
            let (mut record, attempted) = (recorded(), recorded());
            record.secret = attempted.secret.clone();
            (record.secret.state, record.secret.generation) = (state, generation);
            let mut other = record.secret.references[0].clone();
            other.encoding = Encoding::Base64;
            record.secret.references.push(other);
            see(&mut record, &attempted);
            assert_eq!((record.secret.state, record.secret.synced_generation), (state, 1));
            assert_eq!(record.secret.sync_time, None);
            assert_eq!(record.secret.condition(ConditionType::Synced), None);
            // Unchanged references get their status all the same.
            assert_eq!(record.secret.references[0].status, status('1'));
            assert_eq!(record.secret.references[1].status, ReferenceStatus::default());
        }
    }

    #[test]
    fn a_failure_sets_degraded_or_failed_and_names_the_reference() {
        for (synced_generation, state, expected) in [
            (0, State::Pending, State::Failed),
            (1, State::Pending, State::Degraded),
            (1, State::Deleting, State::Deleting),
        ] {
            let mut attempted = recorded();
            (attempted.secret.state, attempted.secret.synced_generation) = (state, synced_generation);
            let sibling = attempted.secret.references[0].clone();
            attempted.secret.references.push(sibling);
            let mut record = attempted.clone();
            fail(&mut record, &attempted);
            assert_eq!((record.secret.state, record.synced_requests), (expected, 1));
            let told = record.secret.condition(ConditionType::Synced).unwrap();
            assert_eq!(
                (told.status, told.reason, told.message.as_str()),
                (Status::False, Reason::VaultForbidden, "no")
            );
            let problem = |place: usize| {
                let problem = record.secret.references[place].status.problem.as_ref();
                problem.map(|problem| (problem.status, problem.reason))
            };
            assert_eq!(problem(0), Some((Status::False, Reason::VaultForbidden)));
            assert_eq!(problem(1), None);
        }
    }

    #[test]
    fn a_repeated_problem_keeps_its_transition_time_and_a_fixed_one_is_cleared() {
        let attempted = recorded();
        let mut record = attempted.clone();
        fail(&mut record, &attempted);
        let first = record.secret.references[0].status.problem.as_mut().unwrap();
        first.last_transition_time = Timestamp::UNIX_EPOCH;
        fail(&mut record, &attempted);
        let again = record.secret.references[0].status.problem.as_ref().unwrap();
        assert_eq!(again.last_transition_time, Timestamp::UNIX_EPOCH);
        failed(&mut record, &attempted, Reason::EdgeForbidden, String::new(), &[]);
        assert_eq!(record.secret.references[0].status.problem, None);
    }

    #[test]
    fn an_outdated_failure_is_not_reported() {
        let attempted = recorded();
        let (mut changed, mut stored) = (attempted.clone(), attempted.clone());
        changed.secret.generation = 2;
        stored.secret.references[0].create_pending = true;
        for mut record in [changed, stored] {
            assert!(is_outdated(&attempted, &record.secret));
            let before = record.secret.clone();
            fail(&mut record, &attempted);
            assert_eq!((record.secret, record.synced_requests), (before, 1));
        }
        assert!(!is_outdated(&attempted, &attempted.secret));
    }

    #[test]
    fn the_earliest_expiry_decides_from_thirty_days_before() {
        let (now, second) = (Timestamp::UNIX_EPOCH, SignedDuration::from_secs(1));
        let month = SignedDuration::from_hours(30 * 24);
        let mut references = recorded().secret.references;
        references.push(references[0].clone());
        for (first, expected) in [
            (None, (Status::False, Reason::NotExpiring)),
            (Some(now - second), (Status::True, Reason::Expired)),
            (Some(now), (Status::True, Reason::Expired)),
            (Some(now + second), (Status::True, Reason::ExpiresSoon)),
            (Some(now + month), (Status::True, Reason::ExpiresSoon)),
            (Some(now + month + second), (Status::False, Reason::NotExpiring)),
        ] {
            references[0].status.expire_time = Some(now + month * 2);
            references[1].status.expire_time = first;
            let told = expiring(&references, now);
            assert_eq!(
                (told.kind, told.status, told.reason),
                (ConditionType::Expiring, expected.0, expected.1)
            );
        }
    }
}
