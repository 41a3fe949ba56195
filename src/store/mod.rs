//! What is recorded: desired and observed state, request ids, the change feed and the audit, in SQLite. All SQL is here.
//!
//! One writer at a time: a [`Transaction`] holds the writer until it is committed, and commits all it did or nothing.
//! Readers of synced secrets never touch the disk: they read the [`View`], which holds what was committed.

mod audit;
mod backup;
mod changes;
mod clock;
mod driving;
mod error;
mod fault;
mod identity;
mod inspect;
mod open;
mod rebuild;
mod record;
mod requests;
mod room;
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
    Backup, BackupError, BackupStanding, Manifest, Restoration, RestoreError, Schedule, back_up, restore,
};
pub use changes::{Feed, FeedPlace, History};
use clock::Clock;
pub use clock::Keep;
pub use driving::Options;
pub use error::StoreError;
use fault::Faults;
pub use fault::StoreFault;
pub use identity::{Epoch, Instance, Restored};
pub use inspect::{Schema, inspect};
pub use rebuild::RebuildCause;
pub use record::{EdgeRecord, Handed, Record};
pub use requests::{Recorded, Request};
pub use room::{Growing, Room, Taken, measure};
pub use signer::Signer;
pub use transaction::Transaction;
pub use view::{Snapshot, View};

/// Waits this long for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database, and what it holds in memory.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Held from the beginning of a transaction until the view shows it, so that the view follows the order of commits.
    turn: Arc<Mutex<()>>,
    view: View,
    sequence: watch::Sender<i64>,
    commits: watch::Sender<()>,
    signer: Signer,
    epoch: Epoch,
    clock: Clock,
    /// Whether it is new and still to be filled with what the edge holds.
    unfilled: watch::Sender<bool>,
    faults: Faults,
    /// How the scheduled backups went, where there are any.
    backups: SyncMutex<Option<BackupStanding>>,
    /// What grows, as it was last counted.
    growing: SyncMutex<Growing>,
    options: Options,
}

// === impl Store ===

impl Store {
    /// The synced secrets as they were last committed.
    pub fn view(&self) -> &View {
        &self.0.view
    }

    /// Tells of every commit, also of what no caller sees: an attempt that failed as the one before did.
    pub fn commits(&self) -> watch::Receiver<()> {
        self.0.commits.subscribe()
    }

    /// Tells of every commit that changed a synced secret, by the sequence of the change feed.
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.0.sequence.subscribe()
    }

    /// Signs with the key of this database.
    pub fn signer(&self) -> Signer {
        self.0.signer.clone()
    }

    /// What the clock of this database shows: by it, what is kept for a time grows old, only while the service runs.
    pub fn clock(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Tells what is wrong with the database's file or its disk, until a write goes well again.
    pub fn fault(&self) -> watch::Receiver<Option<StoreFault>> {
        self.0.faults.subscribe()
    }

    fn backups(&self) -> MutexGuard<'_, Option<BackupStanding>> {
        self.0.backups.lock()
    }

    /// Whether it can be read and written, found out within a time. Where the last write failed, tries one. Whoever waits long behind others who
    /// write knows that it can be written.
    pub async fn answers(&self, within: Duration) -> bool {
        let asked = Instant::now();
        match timeout(within, self.ping()).await {
            Ok(answered) => answered.is_ok(),
            Err(_) => self.0.faults.has_written_since(asked),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run(sqlx::query("SELECT 1").execute(&self.0.readers)).await?;
        let mut transaction = self.begin().await?;
        if self.0.faults.stands().is_some() {
            transaction.keep_clock().await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Moves what the write-ahead log holds into the database file and closes it.
    pub async fn close(&self) {
        self.0.options.run(self.0.readers.close()).await;
        // Who is changing something ends first: driven inline, there would be nobody to go on while the pool waits for them.
        let _turn = self.0.turn.lock().await;
        self.0.options.run(self.0.writer.close()).await;
    }

    /// Runs what uses the database, and takes note of what its error says of the disk.
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
