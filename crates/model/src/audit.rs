//! Audit events: who did what, when, with which result. Each event is chained to the one before it.

mod action;
mod chain;

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NameError;
pub use action::AuditAction;
pub use chain::{Anchor, ChainAnchors, ChainError, ChainWalk};

/// Prefix of the hashed content, so that no other format of events has the same hash.
const FORMAT: &[u8] = b"secret-service audit 2";
/// The same for events of releases that had a single chain.
const SINGLE_CHAIN_FORMAT: &[u8] = b"secret-service audit 1";

/// An audit event. Never holds a value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Increases by one with each event.
    pub sequence: i64,
    /// When it was recorded, to the microsecond.
    pub event_time: Timestamp,
    /// Who acted: a caller, or `sync` for the service itself.
    pub actor: String,
    /// What was done.
    pub action: AuditAction,
    /// Resource name, for example `syncedSecrets/edp1secrets`.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
    /// The caller's request id; empty if none.
    pub request_id: String,
}

/// The two chains of the audit. Their events share one sequence, and each chain prunes its own oldest events,
/// so that denied calls never push out changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// What was done.
    #[default]
    Changes,
    /// Denied calls.
    Denials,
}

/// An event and its place in its chain: a line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// Where it stands.
    #[serde(flatten)]
    pub link: Link,
    /// Its hash over the event and the link.
    pub hash: AuditHash,
}

/// The place of an event in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// In which chain.
    #[serde(default, skip_serializing_if = "Chain::is_changes")]
    pub chain: Chain,
    /// The hash of the event before it in its chain.
    pub previous_hash: AuditHash,
    /// The hash of the newest event of the other chain, so that an anchor in one chain proves both. Absent in
    /// events of releases that had a single chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside_hash: Option<AuditHash>,
}

/// The hash that chains events: SHA-256 over the place of an event and its fields, each prefixed with its
/// length.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AuditHash(pub [u8; 32]);

/// `OK`, or the canonical gRPC code in words, for example `ALREADY_EXISTS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcome(pub String);

// === impl Outcome ===

impl Outcome {
    /// It was done.
    pub fn ok() -> Self {
        Self("OK".to_owned())
    }
}

// === impl AuditEvent ===

impl AuditEvent {
    /// The hash of the event at this place.
    pub fn hash(&self, link: &Link) -> AuditHash {
        let mut context = Context::new(&SHA256);
        match (link.chain, &link.beside_hash) {
            (Chain::Changes, None) => context.update(SINGLE_CHAIN_FORMAT),
            (chain, beside) => {
                context.update(FORMAT);
                context.update(&[chain as u8]);
                context.update(&beside.unwrap_or(AuditHash::START).0);
            }
        }
        context.update(&link.previous_hash.0);
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.event_time.as_microsecond().to_be_bytes());
        let Self { actor, action, resource, outcome, detail, request_id, .. } = self;
        for text in [actor, action.as_str(), resource, &outcome.0, detail, request_id] {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        AuditHash(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

// === impl AuditHash ===

impl AuditHash {
    /// The hash before the first event.
    pub const START: Self = Self([0; 32]);
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditHash {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map_err(|_| NameError::new("a hash has 64 hexadecimal digits"))?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for AuditHash {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<AuditHash> for String {
    fn from(hash: AuditHash) -> Self {
        hash.to_string()
    }
}

// === impl Chain ===

impl Chain {
    /// The name in exports and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Denials => "denials",
        }
    }

    fn is_changes(&self) -> bool {
        *self == Self::Changes
    }
}

#[cfg(test)]
mod tests;
