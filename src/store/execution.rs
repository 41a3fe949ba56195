//! Execution of statements: all of them run through this file.

use std::ops::{Deref, DerefMut};

use sqlx::{Sqlite, SqliteConnection};
use tokio::runtime::Handle;

use super::StoreError;

/// Options of a store.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For a simulation, which runs the service in one thread with a paused clock: a statement runs to
    /// completion within the poll that begins it. Otherwise SQLite's own threads, which the paused clock does
    /// not know, would let time pass during a statement, and the order of events would depend on their speed.
    ///
    /// Background tasks of the pools run in this runtime, which therefore needs its own thread. Absent in a
    /// service, where a statement never blocks the thread.
    pub inline: Option<Handle>,
}

/// A transaction in progress.
pub(super) struct Sql {
    transaction: Option<sqlx::Transaction<'static, Sqlite>>,
    options: Options,
}

// === impl Options ===

impl Options {
    /// Runs a database operation.
    pub(super) async fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let Some(runtime) = &self.inline else { return work.await };
        // In a separate thread: the number of polls would affect thread-local state, such as the seeds of
        // hash maps.
        std::thread::scope(|scope| {
            let driven = scope.spawn(|| {
                let _entered = runtime.enter();
                futures::executor::block_on(work)
            });
            driven.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A transaction with these options.
    pub(super) fn sql(&self, transaction: sqlx::Transaction<'static, Sqlite>) -> Sql {
        Sql { transaction: Some(transaction), options: self.clone() }
    }
}

// === impl Sql ===

impl Sql {
    /// Commits it.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        match self.transaction.take() {
            Some(transaction) => Ok(self.options.run(transaction.commit()).await?),
            None => Ok(()),
        }
    }
}

impl Drop for Sql {
    fn drop(&mut self) {
        let transaction = self.transaction.take();
        match &self.options.inline {
            // A task of that runtime returns the connection to its pool.
            Some(runtime) => drop(runtime.spawn(async move { drop(transaction) })),
            None => drop(transaction),
        }
    }
}

impl Deref for Sql {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.transaction.as_deref().expect("it is there until it is committed")
    }
}

impl DerefMut for Sql {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.transaction.as_deref_mut().expect("it is there until it is committed")
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::{
        model::{SyncEngine, SyncedSecret},
        store::{Record, Store},
    };

    #[tokio::test(start_paused = true)]
    async fn virtual_time_stands_still_while_an_inline_store_works() {
        let worker =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let options = Options { inline: Some(worker.handle().clone()) };
        // Under a paused clock, time passes when nothing is left to do: to this timer.
        tokio::spawn(tokio::time::sleep(Duration::from_secs(1)));
        let begun = Instant::now();
        let store = Store::open_with(&directory.path().join("a.db"), options).await.unwrap();
        for id in ["a", "b", "c"] {
            let mut secret = SyncedSecret::example(id);
            secret.uid = uuid::Uuid::new_v4();
            // Rolled back, then made: the connection comes back although nothing else runs meanwhile.
            for commits in [false, true] {
                let mut transaction = store.begin().await.unwrap();
                transaction.insert(Record::new(secret.clone(), SyncEngine::Direct)).await.unwrap();
                if commits {
                    transaction.commit().await.unwrap();
                }
            }
        }
        assert_eq!(store.view().snapshot().records.len(), 3);
        store.close().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        worker.shutdown_background();
    }
}
