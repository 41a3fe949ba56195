//! The table of errors as a specification.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    catalogue::{gap, output, usage},
    *,
};
use crate::{
    model::{CertificateError, Encoding, EncodingError, Usage},
    secrets::{Cause, EdgeError, StoreError, VaultError},
};

fn vault(error: VaultError) -> Cause {
    Cause::Vault(Arc::new(error))
}

/// Every cause there is, with the code and the reason that a caller sees.
fn causes() -> Vec<(Cause, Code, &'static str)> {
    use Code::*;
    let id = || "edp1secrets".parse().unwrap();
    let name = || "edp1-user".parse().unwrap();
    let (version, text) = ("0".repeat(32).parse().unwrap(), || "why".to_owned());
    let second = Duration::from_secs(1);
    vec![
        (Cause::Invalid("the rule".into()), InvalidArgument, "INVALID_FIELD"),
        (Cause::NoSyncedSecret(id()), NotFound, "SYNCED_SECRET_NOT_FOUND"),
        (Cause::Rebuilding, Unavailable, "DATABASE_REBUILDING"),
        (Cause::SyncedSecretExists(id()), AlreadyExists, "SYNCED_SECRET_EXISTS"),
        (Cause::Reserved { id: id(), owner: text() }, InvalidArgument, "NAME_RESERVED"),
        (Cause::Output { id: id(), output: output() }, FailedPrecondition, "SECRET_WRITTEN_BY_ANOTHER"),
        (Cause::Deleting(id()), FailedPrecondition, "SYNCED_SECRET_DELETING"),
        (Cause::InUse { id: id(), usage: usage() }, FailedPrecondition, "SYNCED_SECRET_IN_USE"),
        (
            Cause::KeyInUse { id: id(), key: "username".parse().unwrap(), usage: usage() },
            FailedPrecondition,
            "KEY_IN_USE",
        ),
        (Cause::NoReference { id: id(), key: "username".parse().unwrap() }, NotFound, "REFERENCE_NOT_FOUND"),
        (Cause::UsagesUnknown { gap: gap(None), may_force: true }, Unavailable, "USAGES_NOT_YET_KNOWN"),
        (
            Cause::UsagesUnknown { gap: gap(Some(EdgeError::Forbidden(text().into()))), may_force: false },
            FailedPrecondition,
            "USAGES_UNKNOWN",
        ),
        (Cause::SecretsUnknown, Unavailable, "SECRETS_NOT_YET_KNOWN"),
        (Cause::VaultSecretExists(name()), AlreadyExists, "VAULT_SECRET_EXISTS"),
        (Cause::BeingCreated(name()), Aborted, "VAULT_SECRET_BEING_CREATED"),
        (
            Cause::Unverified { name: name(), error: Arc::new(VaultError::Unreachable(text().into())) },
            Unavailable,
            "CREATION_UNVERIFIED",
        ),
        (
            Cause::Expired { name: name(), at: Timestamp::UNIX_EPOCH },
            FailedPrecondition,
            "VAULT_SECRET_EXPIRED",
        ),
        (
            Cause::NotEncoded {
                key: "username".parse().unwrap(),
                name: name(),
                error: EncodingError(Encoding::Hex),
            },
            FailedPrecondition,
            "VALUE_NOT_IN_ENCODING",
        ),
        (
            Cause::NotCertificate {
                key: "tls.key".parse().unwrap(),
                name: name(),
                error: CertificateError::NoPrivateKey,
            },
            FailedPrecondition,
            "VALUE_NOT_A_CERTIFICATE",
        ),
        (vault(VaultError::Configuration(text().into())), FailedPrecondition, "VAULT_CONFIGURATION"),
        (vault(VaultError::NotFound { name: name(), unseen_in: None }), NotFound, "VAULT_SECRET_NOT_FOUND"),
        (vault(VaultError::VersionNotFound { name: name(), version }), NotFound, "VAULT_VERSION_NOT_FOUND"),
        (
            vault(VaultError::Disabled { name: name(), version: None }),
            FailedPrecondition,
            "VAULT_SECRET_DISABLED",
        ),
        (
            vault(VaultError::SoftDeleted { name: name(), being_deleted: false }),
            FailedPrecondition,
            "VAULT_SECRET_SOFT_DELETED",
        ),
        (
            vault(VaultError::SoftDeleted { name: name(), being_deleted: true }),
            FailedPrecondition,
            "VAULT_SECRET_BEING_DELETED",
        ),
        (vault(VaultError::Managed { name: name() }), FailedPrecondition, "VAULT_SECRET_MANAGED"),
        (Cause::NotDeleted(name()), FailedPrecondition, "VAULT_SECRET_NOT_DELETED"),
        (Cause::Recovering(name()), DeadlineExceeded, "VAULT_SECRET_BEING_RECOVERED"),
        (
            vault(VaultError::Forbidden { operation: "read values", code: text() }),
            PermissionDenied,
            "VAULT_FORBIDDEN",
        ),
        (vault(VaultError::Firewall), PermissionDenied, "VAULT_FIREWALL"),
        (vault(VaultError::Unauthenticated(text().into())), Unavailable, "VAULT_UNAUTHENTICATED"),
        (vault(VaultError::Throttled { retry_after: None }), ResourceExhausted, "VAULT_THROTTLED"),
        (vault(VaultError::QueueFull), ResourceExhausted, "VAULT_TOO_MANY_WAIT"),
        (vault(VaultError::Rejected { status: 400, code: text() }), InvalidArgument, "VAULT_REJECTED"),
        (vault(VaultError::Rejected { status: 409, code: text() }), FailedPrecondition, "VAULT_REJECTED"),
        (vault(VaultError::Unreachable(text().into())), Unavailable, "VAULT_UNREACHABLE"),
        (vault(VaultError::Timeout { after: second }), Unavailable, "VAULT_TIMEOUT"),
        (vault(VaultError::Malformed(text().into())), Unavailable, "VAULT_ANSWER_MALFORMED"),
        (Cause::Edge(EdgeError::Configuration(text().into())), FailedPrecondition, "EDGE_CONFIGURATION"),
        (Cause::Edge(EdgeError::conflict("a")), AlreadyExists, "EDGE_CONFLICT"),
        (
            Cause::Edge(EdgeError::Terminating { kind: "Secret".into(), name: "a".into() }),
            FailedPrecondition,
            "EDGE_TERMINATING",
        ),
        (Cause::Edge(EdgeError::Changed(text().into())), Aborted, "EDGE_CHANGED"),
        (Cause::Edge(EdgeError::Forbidden(text().into())), PermissionDenied, "EDGE_FORBIDDEN"),
        (Cause::Edge(EdgeError::Unauthenticated(text().into())), Unavailable, "EDGE_UNAUTHENTICATED"),
        (Cause::Edge(EdgeError::NamespaceMissing(text())), FailedPrecondition, "EDGE_NAMESPACE_MISSING"),
        (
            Cause::Edge(EdgeError::NotServed { kind: "SecretSync".into() }),
            FailedPrecondition,
            "EDGE_RESOURCE_MISSING",
        ),
        (Cause::Edge(EdgeError::NotFound(text().into())), FailedPrecondition, "EDGE_RESOURCE_MISSING"),
        (Cause::Edge(EdgeError::Throttled(None)), ResourceExhausted, "EDGE_THROTTLED"),
        (Cause::Edge(EdgeError::TooLarge), InvalidArgument, "SECRET_TOO_LARGE"),
        (Cause::Edge(EdgeError::Rejected(text().into())), InvalidArgument, "EDGE_REJECTED"),
        (Cause::Edge(EdgeError::Unreachable(text().into())), Unavailable, "EDGE_UNREACHABLE"),
        (Cause::Edge(EdgeError::Timeout(second)), Unavailable, "EDGE_TIMEOUT"),
    ]
}

