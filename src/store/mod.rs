//! The database: desired and observed state, request ids, the change feed and the audit, in SQLite. All SQL
//! is here.
//!
//! There is one writer at a time: a [`Transaction`] holds the writer until it commits everything or nothing.
//! Readers of synced secrets never touch the disk: they read the [`View`], which holds what was committed.

mod audit;
mod backup;
mod changes;
mod clock;
mod disk_usage;
mod error;
mod execution;
mod fault;
mod feed;
mod identity;
mod inspect;
mod migration;
mod open;
mod rebuild;
mod record;
mod requests;
mod rows;
mod schema;
mod settings;
mod signer;
mod synced_secrets;
mod transaction;
mod view;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::{Mutex as SyncMutex, MutexGuard};
use sqlx::SqlitePool;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout},
};

pub use audit::{AuditFault, AuditFilter, AuditReport, NewAuditEvent, Ring, export_audit, verify_audit};
pub use backup::{
    Backup, BackupError, BackupStatus, Manifest, Restoration, RestoreError, Schedule, back_up, restore,
};
use clock::Clock;
pub use clock::Retention;
pub use disk_usage::{DiskUsage, TableSize, TableSizes, measure};
pub use error::StoreError;
pub use execution::Options;
use fault::Faults;
pub use fault::StoreFault;
pub use feed::{Feed, FeedPlace, HistoryDigest};
pub use identity::{Epoch, Instance, Restored};
pub use inspect::{Schema, inspect};
pub use rebuild::RebuildCause;
pub use record::{Delegation, EdgeRecord, Record};
pub use requests::{Recorded, Request};
pub use signer::Signer;
pub use transaction::Transaction;
pub use view::{Snapshot, View};

/// How long to wait for another process that has locked the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database and its in-memory view.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held from the begin of a transaction until the view shows it, so that the view follows the order of
    /// commits.
    turn: Arc<Mutex<()>>,
    /// Held by whoever reads the audit.
    audit_reads: Mutex<()>,
    view: View,
    sequence: watch::Sender<i64>,
    commits: watch::Sender<()>,
    signer: Signer,
    epoch: Epoch,
    clock: Clock,
    /// Whether the database is new and was not rebuilt from the edge yet.
    unfilled: watch::Sender<bool>,
    faults: Faults,
    /// Status of the scheduled backups, if any.
    backups: SyncMutex<Option<BackupStatus>>,
    /// Sizes of the growing tables as last counted.
    growing: SyncMutex<TableSizes>,
    options: Options,
}

// === impl Store ===

impl Store {
    /// The synced secrets as they were last committed.
    pub fn view(&self) -> &View {
        &self.0.view
    }

    /// Notifies of every commit, including changes that callers can't see.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.commits.subscribe()
    }

    /// Notifies of every change in the feed, with its sequence.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.0.sequence.subscribe()
    }

    /// Signs with the key of this database.
    pub fn signer(&self) -> Signer {
        self.0.signer.clone()
    }

    /// The time by the clock of this database, which only advances while the service runs. Retention follows
    /// it.
    pub fn clock(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The current fault of the database file or its disk, until a write succeeds again.
    pub fn fault(&self) -> watch::Receiver<Option<StoreFault>> {
        self.0.faults.subscribe()
    }

    fn backups(&self) -> MutexGuard<'_, Option<BackupStatus>> {
        self.0.backups.lock()
    }

    /// Whether the database can be read and written, checked within a time limit. Tries a write if the last
    /// one failed. If the check times out behind other writers, a successful write of theirs counts.
    pub async fn answers(&self, within: Duration) -> bool {
        let begun = Instant::now();
        match timeout(within, self.ping()).await {
            Ok(answered) => answered.is_ok(),
            Err(_) => self.0.faults.has_written_since(begun),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run(sqlx::query("SELECT 1").execute(&self.0.readers)).await?;
        let mut transaction = self.begin().await?;
        if self.0.faults.stands().is_some() {
            transaction.save_clock().await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Moves what the write-ahead log holds into the database file and closes it.
    pub async fn close(&self) {
        self.0.options.run(self.0.readers.close()).await;
        // Running transactions end first: with inline execution, nothing would drive them while the pool
        // waits for them.
        let _turn = self.0.turn.lock().await;
        self.0.options.run(self.0.writer.close()).await;
    }

    /// Runs a database operation and notes the disk fault that its error reports.
    async fn run<T: Send, E: Into<StoreError> + Send>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, StoreError> {
        self.noted(self.0.options.run(work).await.map_err(Into::into))
    }

    fn noted<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        done.inspect_err(|error| self.0.faults.note(error))
    }
}

/// Names SQL statements and lists them, so that a test can prepare every one.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* const $name: &str = $sql;)+
        #[cfg(test)]
        pub(in crate::store) const STATEMENTS: &[&str] = &[$($name,)+];
    };
}
use statements;

#[cfg(test)]
mod tests;
