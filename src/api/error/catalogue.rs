//! A sample of every error that a caller can get, for the reference in `docs/errors.md`.

use std::{sync::Arc, time::Duration};

use tonic::Code;

use super::mapping::ErrorMapping;
use crate::{
    access::{AccessError, TokenProblem},
    model::{
        ActorError, CertificateError, Encoding, EncodingError, GroupKind, Needs, Output, Permission,
        SecretKey, SyncedSecretId, Usage, VaultSecretName, VaultVersion, Verb,
    },
    secrets::{Cause, EdgeError, Error, Gap, StoreError, VaultError},
};

/// An error that a caller can get.
#[derive(Debug)]
pub struct DocumentedError {
    /// UPPER_SNAKE_CASE; stable: programs decide by it.
    pub reason: &'static str,
    /// The canonical code.
    pub code: Code,
    /// What happened: the beginning of a message.
    pub happened: String,
    /// What to do: the end of a message.
    pub remedy: String,
    /// Whether to retry; the answer says after how long.
    pub is_retried: bool,
}

/// All errors of the use cases and of access, as samples about `pump-7`, and those of the server; without the
/// limits.
pub(crate) fn errors() -> Vec<DocumentedError> {
    let whole = whole().into_iter().map(|error| (error.to_string(), ErrorMapping::of(&error)));
    let causes = causes().into_iter().map(|cause| (cause.to_string(), ErrorMapping::of_cause(&cause)));
    let of = |(happened, mapping): (String, ErrorMapping)| DocumentedError {
        reason: mapping.reason,
        code: mapping.code,
        happened,
        remedy: mapping.remedy,
        is_retried: mapping.retry.is_some(),
    };
    let denied =
        access_errors().into_iter().map(|error| (error.to_string(), ErrorMapping::of_access_error(&error)));
    causes.chain(whole).chain(denied).map(of).chain(server_errors()).collect()
}

fn whole() -> Vec<Error> {
    let store = |error: StoreError| Error::Store(error);
    vec![
        Error::Stale("syncedSecrets/pump-7".to_owned()),
        Error::RequestIdReused,
        Error::RequestOfAnotherHistory,
        Error::InProgress,
        Error::TooOld,
        store(StoreError::Database(sqlx::Error::PoolTimedOut)),
        store(StoreError::Corrupt {
            table: "synced_secrets",
            column: "state",
            row: "7".to_owned(),
            problem: String::new(),
        }),
        store(StoreError::Newer { schema: 0, release: None }),
        store(StoreError::Lost("/var/lib/secret-service/secrets.db".into())),
        store(StoreError::Database(sqlx::Error::WorkerCrashed)),
        Error::Internal,
    ]
}

fn access_errors() -> Vec<AccessError> {
    let (caller, audience) = (|| "system:serviceaccount:ot:console".to_owned(), "secret-service".to_owned());
    let permission = || Permission::synced_secret(Verb::Update, "pump-7".parse().ok());
    let why = "the rule \"deny * syncedSecrets/pump-*\" denies it".to_owned();
    vec![
        AccessError::NoCredentials,
        AccessError::TokensDisabled,
        AccessError::NotBearerToken,
        AccessError::TokenRejected(audience),
        AccessError::OnlyIssuerTokens,
        AccessError::IssuerTokenRejected(TokenProblem::Expired),
        AccessError::IssuerTokenRejected(TokenProblem::NotYetValid),
        AccessError::IssuerTokenRejected(TokenProblem::Audience(vec!["secret-console".to_owned()])),
        AccessError::IssuerTokenRejected(TokenProblem::Type),
        AccessError::IssuerTokenRejected(TokenProblem::Issuer(
            "https://login.microsoftonline.com/TENANT/v2.0".to_owned(),
        )),
        AccessError::IssuerTokenRejected(TokenProblem::Missing("preferred_username".to_owned())),
        AccessError::IssuerTokenRejected(TokenProblem::EmailNotVerified),
        AccessError::IssuerTokenRejected(TokenProblem::Reserved),
        AccessError::TokenOwnerRejected(ActorError::Reserved),
        AccessError::DuplicateCredentials,
        AccessError::CertificateRejected("…".into()),
        AccessError::Forbidden {
            caller: caller(),
            permission: permission(),
            namespace: "azure-iot-operations".to_owned(),
            too_many_groups: false,
        },
        AccessError::Forbidden {
            caller: "oidc:ada@contoso.example".to_owned(),
            permission: permission(),
            namespace: "azure-iot-operations".to_owned(),
            too_many_groups: true,
        },
        AccessError::DeniedByRule { caller: caller(), permission: permission(), why },
        AccessError::TooManyUnknownTokens { limit: 20, per_caller: true, wait: Duration::from_secs(1) },
        AccessError::TooManyReviews { caller: caller(), wait: Duration::from_secs(1) },
        AccessError::Undecided,
        AccessError::KeyNotFetched { wait: Duration::from_secs(10) },
        AccessError::IssuerSilent,
    ]
}

