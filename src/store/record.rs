//! A synced secret together with what the service remembers of its Kubernetes Secret.

use tokio::time::Instant;

pub use crate::model::{EdgeRecord, Handed};
use crate::model::{SyncEngine, SyncedSecret, VaultSecretName};

/// A row of `synced_secrets` with its references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What callers see.
    pub secret: SyncedSecret,
    /// Who writes its Kubernetes Secret.
    pub engine: SyncEngine,
    /// What was last written to, or seen at, the edge.
    pub edge: EdgeRecord,
    /// What the Secret Store extension was last given to do; absent in the direct engine.
    pub handed: Option<Handed>,
    /// How often "Sync now" was asked for.
    pub sync_requests: i64,
    /// The "Sync now" that the last attempt answered.
    pub synced_requests: i64,
    /// The uid of a SecretSync of somebody else that is to become ours.
    pub adopted: Option<String>,
    /// Whether it is to be removed although something uses it.
    pub delete_forced: bool,
    /// When the call that asked for it last began: an older observation does not answer that call. Of this process alone:
    /// absent after a start, when nobody waits any more.
    pub asked: Option<Instant>,
}

impl Record {
    /// Notes that a call which began then asks for something.
    pub fn ask(&mut self, begun: Instant) {
        self.asked = self.asked.max(Some(begun));
    }

    /// The vault secrets whose latest version it follows.
    pub fn followed(&self) -> impl Iterator<Item = &VaultSecretName> {
        let followed = self.secret.references.iter().filter(|reference| reference.version.is_none());
        followed.map(|reference| &reference.vault_secret)
    }

    /// A synced secret that has just been asked for.
    pub fn new(secret: SyncedSecret, engine: SyncEngine) -> Self {
        let (edge, handed) = (EdgeRecord::default(), None);
        Self {
            secret,
            engine,
            edge,
            handed,
            sync_requests: 0,
            synced_requests: 0,
            adopted: None,
            delete_forced: false,
            asked: None,
        }
    }
}
