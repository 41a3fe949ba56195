//! Backup and restore. A backup is one file: a database with a manifest in it.

mod manifest;
mod restore;
mod schedule;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{Timestamp, tz::TimeZone};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with, statvfs},
    io::Errno,
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::{BUSY_TIMEOUT, StoreError, inspect::find_damage, schema, statements};
use crate::quote::Quote;

pub use manifest::Manifest;
pub(super) use manifest::NAME;
pub(super) use restore::clean_up_interrupted;
pub use restore::{Restoration, RestoreError, restore};
pub use schedule::{BackupStatus, Schedule};
#[cfg(test)]
pub(super) use {
    manifest::{STATEMENTS as OF_MANIFESTS, seal},
    restore::{STATEMENTS as OF_RESTORES, restore_by_steps},
};

/// Number of backups from before migrations that are kept.
const KEPT_BEFORE_MIGRATION: usize = 3;

statements! {
    COPY = "VACUUM INTO ?1";
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file.
    pub file: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its size.
    pub bytes: u64,
}

/// Why a backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file with that name exists.
    #[error("{} already exists; choose another file name or pass --overwrite", .0.display())]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("{}: there is no database; set database.path to the path that the service uses", .0.display())]
    NoDatabase(PathBuf),
    /// The copy would take the disk space that the database needs.
    #[error(
        "{}: the disk of the database has {free} bytes free, but a copy needs {needed}; free some space or \
         choose a directory on another disk",
        .path.display()
    )]
    NoRoom {
        /// The target file.
        path: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes for the copy and for the growth of the database meanwhile.
        needed: u64,
    },
    /// The database failed.
    #[error("{}: {error}", .path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// The copy failed.
    #[error("{}: the copy failed: {error}", .path.display())]
    Copy {
        /// The target file.
        path: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

/// An error of a file or a directory.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .path.display(), Quote::error(.error))]
pub struct FileError {
    path: PathBuf,
    error: io::Error,
}

/// A temporary file, removed on drop unless it was published.
struct Draft(PathBuf);

/// Copies a consistent state of a database, even while a service writes to it. The file appears only when it
/// is complete, and only its owner can read it.
pub async fn back_up(database: &Path, file: &Path, overwrite: bool) -> Result<Backup, BackupError> {
    if !overwrite && fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    check_free_space(database, file)?;
    let draft = Draft::beside(file)?;
    copy(database, &draft.0).await?;
    let copy_error = |error| BackupError::Copy { path: file.to_owned(), error };
    let manifest = manifest::seal(&draft.0).await.map_err(copy_error)?;
    check_copy(&draft.0).await.map_err(copy_error)?;
    let bytes = fs::metadata(&draft.0).map_err(file_error(file))?.len();
    draft.publish(file, overwrite)?;
    Ok(Backup { file: file.to_owned(), manifest, bytes })
}

/// A copy must not fill the disk of the database: the write-ahead log grows while the copy runs.
fn check_free_space(database: &Path, file: &Path) -> Result<(), BackupError> {
    let (Ok(own), Ok(other)) = (fs::metadata(database), fs::metadata(directory(file))) else { return Ok(()) };
    let Some(disk) = statvfs(directory(file)).ok().filter(|_| own.dev() == other.dev()) else {
        return Ok(());
    };
    let (free, needed) = (disk.f_bavail.saturating_mul(disk.f_frsize), own.len() + own.len() / 8);
    match free < needed {
        true => Err(BackupError::NoRoom { path: file.to_owned(), free, needed }),
        false => Ok(()),
    }
}

/// Copies the database into an empty file.
async fn copy(database: &Path, draft: &Path) -> Result<(), BackupError> {
    let database_error = |error| BackupError::Database { path: database.to_owned(), error };
    if !database.try_exists().map_err(file_error(database))? {
        return Err(BackupError::NoDatabase(database.to_owned()));
    }
    let options = SqliteConnectOptions::new().filename(database).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await.map_err(StoreError::from).map_err(database_error)?;
    // Only the newer release knows how to back up and restore its schema.
    schema::missing(&mut connection).await.map_err(database_error)?;
    let copied = sqlx::query(COPY).bind(draft.display().to_string()).execute(&mut connection).await;
    copied.map_err(|error| BackupError::Copy { path: draft.to_owned(), error: error.into() })?;
    connection.close().await.map_err(StoreError::from).map_err(database_error)
}

/// Checks that a copy is intact.
async fn check_copy(copy: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(copy).read_only(true).immutable(true);
    let mut connection = options.connect().await?;
    find_damage(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Backs up a database next to it before a migration, and keeps the last few of those backups.
pub(super) async fn before_migration(database: &Path, schema: i64) -> Result<(), StoreError> {
    let prefix = format!("{}.schema-", file_name(database));
    let name = format!("{prefix}{schema:04}-{}.backup", stamp(Timestamp::now()));
    let file = database.with_file_name(name);
    let made = back_up(database, &file, false).await;
    let made = made.map_err(|error| StoreError::NotBackedUp(Box::new(error)))?;
    tracing::info!(
        file = %made.file.display(), schema, bytes = made.bytes,
        "backed up the database before its migration; to return to the older release, restore it with \
         `secret-service restore`"
    );
    let mut kept = siblings(&file, |name| name.starts_with(&prefix) && name.ends_with(".backup"))
        .map_err(sqlx::Error::Io)?;
    kept.sort();
    for oldest in kept.iter().rev().skip(KEPT_BEFORE_MIGRATION) {
        fs::remove_file(oldest).map_err(sqlx::Error::Io)?;
    }
    Ok(())
}

// === impl Draft ===

impl Draft {
    /// An empty file in the same directory.
    fn beside(file: &Path) -> Result<Self, BackupError> {
        let name = format!(".{}.{}.partial", file_name(file), Uuid::new_v4().simple());
        let draft = Self(file.with_file_name(name));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0);
        made.map_err(file_error(directory(file)))?;
        Ok(draft)
    }

    /// Renames it to its final name and syncs the directory.
    fn publish(self, file: &Path, overwrite: bool) -> Result<(), BackupError> {
        let renamed = if overwrite { fs::rename(&self.0, file) } else { rename_new(&self.0, file) };
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => file_error(file)(error).into(),
        })?;
        Ok(sync_directory(file).map_err(file_error(directory(file)))?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It no longer exists after it was published.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(with_suffix(&self.0, "-journal"));
    }
}

/// Renames unless the name is taken. Some network file systems can't do that atomically.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(from, to),
        },
        renamed => Ok(renamed?),
    }
}

/// Makes the names in a file's directory durable.
fn sync_directory(file: &Path) -> io::Result<()> {
    File::open(directory(file))?.sync_all()
}

/// The directory of a file.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path with a suffix.
fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The files in the same directory whose names match.
fn siblings(file: &Path, matches: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory(file))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&matches) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A time in the format of file names.
fn stamp(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError { path: path.clone(), error }
}
