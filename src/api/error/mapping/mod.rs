//! What each error means to a caller: the canonical code, a stable reason, what to do next, and whether waiting may help.

use std::time::Duration;

use tonic::Code;

use crate::{
    access::AccessError,
    model::{ACCESS_GROUP, Verb},
    secrets::{Cause, EdgeError, Error, Gap, StoreError, StoreFault, VaultError},
};

/// Soon enough for a call that only lost a race.
const SOON: Duration = Duration::from_secs(1);
/// For what has to come back by itself: a network, a vault, a cluster.
const LATER: Duration = Duration::from_secs(5);
/// The window over which Key Vault counts calls.
const THROTTLED: Duration = Duration::from_secs(10);

/// What a caller is told of an error, besides its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: Code,
    /// UPPER_SNAKE_CASE; stable: programs decide by it.
    pub(crate) reason: &'static str,
    /// One sentence: what to do next.
    pub(crate) remedy: String,
    /// The name of the resource that it is about, where the error says which.
    pub(crate) resource: Option<String>,
    /// Who acts for the instance, where it is another process.
    pub(crate) holder: Option<String>,
    /// When to try again, where waiting may be enough.
    pub(crate) retry: Option<Duration>,
}

// === impl Verdict ===

impl Verdict {
    fn new(code: Code, reason: &'static str, remedy: impl Into<String>) -> Self {
        Self { code, reason, remedy: remedy.into(), resource: None, holder: None, retry: None }
    }

    fn about(mut self, collection: &str, id: impl std::fmt::Display) -> Self {
        self.resource = Some(format!("{collection}/{id}"));
        self
    }

    fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    /// Which of several problems decides the code of the whole call; the lowest does. First what only a change of the request
    /// mends, then what someone must mend elsewhere, last what mends itself: a program that retries on the code must not do
    /// so while something else is wrong for good.
    pub(crate) fn rank(&self) -> u8 {
        match self.code {
            Code::InvalidArgument => 0,
            Code::NotFound => 1,
            Code::AlreadyExists => 2,
            Code::FailedPrecondition => 3,
            Code::OutOfRange => 4,
            Code::PermissionDenied => 5,
            Code::Unimplemented => 6,
            Code::Internal => 7,
            Code::Aborted => 8,
            Code::ResourceExhausted => 9,
            _ => 10,
        }
    }

