//! Forgets what has been kept long enough.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::store::{Keep, StoreError};

const EVERY: Duration = Duration::from_secs(600);
/// Request ids are kept for a day (AIP-155), and the feed goes back at least a day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The feed keeps at least this many changes.
const CHANGES: i64 = 100_000;

impl Reconciler {
    /// Prunes now and then until told to stop.
    pub(super) async fn keep_house(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.prune().await {
                tracing::warn!(%error, "old rows could not be pruned; trying again later");
            }
        }
    }

    async fn prune(&self) -> Result<(), StoreError> {
        let keep = Keep {
            requests: DAY,
            changes: DAY,
            last_changes: CHANGES,
            audit: self.0.options.audit_retention,
        };
        let mut transaction = self.0.store.begin().await?;
        transaction.prune(&keep).await?;
        transaction.commit().await
    }
}
