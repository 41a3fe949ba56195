//! Pauses the workers while this process is a standby, and resynchronizes when it becomes the leader.
//!
//! The fence in the client blocks the writes. This file keeps the workers from trying, and from recording
//! states that a standby can't know.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Reconciler;
use crate::edge::LeaderState;

/// The pause before a failed list is retried.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

impl Reconciler {
    /// Waits while this process is a standby. Returns at once if it is not; otherwise once it has become the
    /// leader and has listed the edge again.
    pub(super) async fn wait_while_standby(&self) {
        let mut is_standby = self.0.is_standby.subscribe();
        let _ = is_standby.wait_for(|is_standby| !is_standby).await;
    }

    /// Whether this process is a standby.
    pub(super) fn is_standby(&self) -> bool {
        *self.0.is_standby.borrow()
    }

    /// Follows the leader election, until `stop` is cancelled.
    pub(super) async fn follow_leadership(self, stop: CancellationToken) {
        tokio::select! {
            () = self.follow_states() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow_states(&self) {
        let mut states = self.0.edge.leadership().subscribe();
        let mut last_term = 0;
        loop {
            let state = states.borrow_and_update().clone();
            match state {
                LeaderState::Standby { .. } => drop(self.0.is_standby.send_replace(true)),
                // This process must catch up with its predecessor before it writes anything.
                LeaderState::Leader { .. }
                    if self.0.edge.leadership().predecessor().is_some()
                        && *self.0.may_work.borrow()
                        && !self.is_standby() =>
                {
                    self.0.is_standby.send_replace(true);
                    continue;
                }
                LeaderState::Leader { term }
                    if (term != last_term || self.is_standby()) && self.take_over().await =>
                {
                    last_term = term;
                }
                LeaderState::Leader { .. } | LeaderState::Undecided | LeaderState::Unknown(_) => {}
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Resynchronizes: another leader may have changed anything at the edge and in the vault, and a watch
    /// need not have an event for it. Returns whether that succeeded while this process is the leader.
    async fn take_over(&self) -> bool {
        while let Err(error) = self.0.index.relist(&self.0.edge).await {
            tracing::debug!(%error, "the edge can't be listed after a takeover; trying again");
            sleep(RETRY_PAUSE).await;
            if !self.0.edge.leadership().is_leading() {
                return false;
            }
        }
        self.settle_history().await;
        self.0.is_standby.send_replace(false);
        // The rotation check enqueues these, too, but it may be waiting for the vault.
        self.enqueue_unsettled();
        self.0.taken_over.notify_one();
        true
    }
}
