//! The fence for all writes to the vault and the cluster. It is open only while this process is the leader.
//!
//! A write starts only while the fence is open, and is cancelled when this process's leadership ends, because
//! another process may lead from then on. All times are monotonic, so changing the system clock can't open
//! the fence.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How long a write waits for the first result of leader election after the start.
pub const ELECTION_WAIT: Duration = Duration::from_secs(5);

/// Whether writes may start, and when they must end. Clones share it.
#[derive(Clone, Debug)]
pub struct Fence(Arc<watch::Sender<State>>);

/// The state of the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Leader election has no result yet.
    Undecided,
    /// Writes may start before the one time, and must end before the other.
    Open { begin_before: Instant, end_before: Instant },
    /// No write may start, and writes in flight are cancelled.
    Shut,
    /// There is no other process.
    Always,
}

/// Why a write was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// It was not started.
    #[error("this process is not the leader of the instance")]
    NotStarted,
    /// It was cancelled. It may have taken effect.
    #[error("the write was cancelled, because another process may be the leader of the instance now")]
    Cancelled,
}

// === impl Fence ===

impl Fence {
    /// A fence that is shut until leader election opens it.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Undecided)))
    }

    /// A fence that is always open: for a process that is alone or writes nothing.
    pub fn always() -> Self {
        Self(Arc::new(watch::Sender::new(State::Always)))
    }

    /// Lets writes start until `begin_before`, and cancels them at `end_before`.
    pub fn open(&self, begin_before: Instant, end_before: Instant) {
        self.0.send_replace(State::Open { begin_before, end_before });
    }

    /// Lets nothing through, and cancels writes in flight.
    pub fn shut(&self) {
        self.0.send_replace(State::Shut);
    }

    /// Whether a write may start now.
    pub fn is_open(&self) -> bool {
        self.0.borrow().may_start()
    }

    /// Until when writes may start; `None` if none may, or if there is no limit.
    pub fn begin_before(&self) -> Option<Instant> {
        match *self.0.borrow() {
            State::Open { begin_before, .. } => Some(begin_before),
            State::Undecided | State::Shut | State::Always => None,
        }
    }

    /// Waits for the first result of leader election, for [`ELECTION_WAIT`] at most.
    pub async fn decided(&self) {
        let mut state = self.0.subscribe();
        let _ = timeout(ELECTION_WAIT, state.wait_for(|state| *state != State::Undecided)).await;
    }

    /// Runs one write. It receives the time that it may take; `None` for no limit.
    pub async fn guard<T, F: Future<Output = T>>(
        &self,
        write: impl FnOnce(Option<Duration>) -> F,
    ) -> Result<T, FenceError> {
        self.decided().await;
        let state = *self.0.borrow();
        if !state.may_start() {
            return Err(FenceError::NotStarted);
        }
        tokio::select! {
            biased;
            () = self.must_end() => Err(FenceError::Cancelled),
            written = write(state.time_left()) => Ok(written),
        }
    }

    /// Returns when writes in flight must end. A renewal of the leadership extends that.
    async fn must_end(&self) {
        let mut state = self.0.subscribe();
        loop {
            let now = *state.borrow_and_update();
            match now {
                State::Undecided | State::Shut => return,
                State::Always => return std::future::pending().await,
                State::Open { end_before, .. } => tokio::select! {
                    () = sleep_until(end_before) => return,
                    _ = state.changed() => {}
                },
            }
        }
    }
}

impl Default for Fence {
    fn default() -> Self {
        Self::new()
    }
}

// === impl State ===

impl State {
    fn may_start(self) -> bool {
        match self {
            Self::Open { begin_before, .. } => Instant::now() < begin_before,
            Self::Always => true,
            Self::Undecided | Self::Shut => false,
        }
    }

    fn time_left(self) -> Option<Duration> {
        match self {
            Self::Open { end_before, .. } => Some(end_before.saturating_duration_since(Instant::now())),
            Self::Undecided | Self::Shut | Self::Always => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Fence {
        let fence = Fence::new();
        fence.open(Instant::now() + seconds(10), Instant::now() + seconds(14));
        fence
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_begins_only_while_the_fence_is_open_and_gets_its_time_limit() {
        let fence = opened();
        assert_eq!(fence.guard(async |left| left).await, Ok(Some(seconds(14))));
        sleep(seconds(9)).await;
        assert_eq!(fence.guard(async |left| left).await, Ok(Some(seconds(5))));
        sleep(seconds(1)).await;
        assert_eq!(fence.guard(async |_| ()).await, Err(FenceError::NotStarted));
        assert_eq!(Fence::always().guard(async |left| left).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_write_is_cancelled_at_expiry_and_a_renewal_postpones_it() {
        let (fence, begun) = (opened(), Instant::now());
        sleep(seconds(9)).await;
        assert_eq!(fence.guard(async |_| sleep(seconds(60)).await).await, Err(FenceError::Cancelled));
        assert_eq!(begun.elapsed(), seconds(14));

        let (fence, begun) = (opened(), Instant::now());
        let renewed = async {
            sleep(seconds(9)).await;
            fence.open(Instant::now() + seconds(10), Instant::now() + seconds(14));
        };
        let (written, ()) = tokio::join!(fence.guard(async |_| sleep(seconds(20)).await), renewed);
        assert_eq!((written, begun.elapsed()), (Ok(()), seconds(20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_write_is_cancelled_at_once_when_another_process_leads() {
        let (fence, begun) = (opened(), Instant::now());
        let taken = async {
            sleep(seconds(1)).await;
            fence.shut();
        };
        let (written, ()) = tokio::join!(fence.guard(async |_| sleep(seconds(5)).await), taken);
        assert_eq!((written, begun.elapsed()), (Err(FenceError::Cancelled), seconds(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_after_a_start_waits_for_the_first_election_result() {
        let (fence, begun) = (Fence::new(), Instant::now());
        let said = async {
            sleep(seconds(1)).await;
            fence.open(Instant::now() + seconds(10), Instant::now() + seconds(14));
        };
        let (written, ()) = tokio::join!(fence.guard(async |_| ()), said);
        assert_eq!((written, begun.elapsed()), (Ok(()), seconds(1)));
        let (silent, begun) = (Fence::new(), Instant::now());
        assert_eq!(silent.guard(async |_| ()).await, Err(FenceError::NotStarted));
        assert_eq!(begun.elapsed(), ELECTION_WAIT);
    }
}
