//! Backups: one file, which is a database of its own with a manifest in it, and the way back from one.

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
pub(super) use restore::mend_interrupted;
pub use restore::{Restoration, RestoreError, restore};
pub use schedule::{BackupStanding, Schedule};
#[cfg(test)]
pub(super) use {
    manifest::{STATEMENTS as OF_MANIFESTS, seal},
    restore::{STATEMENTS as OF_RESTORES, restore_by_steps},
};

/// So many databases of before a migration are kept.
const KEPT_BEFORE_MIGRATION: usize = 3;

statements! {
    COPY = "VACUUM INTO ?1";
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file.
    pub file: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its size.
    pub bytes: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something of that name is there.
    #[error("{} exists; name another file, or give --overwrite", .0.display())]
    Exists(PathBuf),
    /// There is nothing to back up.
    #[error("{}: there is no database; set database.path to the one of the service", .0.display())]
    NoDatabase(PathBuf),
    /// The copy would take the room that the database needs.
    #[error(
        "{}: {free} bytes are free on the disk of the database, and a copy takes {needed} of them; make room, or name a directory on another disk",
        .path.display()
    )]
    NoRoom {
        /// Where it was to be.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that the copy takes, and the database needs while it is made.
        needed: u64,
    },
    /// The database itself.
    #[error("{}: {error}", .path.display())]
    Database {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// The copy is not what it should be.
    #[error("{}: the copy can't be made: {error}", .path.display())]
    Copy {
        /// Where it was to be.
        path: PathBuf,
        /// What is wrong.
        error: StoreError,
    },
    /// A file or a directory.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is wrong with a file or a directory.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .path.display(), Quote::error(.error))]
pub struct FileError {
    path: PathBuf,
    error: io::Error,
}

/// A file that nobody sees yet. Dropped, it is gone.
struct Draft(PathBuf);

/// Copies a database as it is at one moment, also while a service works on it, which goes on writing meanwhile. Whoever sees the file sees
/// all of it; only its owner reads it.
pub async fn back_up(database: &Path, file: &Path, overwrite: bool) -> Result<Backup, BackupError> {
    if !overwrite && fs::symlink_metadata(file).is_ok() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    leave_room(database, file)?;
    let draft = Draft::beside(file)?;
    copy(database, &draft.0).await?;
    let of_copy = |error| BackupError::Copy { path: file.to_owned(), error };
    let manifest = manifest::seal(&draft.0).await.map_err(of_copy)?;
    look_at(&draft.0).await.map_err(of_copy)?;
    let bytes = fs::metadata(&draft.0).map_err(of_file(file))?.len();
    draft.publish(file, overwrite)?;
    Ok(Backup { file: file.to_owned(), manifest, bytes })
}

/// A copy on the disk of the database must not keep the service from writing: what is written meanwhile stays in its log.
fn leave_room(database: &Path, file: &Path) -> Result<(), BackupError> {
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

/// Copies what is there into a file that is empty.
async fn copy(database: &Path, draft: &Path) -> Result<(), BackupError> {
    let of_database = |error| BackupError::Database { path: database.to_owned(), error };
    if !database.try_exists().map_err(of_file(database))? {
        return Err(BackupError::NoDatabase(database.to_owned()));
    }
    let options = SqliteConnectOptions::new().filename(database).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await.map_err(StoreError::from).map_err(of_database)?;
    // What a newer release has made, it alone knows how to back up and to restore.
    schema::missing(&mut connection).await.map_err(of_database)?;
    let copied = sqlx::query(COPY).bind(draft.display().to_string()).execute(&mut connection).await;
    copied.map_err(|error| BackupError::Copy { path: draft.to_owned(), error: error.into() })?;
    connection.close().await.map_err(StoreError::from).map_err(of_database)
}

/// Whether a copy is whole.
async fn look_at(copy: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new().filename(copy).read_only(true).immutable(true);
    let mut connection = options.connect().await?;
    find_damage(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Keeps a database as it was before a migration, beside it; the last few of those.
pub(super) async fn before_migration(database: &Path, schema: i64) -> Result<(), StoreError> {
    let prefix = format!("{}.schema-", file_name(database));
    let name = format!("{prefix}{schema:04}-{}.backup", stamp(Timestamp::now()));
    let file = database.with_file_name(name);
    let made = back_up(database, &file, false).await;
    let made = made.map_err(|error| StoreError::NotBackedUp(Box::new(error)))?;
    tracing::info!(
        file = %made.file.display(), schema, bytes = made.bytes,
        "the database is backed up before it is migrated; an older release runs on it after `secret-service restore`"
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
        made.map_err(of_file(directory(file)))?;
        Ok(draft)
    }

    /// Gives it its name, for good.
    fn publish(self, file: &Path, overwrite: bool) -> Result<(), BackupError> {
        let renamed = if overwrite { fs::rename(&self.0, file) } else { rename_new(&self.0, file) };
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
            _ => of_file(file)(error).into(),
        })?;
        Ok(sync_directory(file).map_err(of_file(directory(file)))?)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is not there where it got its name.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(with_suffix(&self.0, "-journal"));
    }
}

/// Renames, unless the name is taken. Some file systems of networks know only how to look first.
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

/// The same path with more at its end.
fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The files beside one whose names are so.
fn siblings(file: &Path, is_so: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory(file))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_so) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A time as a part of a file's name.
fn stamp(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn of_file(path: &Path) -> impl Fn(io::Error) -> FileError {
    let path = path.to_owned();
    move |error| FileError { path: path.clone(), error }
}
