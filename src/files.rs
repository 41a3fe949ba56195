//! Values that are loaded from files and reloaded when the files change, such as certificates.
//!
//! A disk can be slow, and a network disk can hang forever. So files are read on a separate thread, one read
//! at a time, and meanwhile everyone uses the previous value.

use std::{
    fmt::{self, Display},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{task::JoinHandle, time::Instant};

/// Loads a value from files.
pub trait Loader: Send + Sync + 'static {
    /// The loaded value.
    type Value: Clone + Send + 'static;
    /// Why the files are not usable.
    type Error: Display + PartialEq + Send;

    /// Reads the files. Returns a value if they changed. May block.
    fn reload(&self, before: &Self::Value) -> Result<Option<Self::Value>, Self::Error>;

    /// Logs that the new content is in use.
    fn log_reloaded(&self, made: &Self::Value);

    /// Logs that the new content is not usable, and that the previous value stays in use.
    fn log_unusable(&self, problem: &Self::Error);
}

/// A value that follows its files. Clones share it.
pub struct Reloadable<S: Loader>(Arc<Inner<S>>);

struct Inner<S: Loader> {
    loader: S,
    every: Duration,
    held: Mutex<State<S>>,
}

struct State<S: Loader> {
    made: S::Value,
    /// When the files were last read since the first load.
    last_read: Option<Instant>,
    is_reading: bool,
    /// The problem that was last logged.
    logged: Option<S::Error>,
}

// === impl Reloadable ===

impl<S: Loader> Reloadable<S> {
    /// Follows the files that `made` was loaded from. Reads them at most once per `every`.
    pub fn new(loader: S, made: S::Value, every: Duration) -> Self {
        let held = State { made, last_read: None, is_reading: false, logged: None };
        Self(Arc::new(Inner { loader, every, held: Mutex::new(held) }))
    }

    /// The current value. Starts a read in the background if one is due.
    pub fn current(&self) -> S::Value {
        let looking = self.start_reload(self.0.every);
        drop(looking);
        self.value()
    }

    /// The current value.
    pub fn value(&self) -> S::Value {
        self.0.held().made.clone()
    }

    /// Starts to read the files, unless a read is in progress or the last one was less than `pause` ago.
    pub fn start_reload(&self, pause: Duration) -> Option<JoinHandle<()>> {
        let before = {
            let mut held = self.0.held();
            if held.is_reading || held.last_read.is_some_and(|last_read| last_read.elapsed() < pause) {
                return None;
            }
            held.is_reading = true;
            held.made.clone()
        };
        let inner = self.0.clone();
        Some(tokio::task::spawn_blocking(move || {
            // Also ends the read if it panics.
            let done = Done(&inner);
            let found = inner.loader.reload(&before);
            inner.take(found);
            drop(done);
        }))
    }
}

impl<S: Loader> fmt::Debug for Reloadable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloadable").finish_non_exhaustive()
    }
}

impl<S: Loader> Clone for Reloadable<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

// === impl Inner ===

impl<S: Loader> Inner<S> {
    fn take(&self, found: Result<Option<S::Value>, S::Error>) {
        let mut held = self.held();
        match found {
            Ok(None) => held.logged = None,
            Ok(Some(made)) => {
                self.loader.log_reloaded(&made);
                (held.made, held.logged) = (made, None);
            }
            Err(problem) if held.logged.as_ref() != Some(&problem) => {
                self.loader.log_unusable(&problem);
                held.logged = Some(problem);
            }
            Err(_) => {}
        }
    }

    fn held(&self) -> MutexGuard<'_, State<S>> {
        self.held.lock()
    }
}

/// Ends a read when dropped.
struct Done<'a, S: Loader>(&'a Inner<S>);

impl<S: Loader> Drop for Done<'_, S> {
    fn drop(&mut self) {
        let mut held = self.0.held();
        (held.is_reading, held.last_read) = (false, Some(Instant::now()));
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
        reads: Arc<AtomicUsize>,
        reported: Arc<Mutex<Vec<String>>>,
    }

    struct Disk {
        answers: Sender<Result<Option<u32>, String>>,
        reads: Arc<AtomicUsize>,
        reported: Arc<Mutex<Vec<String>>>,
    }

    impl Loader for Slow {
        type Value = u32;
        type Error = String;

        fn reload(&self, _: &u32) -> Result<Option<u32>, String> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.answers.lock().recv().unwrap()
        }

        fn log_reloaded(&self, made: &u32) {
            self.reported.lock().push(made.to_string());
        }

        fn log_unusable(&self, problem: &String) {
            self.reported.lock().push(problem.clone());
        }
    }

    fn followed() -> (Reloadable<Slow>, Disk) {
        let (answers, receiver) = channel();
        let disk = Disk { answers, reads: Arc::default(), reported: Arc::default() };
        let slow = Slow {
            answers: Mutex::new(receiver),
            reads: disk.reads.clone(),
            reported: disk.reported.clone(),
        };
        (Reloadable::new(slow, 0, Duration::ZERO), disk)
    }

    #[tokio::test]
    async fn a_hanging_disk_blocks_no_caller_and_gets_one_read() {
        let (followed, disk) = followed();
        let looking = followed.start_reload(Duration::ZERO).expect("it is time to look");
        for _ in 0..3 {
            assert_eq!(followed.current(), 0, "what the files said before still counts");
        }
        disk.answers.send(Ok(Some(1))).unwrap();
        looking.await.unwrap();
        assert_eq!((followed.value(), disk.reads.load(Ordering::Relaxed)), (1, 1));
    }

    #[tokio::test]
    async fn an_unusable_file_is_reported_once_and_again_after_it_was_usable() {
        let (followed, disk) = followed();
        let answers = [Err("torn"), Err("torn"), Err("gone"), Ok(None), Err("gone"), Ok(Some(2))];
        for answer in answers {
            disk.answers.send(answer.map_err(str::to_owned)).unwrap();
            followed.start_reload(Duration::ZERO).expect("no look is under way").await.unwrap();
        }
        assert_eq!(*disk.reported.lock(), ["torn", "gone", "gone", "2"]);
        assert_eq!(followed.value(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_read_no_more_often_than_the_interval() {
        let (followed, disk) = followed();
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(10)).await;
            disk.answers.send(Ok(None)).unwrap();
            followed.start_reload(Duration::from_secs(10)).expect("it is time to look").await.unwrap();
            assert!(followed.start_reload(Duration::from_secs(10)).is_none(), "it was just last_read at");
        }
    }
}
