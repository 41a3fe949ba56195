//! Leader election with a Lease in the namespace of the instance, by the rules of client-go.
//!
//! The leader renews the Lease every [`RETRY_PERIOD`]. It starts no write when the last renewal is
//! [`RENEW_DEADLINE`] old, and cancels running writes [`EXPIRY_MARGIN`] before the Lease expires. The Lease
//! expires [`LEASE_DURATION`] after its renewal; no other process takes it earlier. A process measures the
//! age of another holder's Lease with its own monotonic clock, from when it observed the last change, and
//! never with the holder's clock.

mod election;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

pub use election::{Election, LeaseHolder, Position};

use super::EdgeError;
use crate::fence::{ELECTION_WAIT, Fence};

/// How long a Lease is valid after its renewal.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after a renewal the holder still starts writes.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The pause between two attempts to acquire or renew the Lease.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// How long before the expiry of the Lease running writes are cancelled: the clocks of two machines run at
/// slightly different rates.
pub const EXPIRY_MARGIN: Duration = Duration::from_secs(1);

/// The name of the Lease and the identity of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Its name, in the namespace of the instance.
    pub name: String,
    /// The `holderIdentity` of this process. If absent, it is derived from the host and the database.
    pub identity: Option<String>,
}

impl Default for LeaseOptions {
    fn default() -> Self {
        Self { name: "secret-service".to_owned(), identity: None }
    }
}

/// The role of this process in leader election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderState {
    /// Leader election has no result yet: this process has just started.
    Undecided,
    /// This process holds the Lease.
    Leader {
        /// Grows each time this process acquires the Lease after another process may have held it: its
        /// caches may be outdated then. 0 if it has held the Lease since its start.
        term: u64,
    },
    /// Another process holds the Lease.
    Standby {
        /// Its `holderIdentity`.
        holder: String,
    },
    /// The Lease can't be read or renewed, and no other holder is known.
    Unknown(EdgeError),
}

/// Whether this process is the leader. Clones share it.
#[derive(Clone)]
pub struct Leadership {
    fence: Fence,
    inner: Arc<Inner>,
}

struct Inner {
    state: watch::Sender<LeaderState>,
    /// The position of the previous holder's database, until this process has caught up with it.
    predecessor: watch::Sender<Option<String>>,
    holders: Mutex<Holders>,
}

/// The observed holders of the Lease.
#[derive(Default)]
struct Holders {
    last: Option<String>,
    /// How often the holder changed.
    changes: u64,
    /// The term of this process.
    term: u64,
}

// === impl Leadership ===

impl Leadership {
    /// For a process that takes part in leader election.
    pub fn new() -> Self {
        Self::with(Fence::new(), LeaderState::Undecided)
    }

    /// For a process that is alone: it is always the leader.
    pub fn always() -> Self {
        Self::with(Fence::always(), LeaderState::Leader { term: 0 })
    }

    fn with(fence: Fence, state: LeaderState) -> Self {
        let (state, predecessor) = (watch::Sender::new(state), watch::Sender::new(None));
        let inner = Inner { state, predecessor, holders: Mutex::default() };
        Self { fence, inner: Arc::new(inner) }
    }

    /// The fence that is open while this process is the leader.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The current state.
    pub fn state(&self) -> LeaderState {
        self.inner.state.borrow().clone()
    }

    /// Notifies of every change of the state.
    pub fn subscribe(&self) -> watch::Receiver<LeaderState> {
        self.inner.state.subscribe()
    }

    /// Whether this process is the leader.
    pub fn is_leading(&self) -> bool {
        self.fence.is_open()
    }

    /// How often the holder of the Lease changed.
    pub fn changes(&self) -> u64 {
        self.holders().changes
    }

    /// The position of the previous holder's database; none if this process has caught up with it.
    pub fn predecessor(&self) -> Option<String> {
        self.inner.predecessor.borrow().clone()
    }

    /// Waits until this process has caught up with the previous holder. False if that takes longer than
    /// [`ELECTION_WAIT`].
    pub async fn has_caught_up(&self) -> bool {
        let mut predecessor = self.inner.predecessor.subscribe();
        timeout(ELECTION_WAIT, predecessor.wait_for(Option::is_none)).await.is_ok()
    }

    /// Marks that this process has caught up with a previous holder whose database was at this position.
    pub fn caught_up(&self, position: Option<&str>) {
        self.inner.predecessor.send_if_modified(|predecessor| {
            let is_this = predecessor.as_deref() == position && position.is_some();
            if is_this {
                *predecessor = None;
            }
            is_this
        });
    }

    /// Records the position of the previous holder's database when this process acquires the Lease.
    fn set_predecessor(&self, position: Option<String>) {
        self.inner.predecessor.send_replace(position);
    }

