//! Restores a backup as the database and keeps the replaced one. No other process may use the database
//! meanwhile.
//!
//! The new database is prepared in a separate file next to the old one and then renamed. A process that is
//! killed at any point leaves either the old or the new database; the next start or the next restore removes
//! its leftovers.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{
    BUSY_TIMEOUT, FileError, Manifest, StoreError, directory, file_error, file_name, manifest, siblings,
    stamp, sync_directory, with_suffix,
};
use crate::{
    model::AuditAction,
    store::{
        Instance, NewAuditEvent, Options, Store, StoreFault, inspect::find_damage, migration::BackupFirst,
        schema, settings, statements,
    },
};

/// Suffixes of the write-ahead log and the shared memory file of a database in use.
const LOG: &str = "-wal";
const SHARED: &str = "-shm";
/// Suffix of the database that is being prepared.
const DRAFT: &str = ".restoring";
/// Suffix of a replaced database, followed by the time.
const REPLACED: &str = ".replaced-";

statements! {
    CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)";
}

/// The result of a restore.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// The manifest of the backup.
    pub manifest: Manifest,
    /// Where the previous database is kept, if there was one.
    pub kept: Option<PathBuf>,
}

/// The replaced database, and the path where it is kept if it exists.
struct Replaced<'a> {
    database: &'a Path,
    kept: Option<&'a Path>,
}

/// Why a restore failed; the database is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file has no manifest.
    #[error(
        "{} is not a backup: it has no manifest. Choose a file that `secret-service backup` or a scheduled \
         backup created",
        .0.display()
    )]
    NotABackup(PathBuf),
    /// The file was changed after it was created.
    #[error(
        "{} was changed or damaged: its content does not match the SHA-256 in its manifest. Use another \
         backup",
        .0.display()
    )]
    Tampered(PathBuf),
    /// The backup can't be used.
    #[error("{}: {error}", .file.display())]
    Backup {
        /// The backup.
        file: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// Another process uses the database.
    #[error("{} is in use by another process; stop that process, then restore again", .0.display())]
    InUse(PathBuf),
    /// The old database can't be kept.
    #[error("{}: {error}", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Restores a backup as the database. The caller must make sure that no service uses the database.
pub async fn restore(
    backup: &Path,
    database: &Path,
    instance: &Instance,
) -> Result<Restoration, RestoreError> {
    let restored = restore_by_steps(backup, database, instance, || Ok(())).await;
    if restored.is_err() {
        // A leftover draft is harmless but takes disk space.
        let _ = clear_draft(database);
    }
    restored
}

/// The same, with a hook before each step that changes something, for tests.
pub(in crate::store) async fn restore_by_steps(
    backup: &Path,
    database: &Path,
    instance: &Instance,
    mut before_step: impl FnMut() -> io::Result<()>,
) -> Result<Restoration, RestoreError> {
    clean_up_interrupted(database).map_err(file_error(database))?;
    clear_draft(database).map_err(file_error(database))?;
    let draft = with_suffix(database, DRAFT);
    before_step().map_err(file_error(database))?;
    copy(backup, &draft)?;
    let manifest = verify(backup, &draft, instance).await?;
    let kept = kept_name(database).map_err(file_error(database))?;
    before_step().map_err(file_error(database))?;
    let backup_error = |error| RestoreError::Backup { file: backup.to_owned(), error };
    prepare(&draft, (backup, &manifest), kept.as_deref(), instance).await.map_err(backup_error)?;
    let mut tell = || before_step().map_err(file_error(database)).map_err(RestoreError::from);
    tell()?;
    let replaced = Replaced { database, kept: kept.as_deref() };
    replaced.link(&mut tell)?;
    tell()?;
    let is_checkpointed = checkpoint(database).await?;
    tell()?;
    replaced.keep(is_checkpointed).map_err(file_error(database))?;
    tell()?;
    replaced.remove_old_log().map_err(file_error(database))?;
    tell()?;
    fs::rename(&draft, database).map_err(file_error(database))?;
    tell()?;
    sync_directory(database).map_err(file_error(database))?;
    Ok(Restoration { manifest, kept })
}

/// Copies a backup to the draft, readable only by its owner.
fn copy(backup: &Path, draft: &Path) -> Result<(), RestoreError> {
    let mut from = File::open(backup).map_err(file_error(backup))?;
    let to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft);
    let mut to = to.map_err(file_error(draft))?;
    Ok(io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(file_error(draft))?)
}

