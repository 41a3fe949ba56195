//! Opens the database: checks, migrations, one connection that writes, and several that read.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex as SyncMutex;
use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Mutex, watch},
    time::timeout,
};

use super::{
    BUSY_TIMEOUT, Inner, Options, Signer, Store, StoreError, View, audit, backup, changes, clock,
    fault::Faults,
    identity, inspect,
    migration::{self, BackupFirst},
    rebuild, settings, synced_secrets,
};

/// Time limit of the check for damage at a start.
const DAMAGE_CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read, in addition to the writer.
const READERS: u32 = 4;

impl Store {
    /// Opens the database, creates or migrates it if necessary, and loads the view.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default()).await
    }

    /// Opens the database with options.
    pub async fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        options.run(Self::opened(path, options.clone(), BackupFirst::Yes)).await
    }

    /// Opens the database for reading, even while another process uses it. The view stays at the current
    /// state. An error if the schema is not the one of this release.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let readers = SqlitePoolOptions::new().max_connections(READERS).connect_with(options).await?;
        inspect::check_current(&readers).await?;
        let faults = Faults::new(path, Arc::default()).map_err(sqlx::Error::Io)?;
        let signer = Signer::new(&settings::known_key(&readers).await?);
        Self::with(readers.clone(), readers, signer, faults, Options::default()).await
    }

    pub(super) async fn opened(
        path: &Path,
        store_options: Options,
        backup_first: BackupFirst,
    ) -> Result<Self, StoreError> {
        backup::clean_up_interrupted(path).map_err(sqlx::Error::Io)?;
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
        check_for_damage(&options).await?;
        migration::migrate(&writer, path, backup_first).await?;
        if settings::get(&writer, backup::NAME).await?.is_some() {
            return Err(StoreError::IsBackup);
        }
        let restored_guards = audit::restore_guards(&writer).await?;
        audit::complete(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.create_if_missing(false).read_only(true))
            .await?;

        let signer = Signer::new(&settings::key(&writer).await?);
        let store = Self::with(writer, readers, signer, faults, store_options).await?;
        rebuild::mark_new(&store).await?;
        for guard in restored_guards {
            store.report_restored_guard(guard).await?;
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
            audit_reads: Mutex::default(),
            view,
            sequence: watch::Sender::new(place.sequence),
            commits: watch::Sender::new(()),
            signer,
            epoch,
            clock,
            unfilled: watch::Sender::new(false),
            faults,
            backups: SyncMutex::default(),
            growing: SyncMutex::default(),
            options,
        };
        Ok(Self(Arc::new(inner)))
    }
}

/// The one connection that writes. If the disk fails, SQLite ends the transaction by itself while the
/// connection still waits for its end; and a connection that was opened on a read-only file never writes. So
/// each fault replaces the connection.
async fn writer(options: SqliteConnectOptions, suspect: Arc<AtomicBool>) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new().max_connections(1).before_acquire(move |connection, _| {
        let is_suspect = suspect.swap(false, Ordering::AcqRel);
        Box::pin(async move {
            // A ping, so that pending work of the connection is done.
            connection.ping().await?;
            Ok(!connection.is_in_transaction() && !is_suspect)
        })
    });
    pool.connect_with(options).await
}

/// Uses its own connection: a check that takes too long continues there, and nobody waits for it.
async fn check_for_damage(options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let mut connection = options.connect().await?;
    match timeout(DAMAGE_CHECK_TIMEOUT, inspect::find_damage(&mut connection)).await {
        Ok(found) => found?,
        Err(_) => {
            tracing::warn!(
                "the check of the database for damage takes longer than {DAMAGE_CHECK_TIMEOUT:?}; starting \
                 without it"
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
