//! Inspects a database without changing it, before the service opens it.

use std::path::Path;

use sqlx::{
    ConnectOptions, Connection, SqliteExecutor, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteConnection},
};

use super::{BUSY_TIMEOUT, StoreError, schema};

/// The schema of a database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// There is no file yet: the service creates it.
    Absent,
    /// This release's.
    Current,
    /// An earlier release's: the service migrates it.
    Older {
        /// Number of missing migrations.
        missing: usize,
    },
}

/// The first damage, or "ok".
const DAMAGE: &str = "PRAGMA quick_check(1)";

/// Checks that a database file is intact and writable, and returns its schema.
pub async fn inspect(path: &Path) -> Result<Schema, StoreError> {
    if !path.try_exists().map_err(sqlx::Error::Io)? {
        return Ok(Schema::Absent);
    }
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await?;
    let found = inspect_open(&mut connection).await;
    connection.close().await?;
    found
}

async fn inspect_open(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    find_damage(&mut *connection).await?;
    // Takes the write lock and releases it.
    connection.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
    schema(connection).await
}

/// An error if the schema is not the one of this release.
pub(super) async fn check_current(readers: &SqlitePool) -> Result<(), StoreError> {
    match schema(&mut *readers.acquire().await?).await? {
        Schema::Current => Ok(()),
        Schema::Absent | Schema::Older { .. } => Err(StoreError::Older),
    }
}

async fn schema(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    match schema::missing(connection).await? {
        0 => Ok(Schema::Current),
        missing => Ok(Schema::Older { missing }),
    }
}

/// Checks the whole file for damage.
pub(super) async fn find_damage<'e>(sql: impl SqliteExecutor<'e>) -> Result<(), StoreError> {
    let damage: String = sqlx::query_scalar(DAMAGE).fetch_one(sql).await?;
    if damage == "ok" { Ok(()) } else { Err(StoreError::Damaged(damage.into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn a_database_is_absent_then_current_and_one_without_migrations_is_older() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        assert_eq!(inspect(&path).await.unwrap(), Schema::Absent);
        assert!(!path.exists());

        Store::open(&path).await.unwrap().close().await;
        assert_eq!(inspect(&path).await.unwrap(), Schema::Current);

        let empty = directory.path().join("empty.db");
        std::fs::write(&empty, "").unwrap();
        assert!(matches!(inspect(&empty).await.unwrap(), Schema::Older { missing: 1.. }));
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_database_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        std::fs::write(&path, "no database at all, but long enough to be taken for one ".repeat(100))
            .unwrap();
        assert!(inspect(&path).await.is_err());
    }
}