fn causes() -> Vec<Cause> {
    let (Ok(id), Ok(name)) = ("pump-7".parse::<SyncedSecretId>(), "pump-7".parse::<VaultSecretName>()) else {
        return Vec::new();
    };
    let mut causes = vec![
        Cause::Invalid("must follow the rule in the message".to_owned()),
        Cause::NoSyncedSecret(id.clone()),
        Cause::Rebuilding,
        Cause::SyncedSecretExists(id.clone()),
        Cause::Unmanaged(id.clone()),
        Cause::Owned { id: id.clone(), owner: "ExternalSecret pump-7".to_owned() },
        Cause::Reserved { id: id.clone(), owner: "Helm".to_owned() },
        Cause::Output { id: id.clone(), output: output() },
        Cause::Deleting(id.clone()),
        Cause::InUse { id: id.clone(), usage: usage() },
        Cause::UsagesUnknown { gap: gap(None), may_force: true },
        Cause::UsagesUnknown { gap: gap(Some(EdgeError::Forbidden("…".into()))), may_force: true },
        Cause::SecretsUnknown,
        Cause::VaultSecretExists(name.clone()),
        Cause::BeingCreated(name.clone()),
        Cause::NotDeleted(name.clone()),
        Cause::Recovering(name.clone()),
        Cause::Unverified {
            name: name.clone(),
            error: Arc::new(VaultError::Timeout { after: std::time::Duration::from_secs(30) }),
        },
        Cause::Expired { name: name.clone(), at: jiff::Timestamp::UNIX_EPOCH },
    ];
    if let Ok(key) = "username".parse() {
        let key: SecretKey = key;
        let error = EncodingError(Encoding::Base64);
        causes.push(Cause::NotEncoded { key: key.clone(), name: name.clone(), error });
        let error = CertificateError::NoCertificate;
        causes.push(Cause::NotCertificate { key: key.clone(), name: name.clone(), error });
        causes.push(Cause::NoReference { id: id.clone(), key: key.clone() });
        causes.push(Cause::KeyInUse { id, key, usage: usage() });
    }
    causes.extend(vault(name).into_iter().map(|error| Cause::Vault(Arc::new(error))));
    causes.extend(edge().into_iter().map(Cause::Edge));
    causes
}

pub(crate) fn usage() -> Arc<Usage> {
    let text = str::to_owned;
    Arc::new(Usage {
        api_version: text("deviceregistry.microsoft.com/v1"),
        group_kind: profile(),
        namespace: text("azure-iot-operations"),
        resource: text("opc-plc-1"),
        field: text("spec.authentication.usernamePasswordCredentials.usernameSecretName"),
        secret: text("pump-7"),
        needs: Needs::Key(text("username")),
        guessed: false,
    })
}

pub(crate) fn output() -> Box<Output> {
    let text = str::to_owned;
    let (group, kind) = (text("mqttbroker.iotoperations.azure.com"), text("BrokerListener"));
    Box::new(Output {
        group_kind: GroupKind { group, kind },
        resource: text("default"),
        field: text("spec.ports[0].tls.certManagerCertificateSpec.secretName"),
        secret: text("pump-7"),
    })
}

pub(crate) fn gap(error: Option<EdgeError>) -> Gap {
    let GroupKind { group, .. } = profile();
    Gap { what: profile().to_string(), group, error }
}

fn profile() -> GroupKind {
    GroupKind { group: "deviceregistry.microsoft.com".to_owned(), kind: "AssetEndpointProfile".to_owned() }
}