    /// Fails if this process is not the leader. The error names the leader, or why it is unknown. After a
    /// start, waits for the first result of leader election.
    pub async fn check(&self) -> Result<(), EdgeError> {
        self.fence.decided().await;
        match self.is_leading() {
            true => Ok(()),
            false => Err(self.refusal()),
        }
    }

    /// Why this process writes nothing.
    pub(in crate::edge) fn refusal(&self) -> EdgeError {
        match self.state() {
            LeaderState::Standby { holder } => EdgeError::NotLeader { holder },
            LeaderState::Unknown(error) => error,
            LeaderState::Undecided => EdgeError::Timeout(ELECTION_WAIT),
            LeaderState::Leader { .. } => EdgeError::Timeout(RENEW_DEADLINE),
        }
    }

    /// The Lease was acquired or renewed by a request that was sent at `sent`: nobody else takes it before it
    /// expires. `is_new_term`: whether another process may have held it in between.
    fn renewed(&self, sent: Instant, identity: &str, is_new_term: bool) {
        self.note_holder(identity);
        let term = {
            let mut holders = self.holders();
            holders.term += u64::from(is_new_term);
            holders.term
        };
        self.fence.open(sent + RENEW_DEADLINE, sent + LEASE_DURATION - EXPIRY_MARGIN);
        if self.set(LeaderState::Leader { term }) {
            tracing::info!(identity, "this process holds the Lease: it is the leader");
        }
    }

    /// Another process holds the Lease.
    fn lost_to(&self, holder: &str) {
        self.note_holder(holder);
        self.fence.shut();
        if self.set(LeaderState::Standby { holder: holder.to_owned() }) {
            tracing::warn!(
                holder,
                "another process holds the Lease; this one is a standby and serves only reads"
            );
        }
    }

    /// The holder is unknown. Running writes may continue until the Lease expires.
    fn unknown(&self, error: EdgeError) {
        if self.fence.begin_before().is_none() {
            self.fence.shut();
        }
        let is_new = !matches!(self.state(), LeaderState::Unknown(_));
        if self.set(LeaderState::Unknown(error.clone())) && is_new {
            tracing::warn!(%error, "the Lease can't be acquired or renewed; this process writes nothing until it is");
        }
    }

    /// Stops all writes, because this process ends.
    fn ended(&self) {
        self.fence.shut();
    }

    /// Logs the result of the release. The error is none if it succeeded.
    fn released(&self, failed: Option<EdgeError>) {
        match failed {
            None => tracing::info!("the Lease was released"),
            Some(error) => tracing::warn!(%error, "the Lease could not be released; it expires by itself"),
        }
    }

    fn note_holder(&self, holder: &str) {
        let mut holders = self.holders();
        if holders.last.as_deref() != Some(holder) {
            holders.changes += u64::from(holders.last.is_some());
            holders.last = Some(holder.to_owned());
        }
    }

    /// Sets the state. Returns whether it changed.
    fn set(&self, state: LeaderState) -> bool {
        self.inner.state.send_if_modified(|now| {
            let is_news = *now != state;
            *now = state;
            is_news
        })
    }

    fn holders(&self) -> parking_lot::MutexGuard<'_, Holders> {
        self.inner.holders.lock()
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_renew_starts_no_write_after_10_s_and_cancels_all_before_expiry() {
        let (leadership, begun) = (Leadership::new(), Instant::now());
        leadership.renewed(begun, "mine", true);
        let fence = leadership.fence().clone();
        let under_way = tokio::spawn(async move { fence.guard(async |_| sleep(LEASE_DURATION).await).await });
        tokio::task::yield_now().await;
        advance(RENEW_DEADLINE).await;
        assert!(!leadership.is_leading());
        leadership.unknown(EdgeError::Unreachable("the way is gone".into()));
        assert_eq!(leadership.check().await, Err(EdgeError::Unreachable("the way is gone".into())));
        assert!(!under_way.is_finished(), "it goes on while nobody else can have the Lease");
        assert!(under_way.await.unwrap().is_err());
        assert_eq!(begun.elapsed(), LEASE_DURATION - EXPIRY_MARGIN);
    }

    #[tokio::test(start_paused = true)]
    async fn holder_changes_are_counted_and_a_term_starts_only_if_another_process_may_have_led() {
        let leadership = Leadership::new();
        let now = Instant::now();
        leadership.renewed(now, "mine", false);
        assert_eq!((leadership.state(), leadership.changes()), (LeaderState::Leader { term: 0 }, 0));
        leadership.lost_to("theirs");
        let refusal = EdgeError::NotLeader { holder: "theirs".to_owned() };
        assert_eq!((leadership.check().await, leadership.changes()), (Err(refusal), 1));
        leadership.renewed(now, "mine", true);
        leadership.renewed(now, "mine", false);
        assert_eq!((leadership.state(), leadership.changes()), (LeaderState::Leader { term: 1 }, 2));
        assert_eq!(leadership.check().await, Ok(()));
        leadership.ended();
        assert!(!leadership.is_leading());
    }
}
