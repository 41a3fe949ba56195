//! What is recorded: desired and observed state, request ids, the change feed and the audit, in SQLite. All SQL is here.
//!
//! One writer at a time: a [`Transaction`] holds the writer until it is committed, and commits all it did or nothing.
//! Readers of synced secrets never touch the disk: they read the [`View`], which holds what was committed.

mod audit;
mod backup;
mod changes;
mod clock;
mod driving;
mod fault;
mod identity;
mod inspect;
mod rebuild;
mod record;
mod requests;
mod room;
mod rows;
mod schema;
mod settings;
mod synced_secrets;
mod view;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::hmac;
use jiff::Timestamp;
use parking_lot::{Mutex as StdMutex, MutexGuard};
use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
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
use fault::Faults;
pub use fault::StoreFault;
pub use identity::{Epoch, Instance, Restored};
pub use inspect::{Schema, inspect};
pub use rebuild::RebuildCause;
pub use record::{EdgeRecord, Handed, Record};
pub use requests::{Recorded, Request};
pub use room::{Growing, Room, Taken, measure};
use schema::BackupFirst;
pub use view::{Snapshot, View};

use crate::{model::ChainedEvent, quote::Quote};

/// Waits this long for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that a start looks for damage.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
/// Connections that read besides the writer.
const READERS: u32 = 4;

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
    backups: StdMutex<Option<BackupStanding>>,
    /// What grows, as it was last counted.
    growing: StdMutex<Growing>,
    options: Options,
}

/// Signs with the key of a database: fingerprints and tokens.
#[derive(Clone)]
pub struct Signer(hmac::Key);

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id is taken.
    #[error("a synced secret of this name exists")]
    AlreadyExists,
    /// Nothing of this name is recorded.
    #[error("no synced secret of this name is recorded")]
    NotFound,
    /// What is asked for has changed since it was read.
    #[error("the synced secret was changed meanwhile")]
    Stale,
    /// The call is recorded already.
    #[error("this call is recorded already")]
    RequestRecorded,
    /// A request id that was used for a request with other content.
    #[error("this request_id was used for another request")]
    RequestIdReused,
    /// A request id that was used before the database was restored from a backup.
    #[error("this request_id was used before the database was restored from a backup")]
    RequestOfAnotherHistory,
    /// A stored row breaks a rule of the model.
    #[error("table {table}, column {column}, row {row}: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Its primary key.
        row: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database was made by a newer release.
    #[error(
        "the database was made by a newer release{} (schema {schema}; {} knows up to {}): run that release, or go back to a \
         backup of this one with `secret-service restore FILE`",
        .release.as_ref().map(|release| format!(", {release}")).unwrap_or_default(),
        env!("CARGO_PKG_VERSION"),
        schema::MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
    )]
    Newer {
        /// Its schema.
        schema: i64,
        /// The release that brought it there.
        release: Option<String>,
    },
    /// The database was made by an older release.
    #[error("the database was made by an older release; start the service once, which brings it up to date")]
    Older,
    /// The database holds what belongs to another instance.
    #[error(
        "it belongs to the {what} {recorded:?}, and {configured:?} is configured: set {} back, or give this {what} a database of its own \
         (database.path)",
        if *.what == "vault" { "vault.uri" } else { "kubernetes.namespace" }
    )]
    Foreign {
        /// Of what: vault or namespace.
        what: &'static str,
        /// Whose it is.
        recorded: String,
        /// What is configured.
        configured: String,
    },
    /// A backup stands where the database should be.
    #[error(
        "this is a backup: put it in place with `secret-service restore FILE`, so that callers are told that it is another history"
    )]
    IsBackup,
    /// A migration is due, and the backup that comes before it failed.
    #[error("it must be migrated, and the backup before that failed: {0}")]
    NotBackedUp(#[source] Box<BackupError>),
    /// The database itself.
    #[error("the database: {}", Quote::error(.0))]
    Database(#[from] sqlx::Error),
    /// A page of the file is not what SQLite wrote there.
    #[error("the database file is damaged: {0}")]
    Damaged(Quote),
    /// The file is no longer the one that was opened: what is written to that one, the next start will not find.
    #[error("the database file {} was removed or replaced while the service uses it", .0.display())]
    Lost(PathBuf),
    /// The task that commits has ended before it was done.
    #[error("the service is stopping")]
    Stopping,
}

/// A change of the database in progress. Dropped without [`Transaction::commit`], it never happened.
pub struct Transaction {
    store: Store,
    sql: driving::Sql,
    effects: Vec<view::Effect>,
    /// To be logged once they are recorded.
    events: Vec<ChainedEvent>,
    /// Whether a new database is filled with this.
    filled: bool,
    _turn: OwnedMutexGuard<()>,
}

// === impl StoreError ===

impl StoreError {
    /// What it says is wrong with the database's file or its disk, where it says that.
    pub fn fault(&self) -> Option<StoreFault> {
        StoreFault::of(self)
    }

    /// Whether someone else holds the database, or all its connections are taken: waiting may be enough.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut)) || matches!(self.sqlite_code(), Some(5 | 6))
    }

    /// SQLite's primary result code.
    fn sqlite_code(&self) -> Option<u32> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        Some(error.code()?.parse::<u32>().ok()? & 0xff)
    }
}

// === impl Store ===