/// Checks that a copy of a backup is intact, belongs to this instance, and has a schema that this release
/// supports.
async fn verify(backup: &Path, copy: &Path, instance: &Instance) -> Result<Manifest, RestoreError> {
    let backup_error = |error| RestoreError::Backup { file: backup.to_owned(), error };
    let not_a_backup = || RestoreError::NotABackup(backup.to_owned());
    let manifest = match manifest::read(copy).await {
        Ok(manifest) => manifest.ok_or_else(not_a_backup)?,
        // Not a database: SQLITE_NOTADB.
        Err(error) if error.sqlite_code() == Some(26) => return Err(not_a_backup()),
        Err(error)
            if matches!(error, StoreError::Corrupt { .. }) || error.fault() == Some(StoreFault::Corrupt) =>
        {
            return Err(RestoreError::Tampered(backup.to_owned()));
        }
        Err(error) => return Err(backup_error(error)),
    };
    if !manifest::is_whole(copy, &manifest).await.map_err(file_error(backup))? {
        return Err(RestoreError::Tampered(backup.to_owned()));
    }
    instance
        .check_belongs_to(manifest.vault.as_deref(), manifest.namespace.as_deref())
        .map_err(backup_error)?;
    let looked = async {
        let options = SqliteConnectOptions::new().filename(copy).read_only(true).immutable(true);
        let mut connection = options.connect().await?;
        find_damage(&mut connection).await?;
        let missing = schema::missing(&mut connection).await;
        connection.close().await?;
        missing
    };
    match looked.await {
        Ok(_) => Ok(manifest),
        Err(StoreError::Newer { schema, release }) => {
            let release = release.or(Some(manifest.release));
            Err(backup_error(StoreError::Newer { schema, release }))
        }
        Err(error) => Err(backup_error(error)),
    }
}

/// Migrates a copy of a backup, begins a new history, and records its origin in the audit.
async fn prepare(
    draft: &Path,
    (backup, manifest): (&Path, &Manifest),
    kept: Option<&Path>,
    instance: &Instance,
) -> Result<(), StoreError> {
    let mut connection = SqliteConnectOptions::new().filename(draft).connect().await?;
    settings::unset(&mut connection, manifest::NAME).await?;
    connection.close().await?;
    let store = Store::opened(draft, Options::default(), BackupFirst::No).await?;
    store.belong_to(instance).await?;
    let mut transaction = store.begin().await?;
    transaction.begin_history(manifest).await?;
    let kept = kept.map_or_else(
        || "there was no previous database".to_owned(),
        |kept| format!("the previous database is kept as {}", kept.display()),
    );
    let Manifest { time, release, schema, sequence, audit_sequence, .. } = manifest;
    let detail = format!(
        "From {}, a backup of {time:.0} by release {release} (schema {schema}, change {sequence}, event \
         {audit_sequence}); {kept}",
        backup.display()
    );
    transaction.audit(NewAuditEvent::by_service(AuditAction::DatabaseRestored, "", detail)).await?;
    transaction.commit().await?;
    store.close().await;
    for beside in [LOG, SHARED] {
        if with_suffix(draft, beside).exists() {
            let error = io::Error::other("the write-ahead log could not be checkpointed");
            return Err(StoreError::Database(sqlx::Error::Io(error)));
        }
    }
    File::open(draft).and_then(|draft| draft.sync_all()).map_err(|error| sqlx::Error::Io(error).into())
}

/// Checkpoints the write-ahead log of a database into its file. `false` if the file is damaged: then both are
/// kept as they are.
async fn checkpoint(database: &Path) -> Result<bool, RestoreError> {
    if !database.exists() {
        return Ok(false);
    }
    let folded = async {
        let options = SqliteConnectOptions::new().filename(database).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        let folded = sqlx::query_as(CHECKPOINT).fetch_one(&mut connection).await;
        connection.close().await?;
        let (busy, _, _): (i64, i64, i64) = folded?;
        Ok::<_, StoreError>(busy != 0)
    };
    match folded.await {
        Ok(false) => Ok(true),
        Ok(true) => Err(RestoreError::InUse(database.to_owned())),
        Err(error) if error.fault() == Some(StoreFault::Corrupt) => Ok(false),
        Err(error) if error.is_busy() => Err(RestoreError::InUse(database.to_owned())),
        Err(error) => Err(RestoreError::Database { path: database.to_owned(), error }),
    }
}

