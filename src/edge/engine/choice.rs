//! Chooses the engine of new synced secrets: the configured one, or one that the cluster supports.

use std::time::Duration;

use tokio::time::Instant;

use super::Engines;
use crate::{backoff::Backoff, model::SyncEngine};

/// The pause after a failed discovery request.
const ERROR_PAUSE: Duration = Duration::from_secs(2);
/// The first pause between two checks for the extension's resources. Short, because an API server that has
/// just started does not serve custom resources yet.
const FIRST_POLL: Duration = Duration::from_secs(1);
/// The longest pause between two checks.
const LONGEST_POLL: Duration = Duration::from_secs(30);
/// How long the resources must be missing before a namespace without synced secrets gets the direct engine.
const ABSENCE_CONFIRMED_AFTER: Duration = Duration::from_secs(3);

/// The engines that synced secrets use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    direct: bool,
    secret_store: bool,
}

impl InUse {
    /// The set of these engines.
    pub fn of(engines: impl IntoIterator<Item = SyncEngine>) -> Self {
        let mut in_use = Self::default();
        for engine in engines {
            match engine {
                SyncEngine::Direct => in_use.direct = true,
                SyncEngine::SecretStore => in_use.secret_store = true,
            }
        }
        in_use
    }

    /// Whether any synced secret uses the Secret Store extension.
    pub fn is_delegated(self) -> bool {
        self.secret_store
    }
}

impl Engines {
    /// Chooses the engine of new synced secrets by the kinds that the cluster serves. Retries until they are
    /// known. Returns the reason, too. `is_rebuilding`: whether a lost database is still being rebuilt, whose
    /// synced secrets may use the extension.
    pub async fn choose(
        &self,
        in_use: impl Fn() -> InUse,
        is_rebuilding: impl Fn() -> bool,
    ) -> (SyncEngine, &'static str) {
        let mut missing_since: Option<Instant> = None;
        loop {
            let served = self.edge().has_secret_store().await;
            let pause = match served {
                Ok(is_served) => {
                    let missing =
                        (!is_served).then(|| missing_since.get_or_insert_with(Instant::now).elapsed());
                    // The synced secrets of the lost database may use the extension.
                    let is_uncertain = missing.is_some() && is_rebuilding();
                    if let Some(chosen) = decided(missing, in_use()).filter(|_| !is_uncertain) {
                        return chosen;
                    }
                    FIRST_POLL
                }
                Err(error) => {
                    missing_since = None;
                    tracing::debug!(%error, "it is not known yet which engines the cluster supports; trying again");
                    ERROR_PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until the extension's resources are served: other tools may use them even with the direct
    /// engine.
    pub async fn until_served(&self) {
        for pause in Backoff::doubling(FIRST_POLL, LONGEST_POLL).pauses() {
            if self.edge().has_secret_store().await == Ok(true) {
                return;
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// The engine to change to, and why, when the extension's resources appear after the choice. Changes only if
/// no synced secret uses the direct engine. Otherwise the hand-over waits for a restart, so that it does not
/// happen during operation.
pub fn once_served(chosen: Option<SyncEngine>, in_use: InUse) -> Option<(SyncEngine, &'static str)> {
    (chosen == Some(SyncEngine::Direct) && !in_use.direct).then_some((
        SyncEngine::SecretStore,
        "the cluster now serves the Secret Store extension's resources, and there are no synced secrets yet",
    ))
}

/// The engine if none is configured, and why; none if that is not certain yet. `missing` is how long the
/// cluster has not served the extension's resources; none if it serves them.
///
/// Resources that are missing are no order to take anything out of the extension's hands: an API server that
/// has just started, an upgrade or a definition that was deleted by mistake look the same as an extension
/// that is gone for good.
fn decided(missing: Option<Duration>, in_use: InUse) -> Option<(SyncEngine, &'static str)> {
    match missing {
        None => Some((SyncEngine::SecretStore, "the Secret Store extension's resources are served")),
        Some(_) if in_use.secret_store => Some((
            SyncEngine::SecretStore,
            "the Secret Store extension's resources are not served, but synced secrets are in its hands",
        )),
        Some(since) if in_use.direct || since >= ABSENCE_CONFIRMED_AFTER => {
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
    fn delegated_synced_secrets_stay_delegated_while_the_kinds_are_missing() {
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
