//! Facts about the database itself.

use aws_lc_rs::rand;
use sqlx::SqlitePool;

use super::{StoreError, statements};

statements! {
    /// Keeps the first value that was ever set.
    INSERT = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
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
