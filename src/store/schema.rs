//! The schema: applied and missing migrations, and the backup before a migration.

use std::path::Path;

use sqlx::{
    SqliteConnection, SqlitePool,
    migrate::{MigrateError, Migrator},
};

use super::{StoreError, backup, settings};

/// The table of sqlx, which does not exist before the first migration.
const MIGRATIONS: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
const HAS_MIGRATIONS: &str = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";

/// All migrations of this release.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!();

/// Whether to back up before a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackupFirst {
    /// Yes, next to the database.
    Yes,
    /// No, the database is a copy itself.
    No,
}

/// The applied migrations, in order; none for a new database.
pub(super) async fn applied(sql: &mut SqliteConnection) -> Result<Vec<i64>, StoreError> {
    let tables: i64 = sqlx::query_scalar(HAS_MIGRATIONS).fetch_one(&mut *sql).await?;
    match tables {
        0 => Ok(Vec::new()),
        _ => Ok(sqlx::query_scalar(MIGRATIONS).fetch_all(sql).await?),
    }
}

/// The number of missing migrations; an error if the database is from a newer release.
pub(super) async fn missing(sql: &mut SqliteConnection) -> Result<usize, StoreError> {
    let applied = applied(&mut *sql).await?;
    if let Some(newer) = applied.iter().rfind(|version| !MIGRATOR.version_exists(**version)) {
        let release = settings::text(&mut *sql, settings::RELEASE).await?;
        return Err(StoreError::Newer { schema: *newer, release });
    }
    Ok(MIGRATOR.iter().count() - applied.len())
}

/// Migrates a database to this release's schema, and records the release.
pub(super) async fn migrate(
    writer: &SqlitePool,
    path: &Path,
    backup_first: BackupFirst,
) -> Result<(), StoreError> {
    let mut sql = writer.acquire().await?;
    let (missing, applied) = (missing(&mut sql).await?, applied(&mut sql).await?);
    if missing == 0 {
        return Ok(());
    }
    if let (Some(schema), BackupFirst::Yes) = (applied.last(), backup_first) {
        backup::before_migration(path, *schema).await?;
    }
    // The writer has one connection.
    drop(sql);
    MIGRATOR.run(writer).await.map_err(migration_error)?;
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