/// Every other error there is.
fn errors() -> Vec<(Error, Code, &'static str)> {
    use Code::*;
    let corrupt = StoreError::Corrupt { table: "t", column: "c", row: "r".into(), problem: "p".into() };
    let io = || StoreError::Database(sqlx::Error::PoolClosed);
    vec![
        (Error::Stale("syncedSecrets/a".into()), Aborted, "CHANGED_MEANWHILE"),
        (Error::RequestIdReused, InvalidArgument, "REQUEST_ID_REUSED"),
        (Error::RequestOfAnotherHistory, Aborted, "REQUEST_OF_ANOTHER_HISTORY"),
        (Error::InProgress, Aborted, "REQUEST_IN_PROGRESS"),
        (Error::TooOld, OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE"),
        (Error::Internal, Internal, "INTERNAL"),
        (Error::Store(StoreError::AlreadyExists), Aborted, "CHANGED_MEANWHILE"),
        (Error::Store(StoreError::NotFound), Aborted, "CHANGED_MEANWHILE"),
        (Error::Store(StoreError::Stale), Aborted, "CHANGED_MEANWHILE"),
        (Error::Store(StoreError::RequestIdReused), InvalidArgument, "REQUEST_ID_REUSED"),
        (Error::Store(StoreError::Stopping), Unavailable, "STOPPING"),
        (Error::Store(corrupt), Internal, "DATABASE_CORRUPT"),
        (Error::Store(StoreError::Newer { schema: 9, release: None }), Internal, "DATABASE_NEWER"),
        (Error::Store(StoreError::Lost("a.db".into())), Unavailable, "DATABASE_LOST"),
        (Error::Store(io()), Internal, "DATABASE_FAILED"),
        (Error::Store(StoreError::Database(sqlx::Error::PoolTimedOut)), Unavailable, "DATABASE_BUSY"),
    ]
}

#[test]
fn every_error_has_its_code_its_reason_and_two_sentences() {
    let causes = causes().into_iter().map(|(cause, code, reason)| (Error::from(cause), code, reason));
    for (error, code, reason) in causes.chain(errors()) {
        let status = status(&error, "syncedSecrets/about");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (status.code(), info.reason.as_str(), info.domain.as_str()),
            (code, reason, DOMAIN),
            "{error}"
        );
        assert!(info.metadata.contains_key("resource"), "{error}");
        let message = status.message();
        assert!(message.ends_with('.') && message.contains(". ") && !message.contains(".."), "{message}");
        assert!(
            message.starts_with(|first: char| !first.is_lowercase())
                || code == Code::InvalidArgument
                || reason == "CHANGED_MEANWHILE",
            "{message}"
        );
        let retried = matches!(code, Code::Unavailable | Code::ResourceExhausted);
        assert!(!retried || status.get_details_retry_info().is_some(), "{error}");
        let named = matches!(code, Code::NotFound | Code::AlreadyExists);
        assert_eq!(status.get_details_resource_info().is_some(), named, "{error}");
        let failed = code == Code::FailedPrecondition;
        assert_eq!(status.get_details_precondition_failure().is_some(), failed, "{error}");
    }
}

