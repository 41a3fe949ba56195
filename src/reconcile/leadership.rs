//! Pauses the workers while another process holds the Lease, and starts over when this process takes over.
//!
//! The fence in the client is what blocks writes. This file keeps the workers from trying, and from reporting
//! states that they can't know.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::edge::Standing;

/// The pause before a failed list is retried.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

impl Reconciler {
    /// Returns while no other process acts for the instance: at once, or when it has ended and the edge has
    /// been listed anew.
    pub(super) async fn until_acting(&self) {
        let mut stands_by = self.0.stands_by.subscribe();
        let _ = stands_by.wait_for(|stands_by| !stands_by).await;
    }

    /// Whether another process acts for the instance.
    pub(super) fn stands_by(&self) -> bool {
        *self.0.stands_by.borrow()
    }

    /// Follows who acts for the instance, until told to stop.
    pub(super) async fn follow_leadership(self, stop: CancellationToken) {
        tokio::select! {
            () = self.follow_standings() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow_standings(&self) {
        let mut standings = self.0.edge.leadership().standings();
        let mut last_term = 0;
        loop {
            let standing = standings.borrow_and_update().clone();
            match standing {
                Standing::StandingBy { .. } => drop(self.0.stands_by.send_replace(true)),
                // What another one has done since is to be known before anything is written.
                Standing::Leading { .. }
                    if self.0.edge.leadership().predecessor().is_some()
                        && *self.0.may_work.borrow()
                        && !self.stands_by() =>
                {
                    self.0.stands_by.send_replace(true);
                    continue;
                }
                Standing::Leading { term }
                    if (term != last_term || self.stands_by()) && self.take_over().await =>
                {
                    last_term = term;
                }
                Standing::Leading { .. } | Standing::Unasked | Standing::Unknown(_) => {}
            }
            if standings.changed().await.is_err() {
                return;
            }
        }
    }

    /// Others may have changed anything at the edge and in the vault since this process last looked, and no
    /// event of a watch has to tell. Whether all is being looked at again.
    async fn take_over(&self) -> bool {
        while let Err(error) = self.0.index.relist(&self.0.edge).await {
            tracing::debug!(%error, "the edge can't be listed after a takeover; trying again");
            sleep(RETRY_PAUSE).await;
            if !self.0.edge.leadership().is_leading() {
                return false;
            }
        }
        self.settle_history().await;
        self.0.stands_by.send_replace(false);
        // The rotation check looks at all that is unsettled, too; but it may be waiting for the vault just
        // now.
        self.enqueue_unsettled();
        self.0.taken_over.notify_one();
        true
    }
}
