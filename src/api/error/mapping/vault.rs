//! The mapping of errors of the vault.

use std::time::Duration;

use tonic::Code;

use super::{ErrorMapping, RETRY_LATER, RETRY_SOON};
use crate::{explain::Explain, secrets::VaultError};

/// The window over which Key Vault counts calls.
const RETRY_AFTER_THROTTLING: Duration = Duration::from_secs(10);

impl ErrorMapping {
    pub(super) fn of_vault(error: &VaultError) -> Self {
        use Code::*;
        let new = |code, reason| Self::new(code, reason, error.remedy());
        match error {
            // Only the operator can fix it.
            VaultError::Configuration(_) => new(FailedPrecondition, "VAULT_CONFIGURATION"),
            VaultError::NotFound { name, .. } => {
                new(NotFound, "VAULT_SECRET_NOT_FOUND").about("vaultSecrets", name)
            }
            // Unlike VAULT_SECRET_SOFT_DELETED, the caller asked for the secret, not for its name.
            VaultError::Deleted { name, .. } => {
                new(NotFound, "VAULT_SECRET_DELETED").about("vaultSecrets", name)
            }
            VaultError::VersionNotFound { name, version } => {
                let version = format!("{name}/versions/{version}");
                new(NotFound, "VAULT_VERSION_NOT_FOUND").about("vaultSecrets", version)
            }
            VaultError::Disabled { name, .. } => {
                new(FailedPrecondition, "VAULT_SECRET_DISABLED").about("vaultSecrets", name)
            }
            // The name is not free: someone must recover or purge it, or the vault must finish the deletion.
            VaultError::SoftDeleted { name, being_deleted: false } => {
                new(FailedPrecondition, "VAULT_SECRET_SOFT_DELETED").about("vaultSecrets", name)
            }
            VaultError::SoftDeleted { name, being_deleted: true } => {
                new(FailedPrecondition, "VAULT_SECRET_BEING_DELETED").about("vaultSecrets", name)
            }
            VaultError::Managed { name } => {
                new(FailedPrecondition, "VAULT_SECRET_MANAGED").about("vaultSecrets", name)
            }
            // The service lacks the permission, not the caller; the message and the reason say so.
            VaultError::Forbidden { .. } => new(PermissionDenied, "VAULT_FORBIDDEN"),
            VaultError::Firewall => new(PermissionDenied, "VAULT_FIREWALL"),
            // UNAUTHENTICATED would make callers renew their own credentials.
            VaultError::Unauthenticated(_) => new(Unavailable, "VAULT_UNAUTHENTICATED").retry(RETRY_LATER),
            VaultError::Throttled { .. } => new(ResourceExhausted, "VAULT_THROTTLED")
                .retry(error.retry_after().unwrap_or(RETRY_AFTER_THROTTLING)),
            VaultError::QueueFull => new(ResourceExhausted, "VAULT_TOO_MANY_WAIT").retry(RETRY_SOON),
            VaultError::Rejected { status: 400 | 413, .. } => new(InvalidArgument, "VAULT_REJECTED"),
            VaultError::Rejected { .. } => new(FailedPrecondition, "VAULT_REJECTED"),
            VaultError::NotLeader => new(Unavailable, "NOT_LEADER").retry(RETRY_LATER),
            VaultError::Unreachable(_) => new(Unavailable, "VAULT_UNREACHABLE").retry(RETRY_LATER),
            // DEADLINE_EXCEEDED would mean the caller's deadline; this one is ours.
            VaultError::Timeout { .. } => new(Unavailable, "VAULT_TIMEOUT").retry(RETRY_LATER),
            VaultError::Intercepted(_) | VaultError::Malformed(_) => {
                new(Unavailable, "VAULT_ANSWER_MALFORMED").retry(RETRY_LATER)
            }
        }
    }
}