impl Store {
    /// Opens the database, makes it or brings it to the current schema, and reads what is in it.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default()).await
    }

    /// Opens the database, to work as the options say.
    pub async fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        options.run(Self::opened(path, options.clone(), BackupFirst::Yes)).await
    }

    /// Opens the database as it is, beside a process that may work with it: it is never changed, and nothing else is shown of it than was
    /// committed until now. An error where its schema is not the one of this release.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        inspect::check_current(&readers).await?;
        let faults = Faults::new(path, Arc::default()).map_err(sqlx::Error::Io)?;
        let signer = Signer::new(&settings::known_key(&readers).await?);
        Self::with(readers.clone(), readers, signer, faults, Options::default()).await
    }

    async fn opened(path: &Path, driving: Options, backup_first: BackupFirst) -> Result<Self, StoreError> {
        backup::mend_interrupted(path).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let suspect = Arc::<AtomicBool>::default();
        let writer = writer(options.clone(), suspect.clone()).await?;
        restrict_to_owner(path)?;
        let faults = Faults::new(path, suspect).map_err(sqlx::Error::Io)?;
        look_for_damage(&options).await?;
        schema::migrate(&writer, path, backup_first).await?;
        if settings::get(&writer, backup::NAME).await?.is_some() {
            return Err(StoreError::IsBackup);
        }
        let unguarded = audit::restore_guards(&writer).await?;
        audit::complete(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;

        let signer = Signer::new(&settings::key(&writer).await?);
        let store = Self::with(writer, readers, signer, faults, driving).await?;
        rebuild::mark_new(&store).await?;
        for guard in unguarded {
            store.tell_unguarded(guard).await?;
        }
        Ok(store)
    }

    async fn with(
        writer: SqlitePool,
        readers: SqlitePool,
        signer: Signer,
        faults: Faults,
        options: Options,
    ) -> Result<Self, StoreError> {
        let (epoch, clock) = (identity::epoch(&writer).await?, clock::read(&writer).await?);
        let (records, place) = (synced_secrets::load(&readers).await?, changes::last_place(&readers).await?);
        let view = View::new(records, place);
        let inner = Inner {
            writer,
            readers,
            turn: Arc::new(Mutex::new(())),
            view,
            sequence: watch::Sender::new(place.sequence),
            commits: watch::Sender::new(()),
            signer,
            epoch,
            clock,
            unfilled: watch::Sender::new(false),
            faults,
            backups: StdMutex::default(),
            growing: StdMutex::default(),
            options,
        };
        Ok(Self(Arc::new(inner)))
    }

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

    /// Begins a change; waits for the one before.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = self.0.turn.clone().lock_owned().await;
        self.noted(self.0.faults.look())?;
        let sql = self.run(self.0.writer.begin_with("BEGIN IMMEDIATE")).await?;
        let sql = self.0.options.sql(sql);
        Ok(Transaction {
            store: self.clone(),
            sql,
            effects: Vec::new(),
            events: Vec::new(),
            filled: false,
            _turn: turn,
        })
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

// === impl Signer ===

impl Signer {
    /// With a key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// `purpose` keeps different uses apart.
    pub fn sign(&self, purpose: &str, content: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(content);
        context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}

// === impl Transaction ===

impl Transaction {
    /// Makes it durable, shows it in the view and tells who waits for changes. Goes on also if the caller goes away.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = tokio::spawn(async move {
            let Self { store, sql, effects, events, filled, _turn } = self;
            store.noted(sql.commit().await)?;
            // Committed to a file that is gone, it is lost with this process.
            if let Err(lost @ StoreError::Lost(_)) = store.noted(store.0.faults.look()) {
                return Err(lost);
            }
            store.0.faults.written();
            events.iter().for_each(audit::log);
            if let Some(sequence) = store.0.view.apply(effects) {
                store.0.sequence.send_replace(sequence);
            }
            if filled {
                store.0.unfilled.send_replace(false);
            }
            store.0.commits.send_replace(());
            Ok(())
        });
        committed.await.unwrap_or(Err(StoreError::Stopping))
    }
}

/// The one connection that writes. Where the disk fails a transaction, SQLite ends it by itself, and the connection goes on waiting for its
/// end; and one that is opened while the file can't be written never writes to it. So after each fault the next one who writes gets another.
async fn writer(options: SqliteConnectOptions, suspect: Arc<AtomicBool>) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new().max_connections(1).before_acquire(move |connection, _| {
        let is_suspect = suspect.swap(false, Ordering::AcqRel);
        Box::pin(async move {
            // After this one, what was asked of it before is done.
            connection.ping().await?;
            Ok(!connection.is_in_transaction() && !is_suspect)
        })
    });
    pool.connect_with(options).await
}

/// On a connection of its own: a look that takes too long goes on there until it ends, and nobody waits for it.
async fn look_for_damage(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection = options.connect().await?;
    match timeout(LONGEST_LOOK, inspect::find_damage(&mut connection)).await {
        Ok(found) => found?,
        Err(_) => {
            tracing::warn!(
                "the database is too large to look for damage in {LONGEST_LOOK:?}; the start goes on"
            );
            return Ok(());
        }
    }
    Ok(connection.close().await?)
}

fn restrict_to_owner(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::Database(sqlx::Error::Io(error)))
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
