//! A synced secret with what the service remembers about its Kubernetes Secret.

use tokio::time::Instant;

pub use crate::model::{Delegation, EdgeRecord};
use crate::model::{SyncEngine, SyncedSecret, VaultSecretName};

/// A row of `synced_secrets` with its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What callers see.
    pub secret: SyncedSecret,
    /// The engine that writes its Kubernetes Secret.
    pub engine: SyncEngine,
    /// The last known Kubernetes Secret.
    pub edge: EdgeRecord,
    /// The last sync that was delegated to the Secret Store extension; absent with the direct engine.
    pub delegation: Option<Delegation>,
    /// Number of "Sync now" requests.
    pub sync_requests: i64,
    /// The number of the last "Sync now" request that an attempt answered.
    pub synced_requests: i64,
    /// The uid of another tool's SecretSync that is being adopted.
    pub adopted: Option<String>,
    /// Whether it is removed even if something uses it.
    pub delete_forced: bool,
    /// When the last call for it began: an older observation does not answer that call. Not persisted: after
    /// a restart, no call waits any more.
    pub requested_at: Option<Instant>,
}

impl Record {
    /// Notes a call that began at this time.
    pub fn note_request(&mut self, begun: Instant) {
        self.requested_at = self.requested_at.max(Some(begun));
    }

    /// The vault secrets whose latest version it follows.
    pub fn followed(&self) -> impl Iterator<Item = &VaultSecretName> {
        let followed = self.secret.references.iter().filter(|reference| reference.version.is_none());
        followed.map(|reference| &reference.vault_secret)
    }

    /// A new record.
    pub fn new(secret: SyncedSecret, engine: SyncEngine) -> Self {
        let (edge, delegation) = (EdgeRecord::default(), None);
        Self {
            secret,
            engine,
            edge,
            delegation,
            sync_requests: 0,
            synced_requests: 0,
            adopted: None,
            delete_forced: false,
            requested_at: None,
        }
    }
}
