//! The record of who did what, when, with which result.

use jiff::Timestamp;

/// One line of history. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// Grows with every event.
    pub sequence: i64,
    /// When it was recorded.
    pub event_time: Timestamp,
    /// Who acted: a caller, or `sync` for the service itself.
    pub actor: String,
    /// What was done: the RPC, or `Rotated`, `DriftRepaired`, `Synced` …
    pub action: String,
    /// Resource name, for example `syncedSecrets/edp1secrets`.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
    /// The caller's request id; empty where none.
    pub request_id: String,
}

/// `OK`, or the canonical gRPC code in words, for example `ALREADY_EXISTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome(pub String);

impl Outcome {
    /// It was done.
    pub fn ok() -> Self {
        Self("OK".to_owned())
    }
}