/// The path where the replaced database will be kept; `None` if there is no database.
fn kept_name(database: &Path) -> io::Result<Option<PathBuf>> {
    if !database.try_exists()? {
        return Ok(None);
    }
    let kept = with_suffix(database, &format!("{REPLACED}{}", stamp(Timestamp::now())));
    let numbered = (2..).map(|number| with_suffix(&kept, &format!("-{number}")));
    let mut names = std::iter::once(kept.clone()).chain(numbered);
    Ok(names.find(|name| fs::symlink_metadata(name).is_err()))
}

// === impl Replaced ===

impl Replaced<'_> {
    /// Hard-links the database and its log. SQLite may delete a log that it can't use: the link preserves it.
    fn link(&self, tell: &mut impl FnMut() -> Result<(), RestoreError>) -> Result<(), RestoreError> {
        let Some(kept) = self.kept else { return Ok(()) };
        if fs::hard_link(self.database, kept).is_err() {
            // Without hard links, the database is copied after the checkpoint.
            return Ok(());
        }
        tell()?;
        let log = with_suffix(self.database, LOG);
        if log.exists() {
            fs::hard_link(&log, with_suffix(kept, LOG)).map_err(file_error(&log))?;
        }
        Ok(())
    }

    /// Makes the kept database complete.
    fn keep(&self, is_checkpointed: bool) -> io::Result<()> {
        let Some(kept) = self.kept else { return Ok(()) };
        let kept_log = with_suffix(kept, LOG);
        match (kept.try_exists()?, is_checkpointed) {
            (true, true) => remove(&kept_log)?,
            (true, false) => {}
            (false, _) => {
                copy_durably(self.database, kept)?;
                let log = with_suffix(self.database, LOG);
                if log.try_exists()? {
                    copy_durably(&log, &kept_log)?;
                }
            }
        }
        sync_directory(self.database)
    }

    /// Removes the log and the shared memory file of the old database, so that SQLite does not apply them to
    /// the new one. Keeps a log whose database is lost under another name.
    fn remove_old_log(&self) -> io::Result<()> {
        let log = with_suffix(self.database, LOG);
        if self.kept.is_none() && log.try_exists()? {
            let name = format!("{REPLACED}{}{LOG}", stamp(Timestamp::now()));
            fs::rename(&log, with_suffix(self.database, &name))?;
        }
        remove(&log)?;
        remove(&with_suffix(self.database, SHARED))?;
        sync_directory(self.database)
    }
}

fn copy_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Removes a file if it exists.
fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the leftovers of a restore that was killed before its rename: a hard link to the current database.
pub(in crate::store) fn clean_up_interrupted(database: &Path) -> io::Result<()> {
    let Some(own) = fs::metadata(database).ok().filter(|own| own.nlink() > 1) else { return Ok(()) };
    let prefix = format!("{}{REPLACED}", file_name(database));
    let is_database = |name: &str| name.starts_with(&prefix) && !name.ends_with(LOG);
    for other in siblings(database, is_database)? {
        let metadata = fs::metadata(&other)?;
        if (metadata.dev(), metadata.ino()) != (own.dev(), own.ino()) {
            continue;
        }
        let (aside, log) = (with_suffix(&other, LOG), with_suffix(database, LOG));
        if aside.try_exists()? && !log.try_exists()? {
            fs::rename(&aside, log)?;
        }
        remove(&aside)?;
        remove(&other)?;
    }
    sync_directory(database)
}

/// Removes the draft of an earlier restore.
fn clear_draft(database: &Path) -> io::Result<()> {
    let prefix = format!("{}{DRAFT}", file_name(database));
    if !directory(database).try_exists()? {
        return Ok(());
    }
    siblings(database, |name| name.starts_with(&prefix))?.into_iter().try_for_each(fs::remove_file)
}
