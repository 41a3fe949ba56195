//! Values that are loaded from files and reloaded when the files change, such as certificates.
//!
//! A disk can be slow, and a network disk can hang forever. So files are read on a separate thread, one read
//! at a time, and meanwhile everyone uses the previous value.

use std::{
    fmt::{self, Display},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinHandle, time::Instant};

/// Loads a value from files.
pub trait Source: Send + Sync + 'static {
    /// The loaded value.
    type Made: Clone + Send + 'static;
    /// Why the files are not usable.
    type Problem: Display + PartialEq + Send;

    /// Reads the files. Returns a value if they changed. May block.
    fn look(&self, before: &Self::Made) -> Result<Option<Self::Made>, Self::Problem>;

    /// Logs that the new content is in use.
    fn tell_taken(&self, made: &Self::Made);

    /// Logs that the new content is not usable, and that the previous value stays in use.
    fn tell_unusable(&self, problem: &Self::Problem);
}

/// A value that follows its files. Clones share it.
pub struct Followed<S: Source>(Arc<Inner<S>>);

struct Inner<S: Source> {
    source: S,
    every: Duration,
    held: Mutex<Held<S>>,
}

struct Held<S: Source> {
    made: S::Made,
    /// When the files were last read since the first load.
    looked: Option<Instant>,
    is_looking: bool,
    /// The problem that was last logged.
    told: Option<S::Problem>,
}

// === impl Followed ===

impl<S: Source> Followed<S> {
    /// Follows the files that `made` was loaded from. Reads them at most once per `every`.
    pub fn new(source: S, made: S::Made, every: Duration) -> Self {
        let held = Held { made, looked: None, is_looking: false, told: None };
        Self(Arc::new(Inner { source, every, held: Mutex::new(held) }))
    }

    /// The current value. Starts a read in the background if one is due.
    pub fn current(&self) -> S::Made {
        let looking = self.look(self.0.every);
        drop(looking);
        self.made()
    }

    /// The current value.
    pub fn made(&self) -> S::Made {
        self.0.held().made.clone()
    }

    /// Starts to read the files, unless a read is in progress or the last one was less than `pause` ago.
    pub fn look(&self, pause: Duration) -> Option<JoinHandle<()>> {
        let before = {
            let mut held = self.0.held();
            if held.is_looking || held.looked.is_some_and(|looked| looked.elapsed() < pause) {
                return None;
            }
            held.is_looking = true;
            held.made.clone()
        };
        let inner = self.0.clone();
        Some(tokio::task::spawn_blocking(move || {
            // Also ends the read if it panics.
            let done = Done(&inner);
            let found = inner.source.look(&before);
            inner.take(found);
            drop(done);
        }))
    }
}

impl<S: Source> fmt::Debug for Followed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").finish_non_exhaustive()
    }
}

impl<S: Source> Clone for Followed<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl Inner ===

impl<S: Source> Inner<S> {
    fn take(&self, found: Result<Option<S::Made>, S::Problem>) {
        let mut held = self.held();
        match found {
            Ok(None) => held.told = None,
            Ok(Some(made)) => {
                self.source.tell_taken(&made);
                (held.made, held.told) = (made, None);
            }
            Err(problem) if held.told.as_ref() != Some(&problem) => {
                self.source.tell_unusable(&problem);
                held.told = Some(problem);
            }
            Err(_) => {}
        }
    }

    fn held(&self) -> MutexGuard<'_, Held<S>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a read when dropped.
struct Done<'a, S: Source>(&'a Inner<S>);

impl<S: Source> Drop for Done<'_, S> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        (held.is_looking, held.looked) = (false, Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    };

    use super::*;

    /// Files on a disk that answers when the test says so.
    struct Slow {
        answers: Mutex<Receiver<Result<Option<u32>, String>>>,
        looks: Arc<AtomicUsize>,
        told: Arc<Mutex<Vec<String>>>,
    }

    struct Disk {
        answers: Sender<Result<Option<u32>, String>>,
        looks: Arc<AtomicUsize>,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Source for Slow {
        type Made = u32;
        type Problem = String;

        fn look(&self, _: &u32) -> Result<Option<u32>, String> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            self.answers.lock().unwrap().recv().unwrap()
        }

        fn tell_taken(&self, made: &u32) {
            self.told.lock().unwrap().push(made.to_string());
        }

        fn tell_unusable(&self, problem: &String) {
            self.told.lock().unwrap().push(problem.clone());
        }
    }

    fn followed() -> (Followed<Slow>, Disk) {
        let (answers, receiver) = channel();
        let disk = Disk { answers, looks: Arc::default(), told: Arc::default() };
        let slow = Slow { answers: Mutex::new(receiver), looks: disk.looks.clone(), told: disk.told.clone() };
        (Followed::new(slow, 0, Duration::ZERO), disk)
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_nobody_and_is_asked_once() {
        let (followed, disk) = followed();
        let looking = followed.look(Duration::ZERO).expect("it is time to look");
        for _ in 0..3 {
            assert_eq!(followed.current(), 0, "what the files said before still counts");
        }
        disk.answers.send(Ok(Some(1))).unwrap();
        looking.await.unwrap();
        assert_eq!((followed.made(), disk.looks.load(Ordering::Relaxed)), (1, 1));
    }

    #[tokio::test]
    async fn what_can_not_be_used_is_told_once_and_again_after_it_was_good() {
        let (followed, disk) = followed();
        let answers = [Err("torn"), Err("torn"), Err("gone"), Ok(None), Err("gone"), Ok(Some(2))];
        for answer in answers {
            disk.answers.send(answer.map_err(str::to_owned)).unwrap();
            followed.look(Duration::ZERO).expect("no look is under way").await.unwrap();
        }
        assert_eq!(*disk.told.lock().unwrap(), ["torn", "gone", "gone", "2"]);
        assert_eq!(followed.made(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_files_are_looked_at_no_more_often_than_is_told() {
        let (followed, disk) = followed();
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(10)).await;
            disk.answers.send(Ok(None)).unwrap();
            followed.look(Duration::from_secs(10)).expect("it is time to look").await.unwrap();
            assert!(followed.look(Duration::from_secs(10)).is_none(), "it was just looked at");
        }
    }
}
