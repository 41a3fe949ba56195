//! One process at a time: an advisory file lock, which the kernel releases however the process ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::quote::Quote;

/// Holds the lock until dropped. The file stays: removing it would let two processes lock two files of one
/// name.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{} is in use by another secret-service{}; stop it first", .of.display(), process(.pid.as_ref()))]
    Held {
        /// What the lock protects.
        of: PathBuf,
        /// The other process, if it is known.
        pid: Option<u32>,
    },
    /// The lock file can't be opened.
    #[error("{}: {}; its directory must exist and be writable", .path.display(), Quote::error(.error))]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

fn process(pid: Option<&u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl Lock {
    /// Locks a file by means of `NAME.lock` beside it.
    pub fn for_file(of: &Path) -> Result<Self, LockError> {
        let mut name = of.as_os_str().to_owned();
        name.push(".lock");
        Self::acquire(of, PathBuf::from(name))
    }

    /// Locks `of` by means of the file at `path`, and writes our process id into it.
    pub fn acquire(of: &Path, path: PathBuf) -> Result<Self, LockError> {
        let opened =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| LockError::File { path: path.clone(), error })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { of: of.to_owned(), pid: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(LockError::File { path, error }),
        }
        write_holder(&mut file).map_err(|error| LockError::File { path, error })?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    pid.trim().parse().ok()
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_learns_who_holds_the_database_and_gets_it_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("a.db");
        let first = Lock::for_file(&database).unwrap();

        let refused = Lock::for_file(&database).unwrap_err();
        assert!(matches!(refused, LockError::Held { pid, .. } if pid == Some(std::process::id())));
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");

        drop(first);
        Lock::for_file(&database).unwrap();
    }

    #[test]
    fn a_missing_directory_is_named_in_the_error() {
        let refused = Lock::for_file(Path::new("/nowhere/at/all.db")).unwrap_err();
        assert!(refused.to_string().contains("/nowhere/at/all.db.lock"), "{refused}");
    }
}
