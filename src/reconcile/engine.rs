//! Which engine new synced secrets get: the configured one, or the one that the cluster can do.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::{edge::EdgeError, model::SyncEngine};

/// How often the cluster is asked what it serves until it answers.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is asked whether the extension's resources have come.
const NOT_SERVED: Duration = Duration::from_secs(30);
/// A cluster that is there has answered by then.
const MOMENT: Duration = Duration::from_secs(1);

impl Reconciler {
    /// The engine of new synced secrets; an error while the cluster has not said which it can be.
    pub fn engine(&self) -> Result<SyncEngine, EdgeError> {
        let engine = *self.0.engine.borrow();
        engine.ok_or_else(|| EdgeError::Unreachable("it has not said yet which engines it can do".to_owned()))
    }

    /// The same for who calls while the cluster is being asked, at the start: waits a moment for its answer.
    pub async fn engine_soon(&self) -> Result<SyncEngine, EdgeError> {
        let mut engine = self.0.engine.subscribe();
        let _ = tokio::time::timeout(MOMENT, engine.wait_for(Option::is_some)).await;
        self.engine()
    }

    /// Decides the engine, and watches the extension's resources once they are served.
    pub(super) async fn follow_pairs(self, changed: mpsc::Sender<String>, stop: CancellationToken) {
        tokio::select! {
            () = self.decide_engine() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = self.until_served() => {}
            () = stop.cancelled() => return,
        }
        self.0.pairs.clone().run(self.0.edge.clone(), changed, stop).await;
    }

    /// Waits until the extension's resources are served: in the direct engine, too, others may use them.
    async fn until_served(&self) {
        while self.0.edge.has_secret_store().await != Ok(true) {
            tokio::time::sleep(NOT_SERVED).await;
        }
    }

    async fn decide_engine(&self) {
        while self.0.engine.borrow().is_none() {
            match self.0.edge.has_secret_store().await {
                Ok(true) => self
                    .set_engine(SyncEngine::SecretStore, "the Secret Store extension's resources are served"),
                Ok(false) => self
                    .set_engine(SyncEngine::Direct, "the Secret Store extension's resources are not served"),
                Err(error) => {
                    tracing::debug!(%error, "the cluster does not say which engines it can do; asking again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    fn set_engine(&self, engine: SyncEngine, why: &str) {
        tracing::info!(engine = engine.as_str(), "the engine was chosen: {why}");
        self.0.engine.send_replace(Some(engine));
        self.wake_unsettled();
    }
}
