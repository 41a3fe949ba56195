//! Faults of the database file and its disk, derived from errors of operations.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::watch, time::Instant};

use super::StoreError;

/// A fault of the database file or its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The disk is full.
    Full,
    /// The disk or the file is read-only.
    ReadOnly,
    /// The disk fails.
    Disk,
    /// A page of the file is damaged.
    Corrupt,
    /// The file was removed or replaced while the service uses it.
    Lost,
}

/// The current fault and the database file.
pub(super) struct Faults {
    stands: watch::Sender<Option<StoreFault>>,
    /// When a write was last committed.
    written: Mutex<Option<Instant>>,
    /// Set by each fault, for the connection pool: a connection that was used while the disk failed may be
    /// unusable.
    suspect: Arc<AtomicBool>,
    file: File,
}

/// The opened file, which others may remove or replace.
struct File {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

// === impl StoreFault ===

impl StoreFault {
    /// The fault that an error reports, if any.
    pub(super) fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Lost(_) => Some(Self::Lost),
            StoreError::Damaged(_) => Some(Self::Corrupt),
            // https://sqlite.org/rescode.html
            error => match error.sqlite_code()? {
                8 => Some(Self::ReadOnly),
                10 | 14 => Some(Self::Disk),
                11 | 26 => Some(Self::Corrupt),
                13 => Some(Self::Full),
                _ => None,
            },
        }
    }

    /// Whether a later successful write does not clear it.
    fn is_final(self) -> bool {
        matches!(self, Self::Corrupt | Self::Lost)
    }
}

// === impl Faults ===

impl Faults {
    /// No fault yet, for a file that exists.
    pub(super) fn new(path: &Path, suspect: Arc<AtomicBool>) -> io::Result<Self> {
        let file = File { path: path.to_owned(), identity: identity(path)? };
        Ok(Self { stands: watch::Sender::new(None), written: Mutex::default(), suspect, file })
    }

    /// Watches the current fault.
    pub(super) fn subscribe(&self) -> watch::Receiver<Option<StoreFault>> {
        self.stands.subscribe()
    }

    /// The database file.
    pub(super) fn path(&self) -> &Path {
        &self.file.path
    }

    pub(super) fn stands(&self) -> Option<StoreFault> {
        *self.stands.borrow()
    }

    /// Checks that the opened file is still the one at the path.
    pub(super) fn check_file(&self) -> Result<(), StoreError> {
        match identity(&self.file.path) {
            Ok(identity) if identity == self.file.identity => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sqlx::Error::Io(error).into()),
            Ok(_) | Err(_) => Err(StoreError::Lost(self.file.path.clone())),
        }
    }

    /// Notes the fault that an error reports, and logs it once.
    pub(super) fn note(&self, error: &StoreError) {
        let Some(fault) = StoreFault::of(error) else { return };
        self.suspect.store(true, Ordering::Release);
        let is_new = self.stands.send_if_modified(|stands| {
            let is_new = *stands != Some(fault) && !stands.is_some_and(StoreFault::is_final);
            if is_new {
                *stands = Some(fault);
            }
            is_new
        });
        if is_new {
            tracing::error!(%error, file = %self.file.path.display(), "the database can't be written; \
                retrying");
        }
    }

    /// Notes a successful commit.
    pub(super) fn written(&self) {
        *self.last_write() = Some(Instant::now());
        let is_over = self.stands.send_if_modified(|stands| {
            let is_over = stands.is_some_and(|fault| !fault.is_final());
            if is_over {
                *stands = None;
            }
            is_over
        });
        if is_over {
            tracing::info!(file = %self.file.path.display(), "the database is writable again");
        }
    }

    /// Whether a write was committed since then.
    pub(super) fn has_written_since(&self, time: Instant) -> bool {
        self.last_write().is_some_and(|written| written >= time)
    }

    fn last_write(&self) -> MutexGuard<'_, Option<Instant>> {
        self.written.lock()
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
