//! Prunes rows that are too old, or that take too much space.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::store::StoreError;

/// How often old rows are pruned.
const PRUNE_INTERVAL: Duration = Duration::from_secs(600);
/// How often the space budget is enforced. Space can fill up fast.
const BUDGET_INTERVAL: Duration = Duration::from_secs(15);

impl Reconciler {
    /// Runs until `stop` is cancelled.
    pub(super) async fn prune_periodically(self, stop: CancellationToken) {
        let (mut every, mut room) =
            (tokio::time::interval(PRUNE_INTERVAL), tokio::time::interval(BUDGET_INTERVAL));
        loop {
            let kept = tokio::select! {
                _ = every.tick() => self.prune().await,
                _ = room.tick() => self.0.store.enforce_budget(&self.0.options.retention).await,
                () = stop.cancelled() => return,
            };
            if let Err(error) = kept {
                tracing::warn!(%error, "old rows could not be pruned; trying again later");
            }
        }
    }

    async fn prune(&self) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        transaction.prune(&self.0.options.retention).await?;
        transaction.commit().await
    }
}
