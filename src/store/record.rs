//! A synced secret together with what the service remembers of its Kubernetes Secret.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{ReferenceStatus, SyncEngine, SyncedSecret, VaultSecretName};

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
    /// When, to measure with: by this process's clock, and absent where an earlier process gave it.
    #[serde(skip)]
    pub told: Option<Instant>,
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
