//! Migrates a database to this release's schema, after a backup.

use std::path::Path;

use sqlx::{SqlitePool, migrate::MigrateError};

use super::{StoreError, backup, schema, settings};

/// Whether to back up before a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackupFirst {
    /// Yes, next to the database.
    Yes,
    /// No, the database is a copy itself.
    No,
}

/// Migrates a database to this release's schema, and records the release.
pub(super) async fn migrate(
    writer: &SqlitePool,
    path: &Path,
    backup_first: BackupFirst,
) -> Result<(), StoreError> {
    let mut sql = writer.acquire().await?;
    let (missing, applied) = (schema::missing(&mut sql).await?, schema::applied(&mut sql).await?);
    if missing == 0 {
        return Ok(());
    }
    if let (Some(newest), BackupFirst::Yes) = (applied.last(), backup_first) {
        backup::before_migration(path, *newest).await?;
    }
    // The writer has one connection.
    drop(sql);
    schema::MIGRATOR.run(writer).await.map_err(migration_error)?;
    let mut sql = writer.acquire().await?;
    settings::set(&mut sql, settings::RELEASE, env!("CARGO_PKG_VERSION").as_bytes()).await
}

fn migration_error(error: MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(schema) => StoreError::Newer { schema, release: None },
        MigrateError::Execute(error) => StoreError::Database(error),
        other => StoreError::Database(sqlx::Error::Migrate(Box::new(other))),
    }
}