fn vault(name: VaultSecretName) -> Vec<VaultError> {
    let version = "0".repeat(32).parse::<VaultVersion>().ok();
    let missing = version.map(|version| VaultError::VersionNotFound { name: name.clone(), version });
    let rejected = |status, code: &str| VaultError::Rejected { status, code: code.to_owned() };
    let mut errors = vec![
        VaultError::Configuration("…".into()),
        VaultError::NotFound { name: name.clone(), unseen_in: None },
        VaultError::Deleted { name: name.clone(), vault: "contoso".to_owned() },
        VaultError::Disabled { name: name.clone(), version: None },
        VaultError::SoftDeleted { name: name.clone(), being_deleted: false },
        VaultError::SoftDeleted { name: name.clone(), being_deleted: true },
        VaultError::Managed { name },
        VaultError::Forbidden { operation: "read values", code: "ForbiddenByRbac".to_owned() },
        VaultError::Firewall,
        VaultError::Unauthenticated("…".into()),
        VaultError::Throttled { retry_after: None },
        VaultError::QueueFull,
        rejected(400, "BadParameter"),
        rejected(409, "Conflict"),
        VaultError::Unreachable("…".into()),
        VaultError::Timeout { after: Duration::from_secs(10) },
        VaultError::Malformed("…".into()),
    ];
    errors.extend(missing);
    errors
}

fn edge() -> Vec<EdgeError> {
    let (name, word) = (|| "pump-7".to_owned(), || "…".to_owned());
    vec![
        EdgeError::Configuration(word().into()),
        EdgeError::conflict(name()),
        EdgeError::Terminating { kind: "Secret".to_owned(), name: name() },
        EdgeError::SettingMissing { setting: "secret_store.client_id" },
        EdgeError::CloudUnknown,
        EdgeError::DefaultClass(
            "spc-ops-0000000 and spc-ops-1a2b3c4 have different identities for the same vault, and no Instance \
             names a default class"
                .to_owned(),
        ),
        EdgeError::NotLeader { holder: "…".to_owned() },
        EdgeError::Changed(word().into()),
        EdgeError::Forbidden(word().into()),
        EdgeError::Unauthenticated(word().into()),
        EdgeError::NamespaceMissing("azure-iot-operations".to_owned()),
        EdgeError::NamespaceTerminating("azure-iot-operations".to_owned()),
        EdgeError::NotServed { kind: "SecretSync".to_owned() },
        EdgeError::NotFound(word().into()),
        EdgeError::Throttled(None),
        EdgeError::TooLarge,
        EdgeError::Rejected(word().into()),
        EdgeError::Unreachable(word().into()),
        EdgeError::Timeout(Duration::from_secs(10)),
    ]
}

/// The errors of the server itself.
fn server_errors() -> impl Iterator<Item = DocumentedError> {
    let (exhausted, late) = (Code::ResourceExhausted, Code::DeadlineExceeded);
    let samples = [
        (
            exhausted,
            "DATABASE_FULL",
            "The database's disk is full",
            "Free space on it; recorded changes are safe.",
            true,
        ),
        (
            Code::Unavailable,
            "DATABASE_READ_ONLY",
            "The database's disk or its file is read-only",
            "Ask the operator to make it writable; recorded changes are safe.",
            true,
        ),
        (
            Code::Unavailable,
            "STOPPING",
            "The service is stopping; recorded changes continue",
            "Retry with the same request_id when it is back.",
            true,
        ),
        (
            Code::InvalidArgument,
            "MALFORMED_MESSAGE",
            "The request is not a valid message of this method",
            "Send the message that the proto defines.",
            false,
        ),
        (
            Code::InvalidArgument,
            "HEADER_REPEATED",
            "A header that must be unique was sent more than once",
            "Send it once.",
            false,
        ),
        (
            Code::Unimplemented,
            "NO_SUCH_METHOD",
            "The service has no such method, or not in this form",
            "List the methods by reflection.",
            false,
        ),
        (
            late,
            "DEADLINE_EXCEEDED",
            "The deadline has passed; recorded changes continue",
            "Look at the result with Get, or retry with the same request_id and a longer deadline.",
            false,
        ),
    ];
    samples.into_iter().map(|(code, reason, happened, remedy, is_retried)| DocumentedError {
        reason,
        code,
        happened: happened.to_owned(),
        remedy: remedy.to_owned(),
        is_retried,
    })
}
