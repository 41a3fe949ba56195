//! Backups that the service makes by itself, now and then, and of which it keeps the last few.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Backup, BackupError, back_up, of_file, siblings, stamp};
use crate::store::Store;

/// After a backup that failed, the next try comes after this time, or after the interval where that is shorter.
const RETRY: Duration = Duration::from_secs(300);
const SUFFIX: &str = ".backup";

/// When backups are made, where they are put and how many are kept.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The directory; it is made where its parent is there.
    pub directory: PathBuf,
    /// What their names begin with, so that several instances can share a directory.
    pub name: String,
    /// How long after one the next is made.
    pub interval: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// How the backups of a service went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupStanding {
    /// When the newest one was made; absent while there is none.
    pub last_success: Option<Timestamp>,
    /// Its size.
    pub bytes: u64,
    /// How many are there.
    pub kept: usize,
    /// How many failed since the service started.
    pub failures: u64,
}

/// A backup in the directory.
struct Kept {
    /// Counts on whatever the clock says: a clock that is set back makes no backup older than those before it.
    number: u64,
    file: PathBuf,
}

impl Schedule {
    /// The newest backup and when it was made; `None` while there is none.
    pub fn newest(&self) -> io::Result<Option<(PathBuf, Timestamp)>> {
        let Some(newest) = kept(self)?.pop() else { return Ok(None) };
        let made = Timestamp::try_from(fs::metadata(&newest.file)?.modified()?).map_err(io::Error::other)?;
        Ok(Some((newest.file, made)))
    }
}

impl Store {
    /// Makes backups until told to stop.
    pub async fn keep_backups(self, schedule: Schedule, stop: CancellationToken) {
        let mut wait = self.tell_backups(&schedule).unwrap_or_default();
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
                    tracing::info!(file = %file.display(), bytes, sequence = manifest.sequence, "the database is backed up");
                    schedule.interval
                }
                Err(error) => {
                    self.backups().get_or_insert_default().failures += 1;
                    let retry = schedule.interval.min(RETRY);
                    tracing::error!(%error, ?retry, "the backup of the database failed; it is tried again");
                    retry
                }
            };
        }
    }

    /// How the backups went; `None` where none are to be made.
    pub fn backup_standing(&self) -> Option<BackupStanding> {
        *self.backups()
    }

    /// Makes one, and removes the oldest that are too many.
    async fn make_backup(&self, schedule: &Schedule) -> Result<Backup, BackupError> {
        let of_directory = || of_file(&schedule.directory);
        make_directory(&schedule.directory).map_err(of_directory())?;
        clear_drafts(schedule).map_err(of_directory())?;
        let kept = kept(schedule).map_err(of_directory())?;
        let number = kept.last().map_or(1, |newest| newest.number + 1);
        let name = format!("{}-{number:06}-{}{SUFFIX}", schedule.name, stamp(Timestamp::now()));
        let (file, database) = (schedule.directory.join(name), self.0.faults.path());
        let made = self.0.options.run(back_up(database, &file, false)).await?;
        prune(schedule).map_err(of_directory())?;
        let _ = self.tell_backups(schedule).map_err(of_directory())?;
        Ok(made)
    }

    /// Takes note of what is there, and says how long it is until the next one is due.
    fn tell_backups(&self, schedule: &Schedule) -> io::Result<Duration> {
        let mut standing =
            BackupStanding { failures: self.backups().unwrap_or_default().failures, ..Default::default() };
        let kept = kept(schedule);
        let newest = kept.as_ref().ok().and_then(|kept| kept.last());
        let newest = newest.map(|newest| fs::metadata(&newest.file)).transpose();
        if let Ok(Some(newest)) = &newest {
            standing.last_success = Timestamp::try_from(newest.modified()?).ok();
            standing.bytes = newest.len();
        }
        standing.kept = kept.as_ref().map_or(0, Vec::len);
        *self.backups() = Some(standing);
        let _ = (kept?, newest?);
        let made = standing.last_success.map(SystemTime::from);
        // One of the future is of a clock that was wrong, then or now.
        let age = made.and_then(|made| SystemTime::now().duration_since(made).ok());
        Ok(age.map_or(Duration::ZERO, |age| schedule.interval.saturating_sub(age)))
    }
}

/// Makes the directory where it isn't there, for its owner alone. That of a share which is not mounted has no parent to be made in.
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

/// The number of a backup of this schedule, by the name of its file: NAME-NUMBER-TIME.backup.
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

/// Removes what a process has left that was killed while it made a backup.
fn clear_drafts(schedule: &Schedule) -> io::Result<()> {
    let prefix = format!(".{}-", schedule.name);
    let is_draft = |name: &str| name.starts_with(&prefix) && name.contains(".partial");
    siblings(Path::new(&schedule.directory.join(&schedule.name)), is_draft)?
        .into_iter()
        .try_for_each(fs::remove_file)
}
