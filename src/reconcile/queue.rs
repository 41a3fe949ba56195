//! The work queue: each synced secret stands in it at most once, is worked on by one worker at a time, and what a person
//! waits for goes first.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::RngExt;
use tokio::{sync::Notify, time::Instant};
use uuid::Uuid;

use super::Reads;

/// The first pause after a failure; doubles with each one after.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Why to look at a synced secret.
#[derive(Clone, Default)]
pub struct Wake {
    /// Read its values anew, and share the reads with whoever else has these.
    pub refetch: Option<Arc<Reads>>,
    /// A person waits for it.
    pub interactive: bool,
}

/// Synced secrets that want a look.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    pushed: Notify,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Uuid, Wake>,
    interactive: VecDeque<Uuid>,
    background: VecDeque<Uuid>,
    later: BinaryHeap<Reverse<(Instant, Uuid)>>,
    running: HashSet<Uuid>,
    failures: HashMap<Uuid, u32>,
}

/// How a look ended.
pub(super) enum Outcome {
    /// There is nothing left to do until the next event.
    Done,
    /// Look again after a pause that grows; not before the duration given.
    Retry(Option<Duration>),
    /// Look again at once.
    Again,
}

impl Queue {
    /// Asks for a look, as soon as a worker is free.
    pub(super) fn push(&self, uid: Uuid, wake: Wake) {
        let mut state = self.lock();
        state.push(uid, wake);
        drop(state);
        self.pushed.notify_one();
    }

    /// Waits for work. Whoever takes it says how it ended by [`Queue::finish`].
    pub(super) async fn pop(&self) -> (Uuid, Wake) {
        loop {
            let pushed = self.pushed.notified();
            let due = {
                let mut state = self.lock();
                state.bring_forward(Instant::now());
                if let Some(work) = state.pop() {
                    if state.has_ready() {
                        self.pushed.notify_one();
                    }
                    return work;
                }
                state.later.peek().map(|Reverse((due, _))| *due)
            };
            match due {
                Some(due) => tokio::select! { () = pushed => {}, () = tokio::time::sleep_until(due) => {} },
                None => pushed.await,
            }
        }
    }

    /// Gives work back.
    pub(super) fn finish(&self, uid: Uuid, outcome: Outcome) {
        let mut state = self.lock();
        state.running.remove(&uid);
        match outcome {
            Outcome::Done => {
                state.failures.remove(&uid);
            }
            Outcome::Again => state.push(uid, Wake::default()),
            Outcome::Retry(at_least) => {
                let failures = state.failures.entry(uid).or_default();
                let pause = pause(*failures).max(at_least.unwrap_or_default());
                *failures = failures.saturating_add(1);
                state.later.push(Reverse((Instant::now() + pause, uid)));
            }
        }
        // What came while it was worked on stands in `waiting` but in no line.
        if let Some(wake) = state.waiting.get(&uid) {
            let interactive = wake.interactive;
            state.line_up(uid, interactive);
        }
        drop(state);
        self.pushed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no one panics while holding the queue")
    }
}

impl State {
    fn push(&mut self, uid: Uuid, wake: Wake) {
        let interactive = wake.interactive;
        match self.waiting.get_mut(&uid) {
            Some(waiting) => {
                waiting.refetch = wake.refetch.or(waiting.refetch.take());
                let promoted = interactive && !waiting.interactive;
                waiting.interactive |= interactive;
                if !promoted {
                    return;
                }
            }
            None => {
                self.waiting.insert(uid, wake);
            }
        }
        if !self.running.contains(&uid) {
            self.line_up(uid, interactive);
        }
    }

    fn line_up(&mut self, uid: Uuid, interactive: bool) {
        match interactive {
            true => self.interactive.push_back(uid),
            false => self.background.push_back(uid),
        }
    }

    fn pop(&mut self) -> Option<(Uuid, Wake)> {
        while let Some(uid) = self.interactive.pop_front().or_else(|| self.background.pop_front()) {
            // Not in `waiting`: it was promoted to the other line and has been worked on since.
            if let Some(wake) = self.waiting.remove(&uid) {
                self.running.insert(uid);
                return Some((uid, wake));
            }
        }
        None
    }

    fn has_ready(&self) -> bool {
        !self.interactive.is_empty() || !self.background.is_empty()
    }

    fn bring_forward(&mut self, now: Instant) {
        while self.later.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            if let Some(Reverse((_, uid))) = self.later.pop() {
                self.push(uid, Wake::default());
            }
        }
    }
}

/// Full jitter: anything up to the doubled pause, so that many failures at once do not come back at once.
fn pause(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST_PAUSE);
    longest.mul_f64(rand::rng().random_range(0.05..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interactive() -> Wake {
        Wake { interactive: true, ..Wake::default() }
    }

    #[tokio::test]
    async fn a_secret_that_is_woken_twice_is_worked_on_once() {
        let (queue, uid) = (Queue::default(), Uuid::new_v4());
        queue.push(uid, Wake::default());
        queue.push(uid, Wake::default());
        assert_eq!(queue.pop().await.0, uid);
        queue.finish(uid, Outcome::Done);
        assert!(queue.lock().pop().is_none());
    }

    #[tokio::test]
    async fn what_a_person_waits_for_goes_first() {
        let (queue, slow, fast) = (Queue::default(), Uuid::new_v4(), Uuid::new_v4());
        queue.push(slow, Wake::default());
        queue.push(fast, interactive());
        assert_eq!(queue.pop().await.0, fast);
        assert_eq!(queue.pop().await.0, slow);
    }

    #[tokio::test]
    async fn a_secret_is_never_worked_on_by_two_and_no_wake_is_lost() {
        let (queue, uid) = (Queue::default(), Uuid::new_v4());
        queue.push(uid, Wake::default());
        queue.pop().await;
        queue.push(uid, interactive());
        assert!(queue.lock().pop().is_none());
        queue.finish(uid, Outcome::Done);
        let (again, wake) = queue.pop().await;
        assert!(again == uid && wake.interactive);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_comes_back_after_its_pause_and_not_before_the_time_it_was_given() {
        let (queue, uid) = (Queue::default(), Uuid::new_v4());
        queue.push(uid, Wake::default());
        queue.pop().await;
        let failed = Instant::now();
        queue.finish(uid, Outcome::Retry(Some(Duration::from_secs(20))));
        assert_eq!(queue.pop().await.0, uid);
        assert!(failed.elapsed() >= Duration::from_secs(20));
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        assert!(pause(0) <= FIRST_PAUSE);
        assert!((0..100).all(|_| pause(u32::MAX) <= LONGEST_PAUSE));
    }
}
