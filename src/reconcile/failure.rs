//! What the vault's errors, and what can't be seen of uses, mean for an attempt.

use crate::{
    edge::{
        Gap,
        engine::{Failure, Retry, sentence},
    },
    model::Reason,
    vault::VaultError,
};

/// What is to be removed may be in use, for all that can be seen.
pub(super) fn unseen_failure(gap: &Gap) -> Failure {
    let message = sentence(&format!("what uses it can't be seen: {gap}"), &gap.remedy());
    match &gap.error {
        Some(error) => Failure { message, ..error.into() },
        None => Failure { reason: Reason::Pending, message, problems: Vec::new(), retry: Retry::Soon(None) },
    }
}

/// The sooner of two: one reference that may mend itself is worth a try.
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
    sentence(&error.to_string(), &error.remedy())
}
