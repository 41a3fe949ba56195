//! Which process acts for the instance: who holds the Lease of its namespace, by the rules of client-go's
//! leader election.
//!
//! The holder renews the Lease every [`RETRY_PERIOD`]. It begins no write once the last renewal is
//! [`RENEW_DEADLINE`] old, and cuts those under way [`EXPIRY_MARGIN`] before the Lease expires, which is
//! [`LEASE_DURATION`] after it: no other process takes it before. A process judges another one's Lease by its
//! own monotonic clock, from when it saw the Lease change, and by no clock of the other.

mod election;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

pub use election::{Election, LeaseHolder, Place};

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

/// The Lease, and who this process is in it.
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

/// What is known of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet: this process has just started.
    Unasked,
    /// This process holds it.
    Leading {
        /// Counts the times that it took the Lease although others could have had it before: then what it
        /// knows may be old. 0 where it has held the Lease since its start.
        term: u64,
    },
    /// Another process does.
    StandingBy {
        /// Its `holderIdentity`.
        holder: String,
    },
    /// Nobody can tell, and nobody else is known to hold it.
    Unknown(EdgeError),
}

/// Whether this process acts for the instance. Clones share it.
#[derive(Clone)]
pub struct Leadership {
    fence: Fence,
    inner: Arc<Inner>,
}

struct Inner {
    standing: watch::Sender<Standing>,
    /// How far the database of the holder before was, until this process has caught up with it.
    predecessor: watch::Sender<Option<String>>,
    holders: Mutex<Holders>,
}

/// Who held the Lease, as far as it was seen.
#[derive(Default)]
struct Holders {
    last: Option<String>,
    /// How often it was another one than before.
    changes: u64,
    /// The term of this process.
    term: u64,
}

// === impl Leadership ===

impl Leadership {
    /// That of a process that has not looked at the Lease yet.
    pub fn new() -> Self {
        Self::with(Fence::new(), Standing::Unasked)
    }

    /// That of a process beside which there is no other.
    pub fn always() -> Self {
        Self::with(Fence::always(), Standing::Leading { term: 0 })
    }

    fn with(fence: Fence, standing: Standing) -> Self {
        let (standing, predecessor) = (watch::Sender::new(standing), watch::Sender::new(None));
        let inner = Inner { standing, predecessor, holders: Mutex::default() };
        Self { fence, inner: Arc::new(inner) }
    }

    /// The fence that is open while this process acts.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// What is known now.
    pub fn standing(&self) -> Standing {
        self.inner.standing.borrow().clone()
    }

    /// Tells of every change of it.
    pub fn standings(&self) -> watch::Receiver<Standing> {
        self.inner.standing.subscribe()
    }

    /// Whether this process acts for the instance.
    pub fn is_leading(&self) -> bool {
        self.fence.is_open()
    }

    /// How often the Lease was seen with another holder than before.
    pub fn changes(&self) -> u64 {
        self.holders().changes
    }

    /// How far the database of the holder before was, where this process has not caught up with that yet.
    pub fn predecessor(&self) -> Option<String> {
        self.inner.predecessor.borrow().clone()
    }

    /// Waits a moment until this process knows all that the holder before knew. Whether it does.
    pub async fn has_caught_up(&self) -> bool {
        let mut predecessor = self.inner.predecessor.subscribe();
        timeout(ELECTION_WAIT, predecessor.wait_for(Option::is_none)).await.is_ok()
    }

    /// This process knows all that a holder before knew, whose database was at that place.
    pub fn caught_up(&self, place: Option<&str>) {
        self.inner.predecessor.send_if_modified(|predecessor| {
            let is_this = predecessor.as_deref() == place && place.is_some();
            if is_this {
                *predecessor = None;
            }
            is_this
        });
    }

    /// The Lease is being taken after a holder whose database was at that place.
    fn follows(&self, place: Option<String>) {
        self.inner.predecessor.send_replace(place);
    }