#[test]
fn every_remedy_is_one_sentence_because_clients_show_the_last_one() {
    let is_one = |remedy: &str| remedy.ends_with('.') && !remedy.trim_end_matches('.').contains(". ");
    let errors = crate::api::errors();
    let wrong: Vec<_> = errors.iter().filter(|error| !is_one(&error.remedy)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_permanent_problem_decides_the_code_and_all_problems_are_listed() {
    let mut problems: Vec<_> = causes()
        .into_iter()
        .enumerate()
        .map(|(place, (cause, ..))| {
            Problem::new(format!("synced_secret.references[{place}].vault_secret"), cause)
        })
        .collect();
    let code = |problems: &[Problem]| status(&Error::Refused(problems.to_vec()), "").code();
    let all = status(&Error::Refused(problems.clone()), "");
    assert_eq!(all.code(), Code::InvalidArgument);
    let violations = all.get_details_bad_request().unwrap().field_violations;
    assert!(violations.len() > 10 && violations[3].field == "synced_secret.references[3].vault_secret");
    let mut seen = vec![code(&problems)];
    problems.sort_by_key(|problem| ErrorMapping::of_cause(&problem.cause).rank());
    while problems.len() > 1 {
        problems.remove(0);
        seen.push(code(&problems));
    }
    seen.dedup();
    use Code::*;
    let order = [
        InvalidArgument,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        PermissionDenied,
        Aborted,
        ResourceExhausted,
        Unavailable,
        DeadlineExceeded,
    ];
    assert_eq!(seen, order);
}

#[test]
fn details_fit_into_a_header_however_many_problems_there_are() {
    let problems = (0..5_000).map(|place| {
        let missing =
            VaultError::SoftDeleted { name: "x".repeat(127).parse().unwrap(), being_deleted: false };
        Problem::new(format!("synced_secret.references[{place}].vault_secret"), vault(missing))
    });
    let status = status(&Error::Refused(problems.collect()), "syncedSecrets/a");
    let size = status.details().len() * 4 / 3 + status.message().len();
    assert!(size < 8_000, "{size}");
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert!(violations.last().unwrap().description.contains("more do not fit"));

    let long = status_of(vault(VaultError::Unreachable("ä".repeat(100_000).into())));
    assert!(long.message().chars().count() < 1_300 && long.message().contains("Retry later"));
}

#[test]
fn the_retry_delay_is_the_vaults_if_it_sends_one() {
    let after = Duration::from_secs(77);
    let status = status_of(vault(VaultError::Throttled { retry_after: Some(after) }));
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(after));
}

#[test]
fn a_conflict_suggests_adoption_and_a_denial_names_the_missing_right() {
    let conflict = status_of(Cause::Edge(EdgeError::conflict("edp1secrets")));
    assert!(conflict.message().contains("AdoptSyncedSecret"), "{conflict}");
    assert_eq!(conflict.get_details_resource_info().unwrap().resource_name, "syncedSecrets/edp1secrets");
    let right = VaultError::Forbidden { operation: "create secrets", code: "ForbiddenByRbac".into() };
    let forbidden = status_of(vault(right));
    assert!(forbidden.message().contains("service's identity"), "{forbidden}");
    assert!(forbidden.message().contains("Key Vault Secrets Officer"), "{forbidden}");
}

fn status_of(cause: Cause) -> Status {
    status(&Error::from(cause), "")
}

#[test]
fn each_blocking_use_is_a_violation_up_to_the_size_limit() {
    let uses = |count: usize| {
        let problem = |number: usize| {
            let usage = Usage { resource: format!("opc-plc-{number}"), ..usage().as_ref().clone() };
            let id = "edp1secrets".parse().unwrap();
            Problem::new("", Cause::InUse { id, usage: Arc::new(usage) })
        };
        status(&Error::Refused((0..count).map(problem).collect()), "syncedSecrets/edp1secrets")
    };
    let violations = uses(10).get_details_precondition_failure().unwrap().violations;
    assert_eq!(violations.len(), 10);
    let of = &violations[9];
    assert_eq!(of.r#type, "IN_USE");
    assert_eq!(of.subject, "AssetEndpointProfile.deviceregistry.microsoft.com/opc-plc-9");
    assert!(of.description.ends_with(".usernameSecretName"));
    let many = uses(1_000);
    assert!(many.message().contains("(999 more"), "{}", many.message());
    assert!(many.details().len() < 6_000, "{}", many.details().len());
}
