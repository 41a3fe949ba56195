//! Forgets what has been kept long enough.

use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(600);
/// Request ids are kept for a day (AIP-155).
const REQUEST_HOURS: i64 = 24;
/// The feed keeps at least a day and at least this many changes.
const CHANGE_HOURS: i64 = 24;
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
        let now = Timestamp::now();
        let mut transaction = self.0.store.begin().await?;
        transaction.prune_requests(now - REQUEST_HOURS.hours()).await?;
        transaction.prune_changes(now - CHANGE_HOURS.hours(), CHANGES).await?;
        transaction.prune_audit(now - self.0.options.audit_retention).await?;
        transaction.commit().await
    }
}
