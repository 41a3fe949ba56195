//! Which SecretSyncs to look at, and when: at once, or after a pause that doubles with each failure in a row.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::BackOff;

/// A SecretSync by namespace and name.
pub(super) type Key = (String, String);

/// The SecretSyncs that want a look; each stands in it at most once.
pub(super) struct Queue {
    back_off: BackOff,
    due: BTreeMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

// === impl Queue ===

impl Queue {
    pub fn new(back_off: BackOff) -> Self {
        Self { back_off, due: BTreeMap::new(), failures: HashMap::new() }
    }

    /// Asks for a look at once; whatever pause there was is over.
    pub fn push(&mut self, key: Key) {
        self.due.insert(key, Instant::now());
    }

    /// Asks for another look after a failure.
    pub fn retry(&mut self, key: Key) {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = pause(self.back_off, *failures);
        *failures = failures.saturating_add(1);
        self.due.insert(key, Instant::now() + pause);
    }

    /// Forgets past failures, and what was asked.
    pub fn forget(&mut self, key: &Key) {
        self.due.remove(key);
        self.failures.remove(key);
    }

    /// Waits for the next one. It stays due until it is looked at.
    pub async fn next(&self) -> Key {
        let Some((key, due)) = self.due.iter().min_by_key(|(_, due)| **due) else {
            return std::future::pending().await;
        };
        sleep_until(*due).await;
        key.clone()
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
    fn thirteen_tries_fall_into_the_first_25_seconds_and_the_last_pause_is_16_minutes() {
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

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_meanwhile_does_not_wait_for_the_pause() {
        let mut queue = Queue::new(BackOff::default());
        let key: Key = ("n".to_owned(), "a".to_owned());
        for _ in 0..12 {
            queue.retry(key.clone());
        }
        let begun = Instant::now();
        queue.next().await;
        assert_eq!(begun.elapsed().as_millis(), 10_240);
        queue.push(key.clone());
        let begun = Instant::now();
        assert_eq!(queue.next().await, key);
        assert!(begun.elapsed().is_zero());
        queue.retry(key.clone());
        let begun = Instant::now();
        queue.next().await;
        assert_eq!(begun.elapsed().as_millis(), 20_480, "only a success ends the row of failures");
    }
}
