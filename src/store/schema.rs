//! The schema: applied and missing migrations.

use sqlx::{SqliteConnection, migrate::Migrator};

use super::{StoreError, settings};

/// The table of sqlx, which does not exist before the first migration.
const MIGRATIONS: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
const HAS_MIGRATIONS: &str = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";

/// All migrations of this release.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!();

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
