//! Errors of the database.

use std::path::PathBuf;

use super::{BackupError, StoreFault, schema};
use crate::quote::Quote;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id is taken.
    #[error("a synced secret of this name exists")]
    AlreadyExists,
    /// No synced secret with this name is recorded.
    #[error("no synced secret of this name is recorded")]
    NotFound,
    /// The synced secret has changed since it was read.
    #[error("the synced secret was changed since it was read")]
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
        "the database was made by a newer release{} (schema {schema}; {} supports up to {}): run that \
         release, or restore a backup of this release with `secret-service restore FILE`",
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
    #[error("the database was made by an older release; start the service once to migrate it")]
    Older,
    /// The database belongs to another instance.
    #[error(
        "it belongs to the {what} {recorded:?}, but {configured:?} is configured: change {} back, or \
         configure another database for this {what} with database.path",
        if *.what == "vault" { "vault.uri" } else { "kubernetes.namespace" }
    )]
    Foreign {
        /// What differs: vault or namespace.
        what: &'static str,
        /// The recorded one.
        recorded: String,
        /// The configured one.
        configured: String,
    },
    /// The file is a backup, not a database in use.
    #[error(
        "this file is a backup: install it with `secret-service restore FILE`, so that clients learn of the \
         restore"
    )]
    IsBackup,
    /// The backup before a migration failed.
    #[error("the database must be migrated, but the backup before the migration failed: {0}")]
    NotBackedUp(#[source] Box<BackupError>),
    /// SQLite failed.
    #[error("the database: {}", Quote::error(.0))]
    Database(#[from] sqlx::Error),
    /// A page of the file is corrupt.
    #[error("the database file is damaged: {0}")]
    Damaged(Quote),
    /// The file at the path is no longer the opened one: the next start would not find what is written now.
    #[error("the database file {} was removed or replaced while the service was using it", .0.display())]
    Lost(PathBuf),
    /// The service stopped before the commit completed.
    #[error("the service is stopping")]
    Stopping,
}

// === impl StoreError ===

impl StoreError {
    /// The fault of the database file or its disk that this error reports, if any.
    pub fn fault(&self) -> Option<StoreFault> {
        StoreFault::of(self)
    }

    /// Whether the database is locked, or all its connections are in use: waiting may help.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut)) || matches!(self.sqlite_code(), Some(5 | 6))
    }

    /// SQLite's primary result code.
    pub(super) fn sqlite_code(&self) -> Option<u32> {
        let Self::Database(sqlx::Error::Database(error)) = self else { return None };
        Some(error.code()?.parse::<u32>().ok()? & 0xff)
    }
}
