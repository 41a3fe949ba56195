//! What the service remembers of a synced secret at the edge, whichever engine writes it.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReferenceStatus;

/// The Kubernetes Secret as of the last write or look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeRecord {
    /// The uid that Kubernetes gave it; absent while it was never written.
    pub uid: Option<String>,
    /// Its version.
    pub resource_version: Option<String>,
    /// Keyed digest of the content that was written.
    pub digest: Option<Vec<u8>>,
}

/// What the Secret Store extension was given to do, and what there is to record once it has done it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// The generation of what was asked for.
    pub generation: i64,
    /// The "Sync now" that it answers.
    pub requests: i64,
    /// When, to show.
    pub time: Timestamp,
    /// The uptime of this process at the write, to measure with. Absent if an earlier process wrote it.
    #[serde(skip)]
    pub uptime: Option<Duration>,
    /// `metadata.generation` of the SecretSync and of its class after the write: a higher one was written by someone else.
    pub sync_generation: i64,
    /// See `sync_generation`.
    pub class_generation: i64,
    /// `status.syncHash` before the write: it changes when the extension has done it.
    pub hash_before: String,
    /// What the references hold once it has.
    pub statuses: Vec<ReferenceStatus>,
    /// Whether the extension's answer is not recorded yet.
    pub open: bool,
    /// `metadata.uid` of the SecretSync and of its class; absent where they were written before this was remembered.
    #[serde(default)]
    pub sync_uid: Option<String>,
    /// See `sync_uid`.
    #[serde(default)]
    pub class_uid: Option<String>,
    /// How often the extension was told again because it left this alone.
    #[serde(default)]
    pub nudges: u32,
    /// How often the extension was told again because it had failed at this. A new process begins anew: whoever starts it has mended something.
    #[serde(skip)]
    pub failures: u32,
}
