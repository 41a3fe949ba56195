//! How an attempt fails: the reason in the condition, and the message for who reads it.

use super::conditions::Reason;

/// Why a SecretSync was not brought to its Secret. The message holds no value.
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
