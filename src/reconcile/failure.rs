//! Converts errors of the vault, and unreadable uses, into failures of a reconciliation.

use crate::{
    edge::{
        Gap,
        engine::{Failure, Retry},
    },
    explain::{Explain as _, explanation},
    model::Reason,
    vault::VaultError,
};

/// The uses of a synced secret can't be seen, so it can't be removed.
pub(super) fn unlisted_failure(gap: &Gap) -> Failure {
    let message = explanation(&format!("what uses it can't be seen: {gap}"), &gap.remedy());
    match &gap.error {
        Some(error) => Failure { message, ..error.into() },
        None => Failure { reason: Reason::Pending, message, problems: Vec::new(), retry: Retry::Soon(None) },
    }
}

/// The earlier of two retries: if one reference may recover by itself, retry soon.
pub(super) fn vault_retry(error: &VaultError, other: Retry) -> Retry {
    match (error.is_transient(), other) {
        _ if matches!(error, VaultError::QueueFull) => Retry::Unread,
        (_, Retry::Unread) => Retry::Unread,
        (false, other) => other,
        (true, Retry::Soon(at_least)) => Retry::Soon(at_least.max(error.retry_after())),
        (true, Retry::After(_) | Retry::Later) => Retry::Soon(error.retry_after()),
    }
}

pub(super) fn explain(error: &VaultError) -> String {
    error.explained()
}
