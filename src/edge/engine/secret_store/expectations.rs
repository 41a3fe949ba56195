//! Our own writes that the watch has not shown yet (client-go's expectations). Until it does, the cache is
//! older than the write.

use std::{collections::HashMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// The latest writes of one kind, by name.
#[derive(Default)]
pub(super) struct Expectations(Mutex<HashMap<String, Write>>);

/// The object as it was after our write.
struct Write {
    uid: Option<String>,
    generation: i64,
    time: Instant,
}

impl Expectations {
    /// Expects the watch to show a write.
    pub(super) fn expect(&self, name: &str, uid: Option<String>, generation: i64) {
        self.lock().insert(name.to_owned(), Write { uid, generation, time: Instant::now() });
    }

    /// Drops the expectation of a name.
    pub(super) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    /// How long the cached object has been older than the latest write. None if it is not older.
    pub(super) fn unmet(&self, name: &str, shown: Option<&ObjectMeta>) -> Option<Duration> {
        let mut all = self.lock();
        let write = all.get(name)?;
        let is_met =
            |shown: &ObjectMeta| shown.uid == write.uid && shown.generation >= Some(write.generation);
        if shown.is_some_and(is_met) {
            all.remove(name);
            return None;
        }
        Some(write.time.elapsed())
    }

    /// The watch reported a deletion.
    pub(super) fn deleted(&self, object: &ObjectMeta) {
        let Some(name) = object.name.as_deref() else { return };
        let mut all = self.lock();
        if all.get(name).is_some_and(|write| write.uid == object.uid) {
            all.remove(name);
        }
    }

    /// A list that began at that time is complete: it contains every earlier write, or the object is gone.
    pub(super) fn listed(&self, begun: Instant) {
        self.lock().retain(|_, write| write.time >= begun);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Write>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MOMENT: Duration = Duration::from_secs(1);

    fn shown(uid: &str, generation: i64) -> ObjectMeta {
        ObjectMeta {
            name: Some("a".to_owned()),
            uid: Some(uid.to_owned()),
            generation: Some(generation),
            ..ObjectMeta::default()
        }
    }

    async fn of_a_write() -> Expectations {
        let expectations = Expectations::default();
        expectations.expect("a", Some("second".to_owned()), 3);
        advance(MOMENT).await;
        expectations
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_older_than_our_write_does_not_answer_it() {
        let expectations = of_a_write().await;
        for older in [None, Some(shown("first", 7)), Some(shown("second", 2))] {
            assert_eq!(expectations.unmet("a", older.as_ref()), Some(MOMENT), "{older:?}");
        }
        assert_eq!(expectations.unmet("b", None), None, "nobody wrote that");
        assert_eq!(expectations.unmet("a", Some(&shown("second", 4))), None);
        assert_eq!(expectations.unmet("a", None), None, "what was shown once is no longer awaited");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_object_is_no_longer_expected() {
        let expectations = of_a_write().await;
        expectations.deleted(&shown("first", 7));
        assert!(expectations.unmet("a", None).is_some(), "another one of that name is gone");
        expectations.deleted(&shown("second", 3));
        assert_eq!(expectations.unmet("a", None), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_satisfies_expectations_of_writes_before_its_start() {
        let expectations = Expectations::default();
        let begun = Instant::now();
        advance(MOMENT).await;
        expectations.expect("a", None, 1);
        expectations.listed(begun);
        assert!(expectations.unmet("a", None).is_some());
        advance(MOMENT).await;
        expectations.listed(Instant::now());
        assert_eq!(expectations.unmet("a", None), None);
    }
}
