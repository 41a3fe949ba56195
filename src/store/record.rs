//! A synced secret together with what the service remembers of its Kubernetes Secret.

use crate::model::SyncedSecret;

/// A row of `synced_secrets` with its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What callers see.
    pub secret: SyncedSecret,
    /// What was last written to, or seen at, the edge.
    pub edge: EdgeRecord,
    /// How often "Sync now" was asked for.
    pub sync_requests: i64,
    /// The "Sync now" that the last attempt answered.
    pub synced_requests: i64,
}

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

impl Record {
    /// A synced secret that has just been asked for.
    pub fn new(secret: SyncedSecret) -> Self {
        Self { secret, edge: EdgeRecord::default(), sync_requests: 0, synced_requests: 0 }
    }
}
