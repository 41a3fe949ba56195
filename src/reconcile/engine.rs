//! The engine of new synced secrets: the configured one, or one that the cluster supports.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::{
    edge::{
        EdgeError,
        engine::{Engine, InUse, Target, once_served},
    },
    model::{Origin, SyncEngine},
    store::Record,
};

/// How long a call waits for the choice. A reachable cluster has answered by then, including the confirmation
/// that a kind is not served.
const CHOICE_DEADLINE: Duration = Duration::from_secs(5);

impl Reconciler {
    /// The engine of new synced secrets. Fails until the cluster has shown which engines it supports.
    pub fn engine(&self) -> Result<SyncEngine, EdgeError> {
        let engine = *self.0.engine.borrow();
        engine.ok_or_else(|| EdgeError::Unreachable("it has not shown yet which engines it supports".into()))
    }

    /// Like [`Reconciler::engine`], but waits for the choice after a start.
    pub async fn engine_soon(&self) -> Result<SyncEngine, EdgeError> {
        let mut engine = self.0.engine.subscribe();
        let _ = tokio::time::timeout(CHOICE_DEADLINE, engine.wait_for(Option::is_some)).await;
        self.engine()
    }

    /// The engine of this kind.
    pub fn engine_of(&self, kind: SyncEngine) -> Engine {
        self.0.engines.of(kind)
    }

    /// Whether any managed synced secret uses the Secret Store extension.
    pub fn has_delegated(&self) -> bool {
        self.in_use().is_delegated()
    }

    /// Chooses the engine, and watches the extension's resources once they are served.
    pub(super) async fn follow_extension(self, changed: mpsc::Sender<String>, stop: CancellationToken) {
        let engines = &self.0.engines;
        let served = async {
            if self.0.engine.borrow().is_none() {
                let (engine, why) = engines.choose(|| self.in_use(), || self.is_rebuilding()).await;
                self.set_engine(engine, why);
            }
            engines.until_served().await;
        };
        tokio::select! {
            () = served => {}
            () = stop.cancelled() => return,
        }
        let chosen = self.engine().ok().filter(|_| self.0.options.engine.is_none());
        if let Some((engine, why)) = once_served(chosen, self.in_use()) {
            self.set_engine(engine, why);
        }
        engines.watch(changed, stop).await;
    }

    /// The view of a synced secret that its engine needs.
    pub(super) fn target<'a>(&self, record: &'a Record) -> Target<'a> {
        Target {
            secret: &record.secret,
            edge: &record.edge,
            delegation: record.delegation.as_ref(),
            sync_requests: record.sync_requests,
            synced_requests: record.synced_requests,
            adopted: record.adopted.as_deref(),
            cached: self.0.index.get(record.secret.id.as_str()),
        }
    }

    fn in_use(&self) -> InUse {
        let records = self.0.store.view().snapshot().records;
        let managed = records.iter().filter(|record| record.secret.origin == Origin::Managed);
        InUse::of(managed.map(|record| record.engine))
    }

    fn set_engine(&self, engine: SyncEngine, why: &str) {
        tracing::info!(engine = engine.as_str(), "the engine was chosen: {why}");
        self.0.engine.send_replace(Some(engine));
        self.enqueue_unsettled();
    }
}
