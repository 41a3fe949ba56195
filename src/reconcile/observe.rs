//! How what was seen changes a record: pure.

use jiff::{Timestamp, ToSpan};

use crate::{
    edge::Written,
    model::{
        self, Condition, ConditionType, Reason, Reference, ReferenceStatus, State, Status, SyncedSecret,
        VaultSecretVersion, VaultValue,
    },
    store::{EdgeRecord, Record},
};

/// A version counts as expiring from this many days on.
const EXPIRES_SOON_DAYS: i64 = 30;
/// A version that was added within this many seconds of a read may share the vault's `updated` with it.
const UPDATED_RESOLUTION_SECONDS: i64 = 2;

/// What a reference holds once its value is at the edge.
pub(super) fn status_of(value: &VaultValue) -> ReferenceStatus {
    status_of_version(&value.version, value.read_time)
}

/// What a reference holds once a version that was seen at that time is at the edge.
pub(super) fn status_of_version(version: &VaultSecretVersion, seen: Timestamp) -> ReferenceStatus {
    let settled = version
        .update_time
        .is_some_and(|updated| seen.duration_since(updated).as_secs() >= UPDATED_RESOLUTION_SECONDS);
    ReferenceStatus {
        synced_version: Some(version.version.clone()),
        expire_time: version.expire_time,
        vault_update_time: version.update_time,
        settled,
        problem: None,
    }
}

/// The edge holds `attempted` with these statuses.
pub(super) fn synced(
    record: &mut Record,
    attempted: &Record,
    statuses: Vec<ReferenceStatus>,
    written: Written,
    digest: Vec<u8>,
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
        if let Some(current) = secret.references.iter_mut().find(|current| current.asks_the_same(reference)) {
            current.status = status;
        }
    }
    // Changed meanwhile, or asked again: this look began before the question, and the next one is on its way.
    let is_asked_since =
        secret.generation != attempted.secret.generation || record.sync_requests != attempted.sync_requests;
    if secret.state == State::Deleting || is_asked_since {
        return;
    }
    secret.state = State::Synced;
    secret.sync_time = Some(model::now());
    let message = "The edge holds what the references say.";
    let condition = Condition::new(ConditionType::Synced, Status::True, Reason::Synced, message);
    secret.set_condition(condition);
    let expiring = expiring(&secret.references, Timestamp::now());
    secret.set_condition(expiring);
}

/// Whether what was attempted is no longer what there is to do: another change was asked for, or a value that was missing
/// has been stored.
pub(super) fn is_outdated(attempted: &Record, current: &SyncedSecret) -> bool {
    let pending = |secret: &SyncedSecret| -> Vec<bool> {
        secret.references.iter().map(|reference| reference.create_pending).collect()
    };
    current.generation != attempted.secret.generation || pending(current) != pending(&attempted.secret)
}

/// The attempt failed; the edge holds what it held before. `problems` are per reference, by place.
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

/// Whether what the edge holds expires, at a moment.
pub fn expiring(references: &[Reference], now: Timestamp) -> Condition {
    let first = references
        .iter()
        .filter_map(|reference| Some((reference.status.expire_time?, reference)))
        .min_by_key(|(expires, _)| *expires);
    let (status, reason, message) = match first {
        Some((expires, reference)) if expires <= now => (
            Status::True,
            Reason::Expired,
            format!(
                "{} (key {}) expired at {expires}. Add a new version with AddVaultSecretVersion.",
                reference.vault_secret, reference.key
            ),
        ),
        Some((expires, reference)) if expires <= now + (EXPIRES_SOON_DAYS * 24).hours() => (
            Status::True,
            Reason::ExpiresSoon,
            format!(
                "{} (key {}) expires at {expires}. Add a new version with AddVaultSecretVersion before.",
                reference.vault_secret, reference.key
            ),
        ),
        _ => (Status::False, Reason::NotExpiring, "Nothing expires within 30 days.".to_owned()),
    };
    Condition::new(ConditionType::Expiring, status, reason, message)
}