    /// An error where this process does not act: who does, or why nobody can tell. Waits a moment for the
    /// first word after a start.
    pub async fn check(&self) -> Result<(), EdgeError> {
        self.fence.decided().await;
        match self.is_leading() {
            true => Ok(()),
            false => Err(self.refusal()),
        }
    }

    /// Why this process writes nothing.
    pub(in crate::edge) fn refusal(&self) -> EdgeError {
        match self.standing() {
            Standing::StandingBy { holder } => EdgeError::NotLeader { holder },
            Standing::Unknown(error) => error,
            Standing::Unasked => EdgeError::Timeout(ELECTION_WAIT),
            Standing::Leading { .. } => EdgeError::Timeout(RENEW_DEADLINE),
        }
    }

    /// The Lease was renewed by a request that was sent at that moment: from the answer on, nobody takes it
    /// before it expires. `anew` where others could have had it meanwhile.
    fn renewed(&self, sent: Instant, identity: &str, anew: bool) {
        self.note(identity);
        let term = {
            let mut holders = self.holders();
            holders.term += u64::from(anew);
            holders.term
        };
        self.fence.open(sent + RENEW_DEADLINE, sent + LEASE_DURATION - EXPIRY_MARGIN);
        if self.set(Standing::Leading { term }) {
            tracing::info!(identity, "this process holds the Lease and acts for the instance");
        }
    }

    /// Another process holds it.
    fn taken(&self, holder: &str) {
        self.note(holder);
        self.fence.shut();
        if self.set(Standing::StandingBy { holder: holder.to_owned() }) {
            tracing::warn!(holder, "another process holds the Lease; this one serves reads and stands by");
        }
    }

    /// Nobody can tell whose it is. What is under way may go on until the Lease expires.
    fn unknown(&self, error: EdgeError) {
        if self.fence.begin_before().is_none() {
            self.fence.shut();
        }
        let is_new = !matches!(self.standing(), Standing::Unknown(_));
        if self.set(Standing::Unknown(error.clone())) && is_new {
            tracing::warn!(%error, "the Lease can't be had or renewed; this process writes nothing until it can");
        }
    }

    /// This process writes nothing any more, because it ends.
    fn ended(&self) {
        self.fence.shut();
    }

    /// Tried to give the Lease back; why that failed, where it did.
    fn given_back(&self, failed: Option<EdgeError>) {
        match failed {
            None => tracing::info!("the Lease was given back"),
            Some(error) => tracing::warn!(%error, "the Lease could not be given back; it expires by itself"),
        }
    }

    fn note(&self, holder: &str) {
        let mut holders = self.holders();
        if holders.last.as_deref() != Some(holder) {
            holders.changes += u64::from(holders.last.is_some());
            holders.last = Some(holder.to_owned());
        }
    }

    /// Whether that is news.
    fn set(&self, standing: Standing) -> bool {
        self.inner.standing.send_if_modified(|now| {
            let is_news = *now != standing;
            *now = standing;
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
    async fn a_holder_that_can_not_renew_begins_nothing_after_ten_seconds_and_ends_all_before_the_lease_expires()
     {
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
    async fn who_holds_the_lease_is_told_and_changes_are_counted_and_a_term_is_new_only_where_others_could_have_had_it()
     {
        let leadership = Leadership::new();
        let now = Instant::now();
        leadership.renewed(now, "mine", false);
        assert_eq!((leadership.standing(), leadership.changes()), (Standing::Leading { term: 0 }, 0));
        leadership.taken("theirs");
        let refusal = EdgeError::NotLeader { holder: "theirs".to_owned() };
        assert_eq!((leadership.check().await, leadership.changes()), (Err(refusal), 1));
        leadership.renewed(now, "mine", true);
        leadership.renewed(now, "mine", false);
        assert_eq!((leadership.standing(), leadership.changes()), (Standing::Leading { term: 1 }, 2));
        assert_eq!(leadership.check().await, Ok(()));
        leadership.ended();
        assert!(!leadership.is_leading());
    }
}