    /// What a whole error means; for [`Error::Refused`], see [`Verdict::of_cause`].
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Refused(problems) => problems
                .iter()
                .map(|problem| Self::of_cause(&problem.cause))
                .min_by_key(Self::rank)
                .unwrap_or_else(internal),
            // The caller decided on what is no longer so.
            Error::Stale(_) => Self::new(
                Code::Aborted,
                "CHANGED_MEANWHILE",
                "Get it again, and repeat the change on what it is now.",
            ),
            // The same id for something else is a mistake of the caller that no waiting mends.
            Error::RequestIdReused => Self::new(
                Code::InvalidArgument,
                "REQUEST_ID_REUSED",
                "Use a new UUID for every request, and the same one only for its retries.",
            ),
            // Whatever the call did then, the database knows only what the backup held.
            Error::RequestOfAnotherHistory => Self::new(
                Code::Aborted,
                "REQUEST_OF_ANOTHER_HISTORY",
                "Look at what is there, then use a new request_id.",
            ),
            // The first call still decides what the answer is.
            Error::InProgress => Self::new(
                Code::Aborted,
                "REQUEST_IN_PROGRESS",
                "Call again with the same request_id when it has ended.",
            )
            .retry(SOON),
            Error::TooOld => Self::new(
                Code::OutOfRange,
                "RESUME_TOKEN_OUT_OF_RANGE",
                "Watch anew without a resume_token; the initial state comes first.",
            ),
            Error::Store(error) => Self::of_store(error),
            Error::Internal => internal(),
        }
    }

    /// What it means that a call is not let in.
    pub(crate) fn of_refusal(refusal: &AccessError) -> Self {
        use Code::*;
        match refusal {
            AccessError::NoCredentials => Self::new(
                Unauthenticated,
                "CREDENTIALS_MISSING",
                "Send a token of a service account in the authorization header, or show a client certificate.",
            ),
            AccessError::TokensOff => Self::new(
                Unauthenticated,
                "TOKENS_NOT_ACCEPTED",
                "Show a client certificate, or ask the operator for authentication.tokens.",
            ),
            AccessError::NotBearer => {
                Self::new(Unauthenticated, "CREDENTIALS_REJECTED", "Send \"authorization: Bearer TOKEN\".")
            }
            AccessError::TokenRejected(audience) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                format!(
                    "Get a new one, for example with `kubectl create token ACCOUNT --audience {audience}`."
                ),
            ),
            AccessError::TokenOfNoActor(_) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Show a token of an account with another name.",
            ),
            AccessError::CredentialsRepeated => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Send \"authorization: Bearer TOKEN\" once.",
            ),
            AccessError::CertificateRejected(_) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Show one that is valid and names its owner.",
            ),
            AccessError::Forbidden { ask, namespace, .. } => Self {
                resource: Some(ask.resource_name()),
                ..Self::new(
                    PermissionDenied,
                    "CALLER_FORBIDDEN",
                    format!(
                        "Grant the verb {} on {}.{ACCESS_GROUP} in the namespace {namespace:?} by a Role and a RoleBinding{}.",
                        ask.verb.map_or("get", Verb::as_str),
                        ask.resource.as_str(),
                        narrowed(ask.name.as_deref()),
                    ),
                )
            },
            AccessError::AgainstTheRules { ask, .. } => Self {
                resource: Some(ask.resource_name()),
                ..Self::new(
                    PermissionDenied,
                    "NAME_NOT_ALLOWED",
                    "Use another name, or ask the operator to change authorization.rules.",
                )
            },
            AccessError::TooManyTokens { wait, .. } => Self::new(
                ResourceExhausted,
                "TOO_MANY_UNKNOWN_TOKENS",
                "Call again later with a token that is valid.",
            )
            .retry((*wait).max(Duration::from_millis(1))),
            AccessError::TooManyReviews { wait, .. } => Self::new(
                ResourceExhausted,
                "TOO_MANY_NAMES_ASKED",
                "Call again later, or have the right granted on all names, by a Role without resourceNames: it is asked about once.",
            )
            .retry((*wait).max(Duration::from_millis(1))),
            // Not let in all the same; but the caller's credentials may be good, and waiting may be enough.
            AccessError::Undecided => Self::new(
                Unavailable,
                "ACCESS_UNDECIDED",
                "Call again later; if it stays so, ask the operator to look in the service's log.",
            )
            .retry(LATER),
        }
    }

    /// What one problem means.
    pub(crate) fn of_cause(cause: &Cause) -> Self {
        use Code::*;
        match cause {
            // The same request can never succeed.
            Cause::Invalid(_) => {
                Self::new(InvalidArgument, "INVALID_FIELD", "Change it and call again; nothing was changed.")
            }
            // Nobody may ever have it, whatever they are granted.
            Cause::Reserved { id, .. } => Self::new(
                InvalidArgument,
                "NAME_RESERVED",
                "Choose another name; the operator says with synced_secrets.reserved_names and synced_secrets.free_names which are.",
            )
            .about("syncedSecrets", id),
            Cause::NoSyncedSecret(id) => Self::new(
                NotFound,
                "SYNCED_SECRET_NOT_FOUND",
                "Look with ListSyncedSecrets for what there is, or create it.",
            )
            .about("syncedSecrets", id),
            Cause::Rebuilding => Self::new(
                Unavailable,
                "DATABASE_REBUILDING",
                "Call again in some seconds; if it stays so, ask the operator whether the cluster answers the service.",
            )
            .retry(LATER),
            Cause::SyncedSecretExists(id) => Self::new(
                AlreadyExists,
                "SYNCED_SECRET_EXISTS",
                "Change it with UpdateSyncedSecret, or choose another id.",
            )
            .about("syncedSecrets", id),
            Cause::Unmanaged(id) => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_UNMANAGED",
                "Take it over with AdoptSyncedSecret first, or change it with the tool that made it.",
            )
            .about("syncedSecrets", id),
            Cause::Owned { id, .. } => Self::new(
                FailedPrecondition,
                "SECRET_OWNED",
                "Delete its owner first, leaving the Secret, or go on with the tool that made it.",
            )
            .about("syncedSecrets", id),
            // Its state stands in the way, and will change without the caller: a retry loop is not the answer, a look is.
            Cause::Deleting(id) => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_DELETING",
                "Wait until GetSyncedSecret answers NOT_FOUND, then call again.",
            )
            .about("syncedSecrets", id),
            Cause::InUse { id, .. } => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_IN_USE",
                "Take the name out of what uses it, or delete with `force`; ListSecretUsages shows all that uses it.",
            )
            .about("syncedSecrets", id),
            Cause::KeyInUse { id, .. } => Self::new(
                FailedPrecondition,
                "KEY_IN_USE",
                "Keep the key, or first let what uses it name another one; ListSecretUsages shows all that uses it.",
            )
            .about("syncedSecrets", id),
            Cause::UsagesUnknown { gap, may_force } => Self::of_gap(gap, *may_force),
            Cause::VaultSecretExists(name) => Self::new(
                AlreadyExists,
                "VAULT_SECRET_EXISTS",
                "Refer to it without `create`, add a version with AddVaultSecretVersion, or choose another name.",
            )
            .about("vaultSecrets", name),
            // A race that someone else may be winning.
            Cause::Unverified { name, .. } => Self::new(
                Unavailable,
                "CREATION_UNVERIFIED",
                "Call again with the same request_id and value: the service then finds out who was first.",
            )
            .about("vaultSecrets", name)
            .retry(LATER),
            Cause::BeingCreated(name) => Self::new(
                Aborted,
                "VAULT_SECRET_BEING_CREATED",
                "Call again when that call has ended, and see who was first.",
            )
            .about("vaultSecrets", name)
            .retry(SOON),
            Cause::Expired { name, .. } => Self::new(
                FailedPrecondition,
                "VAULT_SECRET_EXPIRED",
                "Add a version with AddVaultSecretVersion, or refer to one that has not expired.",
            )
            .about("vaultSecrets", name),
            // The vault's value is what it is; another value or another encoding would do.
            Cause::NotEncoded(name, _) => Self::new(
                FailedPrecondition,
                "VALUE_NOT_IN_ENCODING",
                "Name the encoding that the value is in, or store it in this one.",
            )
            .about("vaultSecrets", name),
            Cause::Vault(error) => Self::of_vault(error),
            Cause::Edge(error) => Self::of_edge(error),
        }
    }

    /// What may be hidden may be in use.
    fn of_gap(gap: &Gap, may_force: bool) -> Self {
        let remedy = match may_force {
            true => format!("{} Or delete with `force`, whatever uses it.", gap.remedy()),
            false => gap.remedy(),
        };
        match gap.is_for_good() {
            true => Self::new(Code::FailedPrecondition, "USAGES_UNKNOWN", remedy),
            false => Self::new(Code::Unavailable, "USAGES_NOT_YET_KNOWN", remedy).retry(LATER),
        }
    }

    fn of_vault(error: &VaultError) -> Self {
        use Code::*;
        let new = |code, reason| Self::new(code, reason, error.remedy());
        match error {
            // "Secure settings missing": only the operator can mend it.
            VaultError::Configuration(_) => new(FailedPrecondition, "VAULT_CONFIGURATION"),
            VaultError::NotFound { name } => {
                new(NotFound, "VAULT_SECRET_NOT_FOUND").about("vaultSecrets", name)
            }
            VaultError::VersionNotFound { name, version } => {
                let version = format!("{name}/versions/{version}");
                new(NotFound, "VAULT_VERSION_NOT_FOUND").about("vaultSecrets", version)
            }
            VaultError::Disabled { name, .. } => {
                new(FailedPrecondition, "VAULT_SECRET_DISABLED").about("vaultSecrets", name)
            }
            // Neither there nor free: someone must recover or purge it, or the vault must finish.
            VaultError::SoftDeleted { name, being_deleted: false } => {
                new(FailedPrecondition, "VAULT_SECRET_SOFT_DELETED").about("vaultSecrets", name)
            }
            VaultError::SoftDeleted { name, being_deleted: true } => {
                new(FailedPrecondition, "VAULT_SECRET_BEING_DELETED").about("vaultSecrets", name)
            }
            // The service's rights, not the caller's; the message and the reason say so.
            VaultError::Forbidden { .. } => new(PermissionDenied, "VAULT_FORBIDDEN"),
            VaultError::Firewall => new(PermissionDenied, "VAULT_FIREWALL"),
            // UNAUTHENTICATED would send callers to renew their own credentials.
            VaultError::Unauthenticated(_) => new(Unavailable, "VAULT_UNAUTHENTICATED").retry(LATER),
            VaultError::Throttled { .. } => {
                new(ResourceExhausted, "VAULT_THROTTLED").retry(error.retry_after().unwrap_or(THROTTLED))
            }
            VaultError::QueueFull => new(ResourceExhausted, "VAULT_TOO_MANY_WAIT").retry(SOON),
            VaultError::Rejected { status: 400 | 413, .. } => new(InvalidArgument, "VAULT_REJECTED"),
            VaultError::Rejected { .. } => new(FailedPrecondition, "VAULT_REJECTED"),
            VaultError::NotLeader => new(Unavailable, "NOT_LEADER").retry(LATER),
            VaultError::Unreachable(_) => new(Unavailable, "VAULT_UNREACHABLE").retry(LATER),
            // DEADLINE_EXCEEDED is the caller's deadline; this one was ours.
            VaultError::Timeout { .. } => new(Unavailable, "VAULT_TIMEOUT").retry(LATER),
            VaultError::Malformed(_) => new(Unavailable, "VAULT_ANSWER_MALFORMED").retry(LATER),
        }
    }

    fn of_edge(error: &EdgeError) -> Self {
        use Code::*;
        let new = |code, reason| Self::new(code, reason, error.remedy());
        match error {
            EdgeError::Configuration(_) => new(FailedPrecondition, "EDGE_CONFIGURATION"),
            // The id is taken at the edge by what isn't ours; the remedy is to adopt it.
            EdgeError::Conflict { name, .. } => {
                new(AlreadyExists, "EDGE_CONFLICT").about("syncedSecrets", name)
            }
            EdgeError::Terminating { name, .. } => {
                new(FailedPrecondition, "EDGE_TERMINATING").about("syncedSecrets", name)
            }
            EdgeError::SettingMissing { .. } => new(FailedPrecondition, "SETTING_MISSING"),
            // It may end at any time; whoever calls the address that all processes share finds the next one.
            EdgeError::NotLeading { holder } => {
                Self { holder: Some(holder.clone()), ..new(Unavailable, "NOT_LEADER") }.retry(LATER)
            }
            EdgeError::Changed(_) => new(Aborted, "EDGE_CHANGED").retry(SOON),
            // The service's rights, not the caller's.
            EdgeError::Forbidden(_) => new(PermissionDenied, "EDGE_FORBIDDEN"),
            EdgeError::Unauthenticated(_) => new(Unavailable, "EDGE_UNAUTHENTICATED").retry(LATER),
            EdgeError::NamespaceMissing(_) => new(FailedPrecondition, "EDGE_NAMESPACE_MISSING"),
            EdgeError::NotServed { .. } | EdgeError::NotFound(_) => {
                new(FailedPrecondition, "EDGE_RESOURCE_MISSING")
            }
            EdgeError::Throttled(after) => {
                new(ResourceExhausted, "EDGE_THROTTLED").retry(after.unwrap_or(LATER))
            }
            EdgeError::TooLarge => new(InvalidArgument, "SECRET_TOO_LARGE"),
            EdgeError::Rejected(_) => new(InvalidArgument, "EDGE_REJECTED"),
            EdgeError::Unreachable(_) => new(Unavailable, "EDGE_UNREACHABLE").retry(LATER),
            EdgeError::Timeout(_) => new(Unavailable, "EDGE_TIMEOUT").retry(LATER),
        }
    }

    fn of_store(error: &StoreError) -> Self {
        use Code::*;
        match error {
            // Lost races that the use cases did not name: the caller looks again.
            StoreError::AlreadyExists
            | StoreError::NotFound
            | StoreError::Stale
            | StoreError::RequestRecorded => {
                Self::new(Aborted, "CHANGED_MEANWHILE", "Look at what it is now, then call again.")
                    .retry(SOON)
            }
            StoreError::RequestIdReused => Self::of(&Error::RequestIdReused),
            StoreError::RequestOfAnotherHistory => Self::of(&Error::RequestOfAnotherHistory),
            StoreError::Stopping => {
                Self::new(Unavailable, "STOPPING", "Call again when the service is back.").retry(LATER)
            }
            error if error.is_busy() => Self::new(
                Unavailable,
                "DATABASE_BUSY",
                "Call again; if it stays so, find the other process that holds the database.",
            )
            .retry(SOON),
            StoreError::Corrupt { .. } => Self::of_fault(StoreFault::Corrupt),
            StoreError::Newer { .. } => Self::new(
                Internal,
                "DATABASE_NEWER",
                "Permission the operator to run the release that made the database, or to go back to a backup of this one with \
                 `secret-service restore FILE`.",
            ),
            error => Self::of_fault(error.fault().unwrap_or(StoreFault::Disk)),
        }
    }

    /// Nothing that a caller could change; the log says what an operator must look at.
    fn of_fault(fault: StoreFault) -> Self {
        use Code::*;
        match fault {
            StoreFault::Full => Self::new(
                ResourceExhausted,
                "DATABASE_FULL",
                "Free space on the disk that holds the database; what was recorded before is safe.",
            )
            .retry(LATER),
            StoreFault::ReadOnly => Self::new(
                Unavailable,
                "DATABASE_READ_ONLY",
                "Permission the operator to let the service write the database file and its directory; what was recorded before is safe.",
            )
            .retry(LATER),
            StoreFault::Lost => Self::new(
                Unavailable,
                "DATABASE_LOST",
                "Call again when the service has started anew, with the file that is there now.",
            )
            .retry(LATER),
            StoreFault::Corrupt => Self::new(
                Internal,
                "DATABASE_CORRUPT",
                "Permission the operator to stop the service and to put a backup in place with `secret-service restore FILE`, or to move the \
                 damaged file away: the next start makes a new one from what the edge holds, and `secret-service rebuild --dry-run` says what \
                 that is.",
            ),
            StoreFault::Disk => Self::new(
                Internal,
                "DATABASE_FAILED",
                "Permission the operator to look in the service's log and to check the disk that holds the database.",
            ),
        }
    }
}

/// How a Role grants something on one of a collection.
fn narrowed(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; with resourceNames: [{name:?}] for this one alone"))
}

fn internal() -> Verdict {
    Verdict::new(
        Code::Internal,
        "INTERNAL",
        "Call again; if it stays so, ask the operator to look in the service's log.",
    )
}
