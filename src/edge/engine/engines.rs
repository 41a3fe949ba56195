//! Both engines of a process, and the queries that concern both.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{
    Digest, Direct, Engine, SecretStore, Target,
    secret_store::{self, CachedSync, ExtensionIdentity, as_synced_secret},
};
use crate::{
    edge::{CachedSecret, Edge, EdgeError, Index, Labelled, Usages},
    model::{EdgeRecord, State, SyncEngine, SyncedSecret},
};

/// Both engines. Cheap to clone.
#[derive(Clone)]
pub struct Engines {
    edge: Edge,
    index: Index,
    direct: Direct,
    secret_store: SecretStore,
}

/// The engines' current settings in the cluster. Reading them scans all classes: do it once for many synced
/// secrets.
pub struct Settings {
    /// The identity that the extension uses for the vault, if known.
    pub(super) identity: Option<ExtensionIdentity>,
}

/// Which kinds of objects have been listed completely.
#[derive(Clone, Copy)]
pub struct Listed {
    secrets: bool,
    syncs: bool,
}

/// The result of removing an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrphanRemoval {
    /// There was none.
    Absent,
    /// It was removed.
    Removed,
    /// Its writer must stop first. Call again after this time.
    Wait(Duration),
}

/// The engine that adopts another tool's Kubernetes Secret in place. If the other engine is chosen, a
/// hand-over follows.
pub const ADOPTING: SyncEngine = SyncEngine::Direct;

/// Whether the engine of this kind needs the values of the references.
pub fn reads_values(kind: SyncEngine) -> bool {
    !is_delegated(kind)
}

/// Whether the Secret Store extension writes the Secrets of this engine.
pub fn is_delegated(kind: SyncEngine) -> bool {
    match kind {
        SyncEngine::Direct => false,
        SyncEngine::SecretStore => true,
    }
}

/// The kind of the object that this service writes in an engine.
pub fn object_kind(kind: SyncEngine) -> &'static str {
    match kind {
        SyncEngine::Direct => "Kubernetes Secret",
        SyncEngine::SecretStore => "SecretSync",
    }
}

// === impl Engines ===

impl Engines {
    /// The engines of a process that works with one vault. `shortest_check` is the shortest time between two
    /// rotation checks.
    pub fn new(
        edge: Edge,
        (index, usages): (Index, Usages),
        options: secret_store::Options,
        vault: Url,
        digest: Digest,
        shortest_check: Duration,
    ) -> Self {
        let direct = Direct::new(edge.clone(), index.clone(), vault.clone(), digest.clone());
        let cluster = (edge.clone(), index.clone(), usages);
        let secret_store = SecretStore::new(cluster, options, vault, digest, shortest_check);
        Self { edge, index, direct, secret_store }
    }

    /// The engine of this kind.
    pub fn of(&self, kind: SyncEngine) -> Engine {
        match kind {
            SyncEngine::Direct => Engine::Direct(self.direct.clone()),
            SyncEngine::SecretStore => Engine::SecretStore(self.secret_store.clone()),
        }
    }

    /// The current settings.
    pub fn settings(&self) -> Settings {
        Settings { identity: self.secret_store.identity().ok() }
    }

    /// The uids in our labels on objects of the namespace.
    pub fn labels(&self) -> impl Iterator<Item = Uuid> {
        let secrets = self.index.labelled().into_iter().map(|secret| secret.label);
        secrets.chain(self.secret_store.pairs().labelled())
    }

    /// The uids in our labels on the objects with this name.
    pub fn labels_of(&self, name: &str) -> impl Iterator<Item = Uuid> {
        self.index.label_of(name).into_iter().chain(self.secret_store.pairs().labels_of(name))
    }

    /// The Secrets and SecretSyncs that carry our label.
    pub fn labelled(&self) -> Vec<Labelled> {
        [self.index.labelled(), self.secret_store.pairs().labelled_syncs()].concat()
    }

