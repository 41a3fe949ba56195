//! Which engine new synced secrets get: the configured one, or the one that the cluster can do.

use std::time::Duration;

use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::{
    edge::EdgeError,
    model::{Origin, SyncEngine},
};

/// How often the cluster is asked what it serves until it answers.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is asked whether the extension's resources have come: soon at first, because an API server that has just started
/// does not serve custom resources yet.
const NOT_SERVED: Duration = Duration::from_secs(1);
/// The same in the long run.
const STILL_NOT_SERVED: Duration = Duration::from_secs(30);
/// How long the resources must have been missing before a namespace that has no synced secrets begins with the direct engine.
const CONFIRMED: Duration = Duration::from_secs(3);
/// A cluster that is there has answered by then, and what it did not serve is confirmed.
const MOMENT: Duration = Duration::from_secs(5);

/// Which engines the synced secrets of the records have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct InUse {
    direct: bool,
    secret_store: bool,
}

impl Reconciler {
    /// The engine of new synced secrets; an error while the cluster has not said which it can be.
    pub fn engine(&self) -> Result<SyncEngine, EdgeError> {
        let engine = *self.0.engine.borrow();
        engine.ok_or_else(|| EdgeError::Unreachable("it has not said yet which engines it can do".into()))
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
        self.take_up_the_extension();
        self.0.pairs.clone().run(self.0.edge.clone(), changed, stop).await;
    }

    /// Whether any synced secret of ours is in the hands of the Secret Store extension.
    pub fn has_secret_store_records(&self) -> bool {
        self.in_use().secret_store
    }

    fn in_use(&self) -> InUse {
        let mut in_use = InUse::default();
        let records = self.0.store.view().snapshot().records;
        for record in records.iter().filter(|record| record.secret.origin == Origin::Managed) {
            match record.engine {
                SyncEngine::Direct => in_use.direct = true,
                SyncEngine::SecretStore => in_use.secret_store = true,
            }
        }
        in_use
    }

    /// Waits until the extension's resources are served: in the direct engine, too, others may use them.
    async fn until_served(&self) {
        let mut pause = NOT_SERVED;
        while self.0.edge.has_secret_store().await != Ok(true) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(STILL_NOT_SERVED);
        }
    }

    async fn decide_engine(&self) {
        let mut missing_since: Option<Instant> = None;
        while self.0.engine.borrow().is_none() {
            let served = self.0.edge.has_secret_store().await;
            let pause = match served {
                Ok(is_served) => {
                    let missing =
                        (!is_served).then(|| missing_since.get_or_insert_with(Instant::now).elapsed());
                    // What a lost database knew of may be in the extension's hands.
                    let missing_but = missing.is_some() && self.is_rebuilding();
                    if let Some((engine, why)) = decided(missing, self.in_use()).filter(|_| !missing_but) {
                        return self.set_engine(engine, why);
                    }
                    NOT_SERVED
                }
                Err(error) => {
                    missing_since = None;
                    tracing::debug!(%error, "the cluster does not say which engines it can do; asking again");
                    AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Resources that came after the start are taken up where nothing is in the hands of the direct engine. What is, is handed over
    /// after a restart: not while people work with it.
    fn take_up_the_extension(&self) {
        let is_free = self.0.options.engine.is_none() && self.engine() == Ok(SyncEngine::Direct);
        if is_free && !self.in_use().direct {
            self.set_engine(
                SyncEngine::SecretStore,
                "the Secret Store extension's resources are served by now, and there are no synced secrets yet",
            );
        }
    }

    fn set_engine(&self, engine: SyncEngine, why: &str) {
        tracing::info!(engine = engine.as_str(), "the engine was chosen: {why}");
        self.0.engine.send_replace(Some(engine));
        self.wake_unsettled();
    }
}

/// The engine where none is configured, and why; nothing where that is still to be seen. `missing` is how long the cluster has said that it
/// does not serve the extension's resources, nothing where it does.
///
/// Resources that are missing are no order to take anything out of the extension's hands: an API server that has just started, an
/// upgrade or a definition that was deleted by mistake look the same as an extension that is gone for good.
fn decided(missing: Option<Duration>, in_use: InUse) -> Option<(SyncEngine, &'static str)> {
    match missing {
        None => Some((SyncEngine::SecretStore, "the Secret Store extension's resources are served")),
        Some(_) if in_use.secret_store => Some((
            SyncEngine::SecretStore,
            "the Secret Store extension's resources are not served, but synced secrets are in its hands",
        )),
        Some(since) if in_use.direct || since >= CONFIRMED => {
            Some((SyncEngine::Direct, "the Secret Store extension's resources are not served"))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(missing: Option<u64>, direct: bool, secret_store: bool) -> Option<SyncEngine> {
        decided(missing.map(Duration::from_secs), InUse { direct, secret_store }).map(|(engine, _)| engine)
    }

    #[test]
    fn what_the_extension_has_in_its_hands_stays_there_however_long_its_resources_are_missing() {
        for missing in [0, 3, 86_400] {
            for direct in [false, true] {
                assert_eq!(engine(Some(missing), direct, true), Some(SyncEngine::SecretStore), "{missing} s");
            }
        }
    }

    #[test]
    fn a_namespace_without_synced_secrets_begins_with_direct_only_after_some_seconds_without_the_resources() {
        assert_eq!(engine(Some(0), false, false), None);
        assert_eq!(engine(Some(2), false, false), None);
        assert_eq!(engine(Some(3), false, false), Some(SyncEngine::Direct));
        assert_eq!(engine(Some(0), true, false), Some(SyncEngine::Direct), "nothing is handed over");
        for direct in [false, true] {
            assert_eq!(engine(None, direct, false), Some(SyncEngine::SecretStore));
        }
    }
}
