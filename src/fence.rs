//! The fence before all that writes in the vault and at the edge: open only while this process acts for the instance.
//!
//! A write begins only while the fence lets writes begin, and is cut when the time of this process ends: by then another process may act.
//! All of it goes by the monotonic clock, so no clock that is set forward or back opens it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

/// How long a write waits for the first word on whether this process acts: right after a start, somebody is just being asked.
pub const MOMENT: Duration = Duration::from_secs(5);

/// Whether writes may begin, and until when they must have ended. Clones share it.
#[derive(Clone, Debug)]
pub struct Fence(Arc<watch::Sender<Gate>>);

/// How the fence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    /// Nobody has said anything yet.
    Unasked,
    /// Writes begin before the one moment, and end before the other.
    Open { begin_before: Instant, end_before: Instant },
    /// No write begins, and what is under way is cut.
    Shut,
    /// There is nobody else.
    Always,
}

/// Why a write did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// It was not begun.
    #[error("this process does not act for the instance")]
    NotBegun,
    /// It was cut: it may have taken effect.
    #[error("the write was cut, because another process may act for the instance from now on")]
    Cut,
}

// === impl Fence ===

impl Fence {
    /// A fence that is shut until somebody opens it.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Gate::Unasked)))
    }

    /// One that is always open: for who is alone, or writes nothing.
    pub fn always() -> Self {
        Self(Arc::new(watch::Sender::new(Gate::Always)))
    }

    /// Lets writes begin before a moment, and cuts them at another.
    pub fn open(&self, begin_before: Instant, end_before: Instant) {
        self.0.send_replace(Gate::Open { begin_before, end_before });
    }

    /// Lets nothing through, and cuts what is under way.
    pub fn shut(&self) {
        self.0.send_replace(Gate::Shut);
    }

    /// Whether a write may begin now.
    pub fn is_open(&self) -> bool {
        self.0.borrow().begins()
    }

    /// Until when writes may begin; absent where none may, or where that has no end.
    pub fn begin_before(&self) -> Option<Instant> {
        match *self.0.borrow() {
            Gate::Open { begin_before, .. } => Some(begin_before),
            Gate::Unasked | Gate::Shut | Gate::Always => None,
        }
    }

    /// Waits a moment for the first word, where there was none yet.
    pub async fn asked(&self) {
        let mut gate = self.0.subscribe();
        let _ = timeout(MOMENT, gate.wait_for(|gate| *gate != Gate::Unasked)).await;
    }

    /// Carries out one write, which is told how long it may take at most; absent where nobody cuts it.
    pub async fn guard<T, F: Future<Output = T>>(
        &self,
        write: impl FnOnce(Option<Duration>) -> F,
    ) -> Result<T, Fenced> {
        self.asked().await;
        let gate = *self.0.borrow();
        if !gate.begins() {
            return Err(Fenced::NotBegun);
        }
        tokio::select! {
            biased;
            () = self.ended() => Err(Fenced::Cut),
            written = write(gate.left()) => Ok(written),
        }
    }

    /// Returns when what is under way must have ended. A renewal puts that off.
    async fn ended(&self) {
        let mut gate = self.0.subscribe();
        loop {
            let now = *gate.borrow_and_update();
            match now {
                Gate::Unasked | Gate::Shut => return,
                Gate::Always => return std::future::pending().await,
                Gate::Open { end_before, .. } => tokio::select! {
                    () = sleep_until(end_before) => return,
                    _ = gate.changed() => {}
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

// === impl Gate ===

impl Gate {
    fn begins(self) -> bool {
        match self {
            Self::Open { begin_before, .. } => Instant::now() < begin_before,
            Self::Always => true,
            Self::Unasked | Self::Shut => false,
        }
    }

    fn left(self) -> Option<Duration> {
        match self {
            Self::Open { end_before, .. } => Some(end_before.saturating_duration_since(Instant::now())),
            Self::Unasked | Self::Shut | Self::Always => None,
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
    async fn a_write_begins_only_while_the_fence_lets_it_and_is_told_how_long_it_may_take() {
        let fence = opened();
        assert_eq!(fence.guard(async |left| left).await, Ok(Some(seconds(14))));
        sleep(seconds(9)).await;
        assert_eq!(fence.guard(async |left| left).await, Ok(Some(seconds(5))));
        sleep(seconds(1)).await;
        assert_eq!(fence.guard(async |_| ()).await, Err(Fenced::NotBegun));
        assert_eq!(Fence::always().guard(async |left| left).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_is_under_way_when_the_time_ends_is_cut_and_a_renewal_puts_that_off() {
        let (fence, begun) = (opened(), Instant::now());
        sleep(seconds(9)).await;
        assert_eq!(fence.guard(async |_| sleep(seconds(60)).await).await, Err(Fenced::Cut));
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
    async fn a_write_is_cut_at_once_when_another_process_is_known_to_act() {
        let (fence, begun) = (opened(), Instant::now());
        let taken = async {
            sleep(seconds(1)).await;
            fence.shut();
        };
        let (written, ()) = tokio::join!(fence.guard(async |_| sleep(seconds(5)).await), taken);
        assert_eq!((written, begun.elapsed()), (Err(Fenced::Cut), seconds(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn right_after_a_start_a_write_waits_a_moment_for_the_first_word_and_no_longer() {
        let (fence, begun) = (Fence::new(), Instant::now());
        let said = async {
            sleep(seconds(1)).await;
            fence.open(Instant::now() + seconds(10), Instant::now() + seconds(14));
        };
        let (written, ()) = tokio::join!(fence.guard(async |_| ()), said);
        assert_eq!((written, begun.elapsed()), (Ok(()), seconds(1)));
        let (silent, begun) = (Fence::new(), Instant::now());
        assert_eq!(silent.guard(async |_| ()).await, Err(Fenced::NotBegun));
        assert_eq!(begun.elapsed(), MOMENT);
    }
}
