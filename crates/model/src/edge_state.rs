//! What the service remembers about a synced secret at the edge, for both engines.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReferenceStatus;

/// The Kubernetes Secret as of the last write or read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeRecord {
    /// Its uid in Kubernetes; absent until it is first written.
    pub uid: Option<String>,
    /// Its `resourceVersion`.
    pub resource_version: Option<String>,
    /// Keyed digest of the content that was written.
    pub digest: Option<Vec<u8>>,
}

/// A sync that was delegated to the Secret Store extension, and what to record when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The generation of the synced secret.
    pub generation: i64,
    /// The "Sync now" that it answers.
    pub requests: i64,
    /// When it was delegated, for display.
    pub time: Timestamp,
    /// When it was delegated, for measuring: time since the start of this process. Absent if an earlier
    /// process delegated it.
    #[serde(skip)]
    pub delegated_at: Option<Duration>,
    /// `metadata.generation` of the SecretSync and of its class after the write: a higher one means that
    /// someone else wrote it.
    pub sync_generation: i64,
    /// See `sync_generation`.
    pub class_generation: i64,
    /// `status.syncHash` before the write: it changes when the extension is done.
    pub hash_before: String,
    /// The status of the references once it is done.
    pub statuses: Vec<ReferenceStatus>,
    /// Whether the extension's answer is not recorded yet.
    pub open: bool,
    /// `metadata.uid` of the SecretSync and of its class; absent if an earlier release wrote them.
    #[serde(default)]
    pub sync_uid: Option<String>,
    /// See `sync_uid`.
    #[serde(default)]
    pub class_uid: Option<String>,
    /// How often the extension was triggered again because it did not react.
    #[serde(default)]
    pub nudges: u32,
    /// How often the extension was triggered again because it failed. Reset by a restart, which usually
    /// follows a repair.
    #[serde(skip)]
    pub failures: u32,
}