    /// The SecretSyncs of other tools, as unmanaged synced secrets.
    pub fn syncs_of_others(&self) -> Vec<(SyncedSecret, SyncEngine)> {
        let (pairs, options) = (self.secret_store.pairs(), self.secret_store.options());
        let syncs = pairs.syncs();
        let seen = syncs.iter().filter_map(|sync| {
            let class = pairs.class(&sync.spec.secret_provider_class_name);
            as_synced_secret(sync, class.as_deref(), &options.vault_name)
        });
        seen.map(|secret| (secret, SyncEngine::SecretStore)).collect()
    }

    /// Notifies of every change of a SecretSync or a class.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.secret_store.pairs().changed()
    }

    /// Notifies when the extension's resources were listed again, or when the extension acts again after a
    /// long silence.
    pub fn relisted(&self) -> watch::Receiver<()> {
        self.secret_store.pairs().listed()
    }

    /// The kinds that have been listed completely. Check it before concluding that an object is missing.
    pub fn listed(&self) -> Listed {
        Listed { secrets: self.index.is_complete(), syncs: self.secret_store.is_listed() }
    }

    /// Waits until the extension's resources are listed, if this engine uses them.
    pub async fn until_listed(&self, kind: SyncEngine) {
        let pairs = self.secret_store.pairs();
        let mut listed = pairs.listed();
        while kind == SyncEngine::SecretStore && !pairs.is_complete() && listed.changed().await.is_ok() {}
    }

    /// Whether the edge has any object with this name.
    pub fn shows(&self, name: &str) -> bool {
        matches!(self.index.get(name), CachedSecret::Present(_))
            || matches!(self.secret_store.pairs().sync(name), CachedSync::Present(_) | CachedSync::Stale(_))
    }

    /// The other engine, if the watch shows an object through which it would still write this Secret.
    pub fn other_writer(&self, kind: SyncEngine, secret: &SyncedSecret) -> Option<Engine> {
        let shows = kind == SyncEngine::Direct
            && secret.state != State::Deleting
            && self.secret_store.pairs().carries(secret.id.as_str(), secret.uid);
        shows.then(|| self.of(SyncEngine::SecretStore))
    }

    /// Whether the extension's kinds are permanently gone from the cluster, together with all its objects.
    pub async fn are_kinds_gone(&self) -> bool {
        self.secret_store.are_kinds_gone().await
    }

    /// Removes the objects of a deleted synced secret from the edge.
    pub async fn remove_orphan(&self, deleted: &SyncedSecret) -> Result<OrphanRemoval, EdgeError> {
        let (id, uid) = (&deleted.id, deleted.uid);
        if !self.secret_store.pairs().carries(id.as_str(), uid) {
            return Ok(match self.edge.remove_orphan(id, uid).await? {
                true => OrphanRemoval::Removed,
                false => OrphanRemoval::Absent,
            });
        }
        let target = Target {
            secret: deleted,
            edge: &EdgeRecord::default(),
            delegation: None,
            sync_requests: 0,
            synced_requests: 0,
            adopted: None,
            cached: CachedSecret::Unknown,
        };
        let removed = self.secret_store.remove(&target).await?;
        Ok(removed.map_or(OrphanRemoval::Removed, OrphanRemoval::Wait))
    }

    /// Watches the extension's resources until `stop` is cancelled, and sends the name of each that changed.
    pub async fn watch(&self, changed: mpsc::Sender<String>, stop: CancellationToken) {
        self.secret_store.pairs().clone().run(self.edge.clone(), changed, stop).await;
    }

    pub(super) fn edge(&self) -> &Edge {
        &self.edge
    }
}

// === impl Listed ===

impl Listed {
    /// Whether the SecretSyncs are listed.
    pub fn are_syncs(self) -> bool {
        self.syncs
    }

    /// Whether the objects of an engine's synced secrets are listed.
    pub fn of(self, kind: SyncEngine) -> bool {
        match kind {
            SyncEngine::Direct => self.secrets,
            SyncEngine::SecretStore => self.syncs,
        }
    }
}
