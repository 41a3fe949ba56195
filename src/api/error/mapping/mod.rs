//! What each error means to a caller: the gRPC code, a stable reason, what to do, and when to retry.

mod access;
mod edge;
mod store;
mod vault;

use std::time::Duration;

use tonic::Code;

use crate::{
    explain::Explain,
    secrets::{Cause, Error, Gap},
};

/// For a call that lost a race.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// For what must recover by itself: a network, a vault, a cluster.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// What a caller gets of an error besides its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrorMapping {
    pub(crate) code: Code,
    /// UPPER_SNAKE_CASE, and stable: programs decide by it.
    pub(crate) reason: &'static str,
    /// One sentence: what to do. Clients show the last sentence of a message as the remedy.
    pub(crate) remedy: String,
    /// The name of the resource, if the error says which.
    pub(crate) resource: Option<String>,
    /// The leader, if it is another process.
    pub(crate) holder: Option<String>,
    /// After how long to retry, if waiting may help.
    pub(crate) retry: Option<Duration>,
}

// === impl ErrorMapping ===

impl ErrorMapping {
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

    /// The problem with the lowest rank decides the code of the whole call. First come problems that only
    /// another request solves, then those that someone must solve elsewhere, last those that solve
    /// themselves: a program must not retry while another problem is permanent.
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
            Code::Unavailable => 10,
            _ => 11,
        }
    }

    /// The mapping of an error; that of [`Error::Refused`] is the one of its decisive problem.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Refused(problems) => problems
                .iter()
                .map(|problem| Self::of_cause(&problem.cause))
                .min_by_key(Self::rank)
                .unwrap_or_else(internal),
            Error::Stale(_) => Self::new(
                Code::Aborted,
                "CHANGED_MEANWHILE",
                "Get it again, and repeat the change on the current state.",
            ),
            // A mistake of the caller; waiting does not help.
            Error::RequestIdReused => Self::new(
                Code::InvalidArgument,
                "REQUEST_ID_REUSED",
                "Use a new UUID for each request, and the same one only for its retries.",
            ),
            // The database was restored, so nothing is known of what the first call did.
            Error::RequestOfAnotherHistory => Self::new(
                Code::Aborted,
                "REQUEST_OF_ANOTHER_HISTORY",
                "Look at the current state, then use a new request_id.",
            ),
            // The first call decides the answer of both.
            Error::InProgress => Self::new(
                Code::Aborted,
                "REQUEST_IN_PROGRESS",
                "Retry with the same request_id when it has ended.",
            )
            .retry(RETRY_SOON),
            Error::TooOld => Self::new(
                Code::OutOfRange,
                "RESUME_TOKEN_OUT_OF_RANGE",
                "Watch again without a resume_token; the initial state comes first.",
            ),
            Error::Store(error) => Self::of_store(error),
            Error::Internal => internal(),
        }
    }

    /// The mapping of one problem.
    pub(crate) fn of_cause(cause: &Cause) -> Self {
        use Code::*;
        match cause {
            // The same request can never succeed.
            Cause::Invalid(_) => {
                Self::new(InvalidArgument, "INVALID_FIELD", "Fix the field and retry; nothing was changed.")
            }
            // No caller may use it, whatever its permissions.
            Cause::Reserved { id, .. } => Self::new(
                InvalidArgument,
                "NAME_RESERVED",
                "Choose another name; the operator configures reserved names in synced_secrets.reserved_names and synced_secrets.free_names.",
            )
            .about("syncedSecrets", id),
            Cause::Output { id, .. } => Self::new(
                FailedPrecondition,
                "SECRET_WRITTEN_BY_ANOTHER",
                "Choose another name, or let that resource name another Secret first.",
            )
            .about("syncedSecrets", id),
            Cause::NoSyncedSecret(id) => Self::new(
                NotFound,
                "SYNCED_SECRET_NOT_FOUND",
                "Find existing ones with ListSyncedSecrets, or create it.",
            )
            .about("syncedSecrets", id),
            Cause::Rebuilding => Self::new(
                Unavailable,
                "DATABASE_REBUILDING",
                "Retry in a few seconds; if this continues, ask the operator whether the service can reach the cluster.",
            )
            .retry(RETRY_LATER),
            Cause::SyncedSecretExists(id) => Self::new(
                AlreadyExists,
                "SYNCED_SECRET_EXISTS",
                "Change it with UpdateSyncedSecret, or choose another id.",
            )
            .about("syncedSecrets", id),
            Cause::Unmanaged(id) => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_UNMANAGED",
                "Adopt it with AdoptSyncedSecret first, or change it with the tool that created it.",
            )
            .about("syncedSecrets", id),
            Cause::Owned { id, .. } => Self::new(
                FailedPrecondition,
                "SECRET_OWNED",
                "Delete its owner without the Secret first, or keep using the tool that created it.",
            )
            .about("syncedSecrets", id),
            // FAILED_PRECONDITION and not UNAVAILABLE: the caller should look at its state, not retry in a
            // loop.
            Cause::Deleting(id) => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_DELETING",
                "Wait until GetSyncedSecret returns NOT_FOUND, then retry.",
            )
            .about("syncedSecrets", id),
            Cause::InUse { id, .. } => Self::new(
                FailedPrecondition,
                "SYNCED_SECRET_IN_USE",
                "Remove the name from the resources that use it, or delete it with `force`; ListSecretUsages lists them.",
            )
            .about("syncedSecrets", id),
            Cause::KeyInUse { id, .. } => Self::new(
                FailedPrecondition,
                "KEY_IN_USE",
                "Keep the key, or change the resources that use it first; ListSecretUsages lists them.",
            )
            .about("syncedSecrets", id),
            Cause::NoReference { id, .. } => Self::new(
                NotFound,
                "REFERENCE_NOT_FOUND",
                "Look at its references with GetSyncedSecret; nothing was changed.",
            )
            .about("syncedSecrets", id),
            Cause::UsagesUnknown { gap, may_force } => Self::of_gap(gap, *may_force),
            Cause::SecretsUnknown => Self::new(
                Unavailable,
                "SECRETS_NOT_YET_KNOWN",
                "Retry in a few seconds; if this continues, ask the operator whether the service can reach the cluster.",
            )
            .retry(RETRY_LATER),
            Cause::VaultSecretExists(name) => Self::new(
                AlreadyExists,
                "VAULT_SECRET_EXISTS",
                "Refer to it without `create`, add a version with AddVaultSecretVersion, or choose another name.",
            )
            .about("vaultSecrets", name),
            // Another caller may be creating it at the same time.
            Cause::Unverified { name, .. } => Self::new(
                Unavailable,
                "CREATION_UNVERIFIED",
                "Retry with the same request_id and value; the service then finds out which creation succeeded.",
            )
            .about("vaultSecrets", name)
            .retry(RETRY_LATER),
            Cause::BeingCreated(name) => Self::new(
                Aborted,
                "VAULT_SECRET_BEING_CREATED",
                "Retry when that call has ended.",
            )
            .about("vaultSecrets", name)
            .retry(RETRY_SOON),
            Cause::NotDeleted(name) => Self::new(
                FailedPrecondition,
                "VAULT_SECRET_NOT_DELETED",
                "There is nothing to do; read it with GetVaultSecret.",
            )
            .about("vaultSecrets", name),
            Cause::Recovering(name) => Self::new(
                DeadlineExceeded,
                "VAULT_SECRET_BEING_RECOVERED",
                "The vault goes on with it; retry with the same request_id to wait for it.",
            )
            .about("vaultSecrets", name),
            Cause::Expired { name, .. } => Self::new(
                FailedPrecondition,
                "VAULT_SECRET_EXPIRED",
                "Add a version with AddVaultSecretVersion, or refer to one that has not expired.",
            )
            .about("vaultSecrets", name),
            // Another value or another encoding solves it.
            Cause::NotEncoded { name, .. } => Self::new(
                FailedPrecondition,
                "VALUE_NOT_IN_ENCODING",
                "Use the encoding of the value, or store the value in this encoding.",
            )
            .about("vaultSecrets", name),
            Cause::NotCertificate { name, .. } => Self::new(
                FailedPrecondition,
                "VALUE_NOT_A_CERTIFICATE",
                "Refer to a vault secret that has this part, or take another part.",
            )
            .about("vaultSecrets", name),
            Cause::Vault(error) => Self::of_vault(error),
            Cause::Edge(error) => Self::of_edge(error),
        }
    }

    /// A usage may exist where the service could not look.
    fn of_gap(gap: &Gap, may_force: bool) -> Self {
        let remedy = match may_force {
            true => format!("{}, or set `force` to delete it anyway.", gap.remedy().trim_end_matches('.')),
            false => gap.remedy(),
        };
        match gap.is_for_good() {
            true => Self::new(Code::FailedPrecondition, "USAGES_UNKNOWN", remedy),
            false => Self::new(Code::Unavailable, "USAGES_NOT_YET_KNOWN", remedy).retry(RETRY_LATER),
        }
    }
}

fn internal() -> ErrorMapping {
    ErrorMapping::new(
        Code::Internal,
        "INTERNAL",
        "Retry; if this continues, ask the operator to look at the service's log.",
    )
}
