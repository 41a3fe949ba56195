//! The table `settings`: facts about the database itself.

use aws_lc_rs::rand;
use sqlx::{SqliteConnection, SqliteExecutor, SqlitePool};

use super::{StoreError, statements};

/// The current history, see [`super::Epoch`].
pub(super) const EPOCH: &str = "epoch";
/// The vault that the database belongs to.
pub(super) const VAULT: &str = "vault";
/// The namespace of the instance that it belongs to.
pub(super) const NAMESPACE: &str = "namespace";
/// The release that migrated it last.
pub(super) const RELEASE: &str = "release";

statements! {
    /// Keeps the first value that was ever set.
    INSERT = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
    SET = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    SELECT = "SELECT value FROM settings WHERE name = ?1";
    DELETE = "DELETE FROM settings WHERE name = ?1";
}

/// The signing key of this database; generated on first use.
pub(super) async fn key(writer: &SqlitePool) -> Result<Vec<u8>, StoreError> {
    sqlx::query(INSERT).bind("key").bind(random::<32>()?.as_slice()).execute(writer).await?;
    Ok(sqlx::query_scalar(SELECT).bind("key").fetch_one(writer).await?)
}

/// The signing key of a database that a service has opened before.
pub(super) async fn known_key(readers: &SqlitePool) -> Result<Vec<u8>, StoreError> {
    Ok(sqlx::query_scalar(SELECT).bind("key").fetch_one(readers).await?)
}

/// A value; `None` if it was never set.
pub(super) async fn get<'e>(
    sql: impl SqliteExecutor<'e>,
    name: &'static str,
) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(sqlx::query_scalar(SELECT).bind(name).fetch_optional(sql).await?)
}

/// Sets a value.
pub(super) async fn set(
    sql: &mut SqliteConnection,
    name: &'static str,
    value: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(SET).bind(name).bind(value).execute(sql).await?;
    Ok(())
}

/// Deletes a value.
pub(super) async fn unset(sql: &mut SqliteConnection, name: &'static str) -> Result<(), StoreError> {
    sqlx::query(DELETE).bind(name).execute(sql).await?;
    Ok(())
}

/// A text; `None` if it was never set.
pub(super) async fn text<'e>(
    sql: impl SqliteExecutor<'e>,
    name: &'static str,
) -> Result<Option<String>, StoreError> {
    let value = get(sql, name).await?;
    value.map(|bytes| String::from_utf8(bytes).map_err(|_| corrupt(name, "it is not UTF-8 text"))).transpose()
}

/// A number; `None` if it was never set.
pub(super) async fn number(writer: &SqlitePool, name: &'static str) -> Result<Option<i64>, StoreError> {
    let value = get(writer, name).await?;
    value.map(|bytes| fixed(name, bytes).map(i64::from_be_bytes)).transpose()
}

/// Sets a number.
pub(super) async fn set_number(
    sql: &mut SqliteConnection,
    name: &'static str,
    number: i64,
) -> Result<(), StoreError> {
    set(sql, name, &number.to_be_bytes()).await
}

/// A value of a fixed length.
pub(super) fn fixed<const LENGTH: usize>(
    name: &'static str,
    bytes: Vec<u8>,
) -> Result<[u8; LENGTH], StoreError> {
    bytes.try_into().map_err(|_| corrupt(name, &format!("the length is not {LENGTH} bytes")))
}

/// Random bytes from a cryptographic generator.
pub(super) fn random<const LENGTH: usize>() -> Result<[u8; LENGTH], StoreError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| sqlx::Error::Protocol("no random bytes".into()))?;
    Ok(bytes)
}

fn corrupt(name: &'static str, problem: &str) -> StoreError {
    StoreError::Corrupt {
        table: "settings",
        column: "value",
        row: name.to_owned(),
        problem: problem.to_owned(),
    }
}
