//! Scheduled backups: the service makes them at an interval and keeps the last few.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Backup, BackupError, back_up, file_error, siblings, stamp};
use crate::store::Store;

/// Delay before the retry of a failed backup, unless the interval is shorter.
const RETRY_DELAY: Duration = Duration::from_secs(300);
const SUFFIX: &str = ".backup";

/// When backups are made, where they are stored and how many are kept.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The directory; it is created if its parent exists.
    pub directory: PathBuf,
    /// Prefix of the file names, so that several instances can share a directory.
    pub name: String,
    /// The time between two backups.
    pub interval: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// Status of the scheduled backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupStatus {
    /// When the newest backup was made; absent if there is none.
    pub last_success: Option<Timestamp>,
    /// Its size.
    pub bytes: u64,
    /// Number of backups in the directory.
    pub kept: usize,
    /// Number of failures since the service started.
    pub failures: u64,
}

/// A backup in the directory.
struct Kept {
    /// A counter that is independent of the clock, so that a clock set back does not change the order.
    number: u64,
    file: PathBuf,
}

impl Schedule {
    /// The newest backup and when it was made; `None` if there is none.
    pub fn newest(&self) -> io::Result<Option<(PathBuf, Timestamp)>> {
        let Some(newest) = kept(self)?.pop() else { return Ok(None) };
        let made = Timestamp::try_from(fs::metadata(&newest.file)?.modified()?).map_err(io::Error::other)?;
        Ok(Some((newest.file, made)))
    }
}

impl Store {
    /// Makes backups until stopped.
    pub async fn keep_backups(self, schedule: Schedule, stop: CancellationToken) {
        let mut wait = self.update_backup_status(&schedule).unwrap_or_default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            let made = tokio::select! {
                made = self.make_backup(&schedule) => made,
                () = stop.cancelled() => return,
            };
            wait = match made {
                Ok(made) => {
                    let Backup { file, manifest, bytes } = made;
                    let sequence = manifest.sequence;
                    tracing::info!(file = %file.display(), bytes, sequence, "backed up the database");
                    schedule.interval
                }
                Err(error) => {
                    self.backups().get_or_insert_default().failures += 1;
                    let retry = schedule.interval.min(RETRY_DELAY);
                    tracing::error!(%error, ?retry, "failed to back up the database; retrying");
                    retry
                }
            };
        }
    }

    /// Status of the backups; `None` if none are scheduled.
    pub fn backup_status(&self) -> Option<BackupStatus> {
        *self.backups()
    }

    /// Makes a backup and removes the oldest beyond `keep`.
    async fn make_backup(&self, schedule: &Schedule) -> Result<Backup, BackupError> {
        let directory_error = || file_error(&schedule.directory);
        make_directory(&schedule.directory).map_err(directory_error())?;
        clear_drafts(schedule).map_err(directory_error())?;
        let kept = kept(schedule).map_err(directory_error())?;
        let number = kept.last().map_or(1, |newest| newest.number + 1);
        let name = format!("{}-{number:06}-{}{SUFFIX}", schedule.name, stamp(Timestamp::now()));
        let (file, database) = (schedule.directory.join(name), self.0.faults.path());
        let made = self.0.options.run(back_up(database, &file, false)).await?;
        prune(schedule).map_err(directory_error())?;
        let _ = self.update_backup_status(schedule).map_err(directory_error())?;
        Ok(made)
    }

    /// Updates the status from the directory, and returns the time until the next backup is due.
    fn update_backup_status(&self, schedule: &Schedule) -> io::Result<Duration> {
        let mut status =
            BackupStatus { failures: self.backups().unwrap_or_default().failures, ..Default::default() };
        let kept = kept(schedule);
        let newest = kept.as_ref().ok().and_then(|kept| kept.last());
        let newest = newest.map(|newest| fs::metadata(&newest.file)).transpose();
        if let Ok(Some(newest)) = &newest {
            status.last_success = Timestamp::try_from(newest.modified()?).ok();
            status.bytes = newest.len();
        }
        status.kept = kept.as_ref().map_or(0, Vec::len);
        *self.backups() = Some(status);
        let _ = (kept?, newest?);
        let made = status.last_success.map(SystemTime::from);
        // A time in the future means that the clock was or is wrong.
        let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
        Ok(age.map_or(Duration::ZERO, |age| schedule.interval.saturating_sub(age)))
    }
}

/// Creates the directory if it is missing, accessible to its owner only. Does not create parents: they may
/// belong to a share that is not mounted.
fn make_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The backups of a schedule, oldest first.
fn kept(schedule: &Schedule) -> io::Result<Vec<Kept>> {
    let files = siblings(&schedule.directory.join(&schedule.name), |name| number(schedule, name).is_some())?;
    let of = |file: PathBuf| {
        let number = number(schedule, file.file_name()?.to_str()?)?;
        Some(Kept { number, file })
    };
    let mut kept: Vec<Kept> = files.into_iter().filter_map(of).collect();
    kept.sort_by_key(|kept| kept.number);
    Ok(kept)
}

/// The number in the file name of a backup of this schedule: NAME-NUMBER-TIME.backup.
fn number(schedule: &Schedule, name: &str) -> Option<u64> {
    let rest = name.strip_prefix(&schedule.name)?.strip_prefix('-')?.strip_suffix(SUFFIX)?;
    let (number, time) = rest.split_once('-')?;
    let is_time = time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_digit() || b"TZ".contains(&byte));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_time && is_number { number.parse().ok() } else { None }
}

fn prune(schedule: &Schedule) -> io::Result<()> {
    let kept = kept(schedule)?;
    let too_many = kept.len().saturating_sub(schedule.keep);
    kept.into_iter().take(too_many).try_for_each(|oldest| fs::remove_file(oldest.file))
}

/// Removes drafts of a process that was killed while it made a backup.
fn clear_drafts(schedule: &Schedule) -> io::Result<()> {
    let prefix = format!(".{}-", schedule.name);
    let is_draft = |name: &str| name.starts_with(&prefix) && name.contains(".partial");
    siblings(Path::new(&schedule.directory.join(&schedule.name)), is_draft)?
        .into_iter()
        .try_for_each(fs::remove_file)
}
