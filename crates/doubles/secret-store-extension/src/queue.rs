//! A rate-limited work queue of SecretSyncs, like client-go's. A key that is pushed while it is processed is processed
//! once more; a failed key is retried with exponential back-off.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::BackOff;

/// A SecretSync by namespace and name.
pub(super) type Key = (String, String);

/// The queue.
pub(super) struct Queue {
    back_off: BackOff,
    /// The keys that are due, in order, each at most once.
    waiting: VecDeque<Key>,
    /// The dirty keys: due, or changed while they are processed.
    dirty: HashSet<Key>,
    /// The keys in process.
    processing: HashSet<Key>,
    /// The keys that are due later.
    delayed: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

// === impl Queue ===

impl Queue {
    pub fn new(back_off: BackOff) -> Self {
        Self {
            back_off,
            waiting: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: HashMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Adds a key now, even during its back-off.
    pub fn push(&mut self, key: Key) {
        if self.dirty.insert(key.clone()) && !self.processing.contains(&key) {
            self.waiting.push_back(key);
        }
    }

    /// Adds a key after its back-off.
    pub fn retry(&mut self, key: Key) {
        let failures = self.failures.entry(key.clone()).or_default();
        let due = Instant::now() + pause(self.back_off, *failures);
        *failures = failures.saturating_add(1);
        self.delayed.entry(key).and_modify(|already| *already = due.min(*already)).or_insert(due);
    }

    /// Resets the back-off of a key. Does not remove it from the queue.
    pub fn forget(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// Waits for the next key, which is in process until [`Self::done`].
    pub async fn next(&mut self) -> Key {
        loop {
            self.bring_forward();
            if let Some(key) = self.waiting.front().cloned() {
                self.take(&key);
                return key;
            }
            match self.delayed.values().min() {
                Some(due) => sleep_until(*due).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Takes a key out of turn.
    pub fn take(&mut self, key: &Key) {
        self.waiting.retain(|waiting| waiting != key);
        self.dirty.remove(key);
        // This replaces its later turn.
        self.delayed.remove(key);
        self.processing.insert(key.clone());
    }

    /// Ends the processing of a key.
    pub fn done(&mut self, key: &Key) {
        self.processing.remove(key);
        if self.dirty.contains(key) {
            self.waiting.push_back(key.clone());
        }
    }

    fn bring_forward(&mut self) {
        let now = Instant::now();
        let mut due: Vec<(Instant, Key)> =
            self.delayed.iter().map(|(key, due)| (*due, key.clone())).collect();
        due.retain(|(due, _)| *due <= now);
        due.sort();
        for (_, key) in due {
            self.delayed.remove(&key);
            self.push(key);
        }
    }
}

fn pause(back_off: BackOff, failures: u32) -> Duration {
    2_u32
        .checked_pow(failures)
        .map_or(back_off.cap, |factor| back_off.base.saturating_mul(factor).min(back_off.cap))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_thirteen_attempts_in_the_first_25_seconds_and_the_longest_pause_is_16_minutes() {
        let back_off = BackOff::default();
        let mut tries = 1;
        let mut passed = Duration::ZERO;
        while passed + pause(back_off, tries - 1) <= Duration::from_secs(25) {
            passed += pause(back_off, tries - 1);
            tries += 1;
        }
        assert_eq!(tries, 13);
        assert_eq!(pause(back_off, 12).as_millis(), 20_480);
        assert_eq!(pause(back_off, 99).as_secs() / 60, 16);
    }

    fn key() -> Key {
        ("n".to_owned(), "a".to_owned())
    }

    /// Takes a key and fails it.
    async fn fails(queue: &mut Queue) -> Duration {
        let begun = Instant::now();
        let key = queue.next().await;
        queue.retry(key.clone());
        queue.done(&key);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_during_the_back_off_is_due_at_once() {
        let mut queue = Queue::new(BackOff::default());
        queue.push(key());
        for _ in 0..12 {
            fails(&mut queue).await;
        }
        assert_eq!(fails(&mut queue).await.as_millis(), 10_240);
        queue.push(key());
        assert!(fails(&mut queue).await.is_zero());
        assert_eq!(fails(&mut queue).await.as_millis(), 40_960, "only a success ends the row of failures");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pushed_while_in_process_is_processed_once_more_whatever_the_result() {
        for fails in [false, true] {
            let mut queue =
                Queue::new(BackOff { base: Duration::from_secs(3_600), cap: Duration::from_secs(3_600) });
            queue.push(key());
            let taken = queue.next().await;
            queue.push(key());
            queue.push(key());
            assert!(queue.waiting.is_empty(), "never two looks at a time");
            if fails {
                queue.retry(taken.clone());
            } else {
                queue.forget(&taken);
            }
            queue.done(&taken);
            let begun = Instant::now();
            assert_eq!(queue.next().await, key());
            assert!(begun.elapsed().is_zero());
            queue.done(&key());
            assert!(queue.waiting.is_empty() && queue.dirty.is_empty() && queue.delayed.is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn due_keys_come_in_the_order_of_their_pushes() {
        let mut queue = Queue::new(BackOff::default());
        let name = |name: &str| ("n".to_owned(), name.to_owned());
        for key in ["c", "a", "b", "a"] {
            queue.push(name(key));
        }
        queue.take(&name("a"));
        queue.done(&name("a"));
        assert_eq!([queue.next().await, queue.next().await], [name("c"), name("b")]);
    }
}
