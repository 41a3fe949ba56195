//! What is wrong with the database's file or its disk, by the errors of those who use it.

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

/// What is wrong with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// No room is left on the disk.
    Full,
    /// The disk or the file may not be written.
    ReadOnly,
    /// The disk fails.
    Disk,
    /// A page of the file is damaged.
    Corrupt,
    /// The file was removed or replaced while the service uses it.
    Lost,
}

/// The fault that stands, and the file that is looked at for one.
pub(super) struct Faults {
    stands: watch::Sender<Option<StoreFault>>,
    /// When a write was last made durable.
    written: Mutex<Option<Instant>>,
    /// Set by each fault, for whoever keeps connections: one that was opened or used while the disk failed may stay as it was then.
    suspect: Arc<AtomicBool>,
    file: File,
}

/// The file that was opened, which others may remove or replace.
struct File {
    path: PathBuf,
    /// Its device and inode.
    identity: (u64, u64),
}

// === impl StoreFault ===

impl StoreFault {
    /// What an error says is wrong, where it says that.
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

    /// Whether no later write can tell that it is over.
    fn is_final(self) -> bool {
        matches!(self, Self::Corrupt | Self::Lost)
    }
}

// === impl Faults ===

impl Faults {
    /// None yet, of a file that is there.
    pub(super) fn new(path: &Path, suspect: Arc<AtomicBool>) -> io::Result<Self> {
        let file = File { path: path.to_owned(), identity: identity(path)? };
        Ok(Self { stands: watch::Sender::new(None), written: Mutex::default(), suspect, file })
    }

    /// Tells of the fault that stands.
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

    /// Whether the file that is written to is still the one that the next start will read.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        match identity(&self.file.path) {
            Ok(identity) if identity == self.file.identity => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(sqlx::Error::Io(error).into()),
            Ok(_) | Err(_) => Err(StoreError::Lost(self.file.path.clone())),
        }
    }

    /// Takes note of an error, and logs the fault that it tells once.
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
            tracing::error!(%error, file = %self.file.path.display(), "nothing can be recorded now; it is tried again");
        }
    }

    /// A write was made durable.
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
            tracing::info!(file = %self.file.path.display(), "the database can be written again");
        }
    }
    /// Whether a write was made durable since then.
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
