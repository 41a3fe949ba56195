//! Why the database did not do what was asked.

use std::path::PathBuf;

use super::{BackupError, StoreFault, schema};
use crate::quote::Quote;

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
    pub(super) fn sqlite_code(&self) -> Option<u32> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        Some(error.code()?.parse::<u32>().ok()? & 0xff)
    }
}
