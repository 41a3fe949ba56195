//! Facts about the database itself.

use aws_lc_rs::rand;
use sqlx::{SqliteConnection, SqlitePool};

use super::{StoreError, statements};

statements! {
    /// Keeps the first value that was ever set.
    INSERT = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    SET = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    SELECT = "SELECT value FROM settings WHERE name = ?1";
}

/// The key of this database; made when it is first asked for.
pub(super) async fn key(writer: &SqlitePool) -> Result<Vec<u8>, StoreError> {
    let mut fresh = [0; 32];
    rand::fill(&mut fresh)
        .map_err(|_| StoreError::Database(sqlx::Error::Protocol("no random bytes".into())))?;
    sqlx::query(INSERT).bind("key").bind(fresh.as_slice()).execute(writer).await?;
    Ok(sqlx::query_scalar(SELECT).bind("key").fetch_one(writer).await?)
}

/// The key of this database, which a service has opened before.
pub(super) async fn known_key(readers: &SqlitePool) -> Result<Vec<u8>, StoreError> {
    Ok(sqlx::query_scalar(SELECT).bind("key").fetch_one(readers).await?)
}

/// A number; none where it was never set.
pub(super) async fn number(writer: &SqlitePool, name: &'static str) -> Result<Option<i64>, StoreError> {
    let value: Option<Vec<u8>> = sqlx::query_scalar(SELECT).bind(name).fetch_optional(writer).await?;
    let corrupt = |_| StoreError::Corrupt {
        table: "settings",
        column: "value",
        row: name.to_owned(),
        problem: "it has not 8 bytes".to_owned(),
    };
    value.map(|bytes| bytes.try_into().map(i64::from_be_bytes).map_err(corrupt)).transpose()
}

/// Sets a number.
pub(super) async fn set_number(
    sql: &mut SqliteConnection,
    name: &'static str,
    number: i64,
) -> Result<(), StoreError> {
    sqlx::query(SET).bind(name).bind(number.to_be_bytes().as_slice()).execute(sql).await?;
    Ok(())
}
