//! The failure of an attempt: the reason of the condition, and its message.

use super::conditions::Reason;

/// Why a SecretSync was not synced. The message contains no value.
#[derive(Debug, thiserror::Error)]
#[error("{}: {message}", reason.as_str())]
pub(super) struct Failure {
    pub reason: Reason,
    pub message: String,
}

impl Failure {
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
