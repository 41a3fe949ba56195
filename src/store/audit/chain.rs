//! The audit chains: their begin and end, growth and pruning, always in the transaction of the recorded
//! change.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection, SqlitePool};

use super::{AuditRow, Row, StoreError, event_columns, statements};
use crate::model::{Anchor, AuditHash, Chain, ChainAnchors, Link};
use crate::store::rows::prune_boundary;

statements! {
    START = "
        INSERT INTO audit_chain (one, base_sequence, base_hash, head_sequence, head_hash)
        VALUES (1, ?1, ?2, ?1, ?2)
        ON CONFLICT (one) DO NOTHING";
    SELECT = "
        SELECT base_sequence, base_hash, head_sequence, head_hash,
               denials_base_sequence, denials_base_hash, denials_head_sequence, denials_head_hash
          FROM audit_chain";
    ADVANCE = "UPDATE audit_chain SET head_sequence = ?1, head_hash = ?2";
    /// The newest event to prune: younger events stay, and so do all events after them.
    OLD = "
        SELECT max(sequence)
          FROM audit_events
         WHERE sequence < coalesce((SELECT min(sequence) FROM audit_events WHERE coalesce(kept_since, event_time) >= ?1),
                                   9223372036854775807)";
    PRUNE_BOUNDARY = prune_boundary!("audit_events");
    TIME = "SELECT event_time FROM audit_events WHERE sequence = ?1";
    BASE = "
        UPDATE audit_chain
           SET base_sequence = ?1,
               base_hash = (SELECT hash FROM audit_events WHERE sequence = ?1)
         WHERE base_sequence < ?1";
    REMOVE = "DELETE FROM audit_events WHERE sequence <= ?1";
    /// Events of a release without chains.
    UNCHAINED = concat!("
        SELECT ", event_columns!(), "
          FROM audit_events
         WHERE hash IS NULL
         ORDER BY sequence
         LIMIT 1000");
    FIRST = "SELECT min(sequence) FROM audit_events";
    CHAIN = "UPDATE audit_events SET hash = ?2 WHERE sequence = ?1";
    RENUMBER = "UPDATE audit_events SET sequence = ?2 WHERE sequence = ?1";
}

/// The one row of `audit_chain`.
#[derive(FromRow)]
pub(super) struct ChainRow {
    base_sequence: i64,
    base_hash: Vec<u8>,
    head_sequence: i64,
    head_hash: Vec<u8>,
    denials_base_sequence: i64,
    denials_base_hash: Vec<u8>,
    denials_head_sequence: i64,
    denials_head_hash: Vec<u8>,
}

// === impl ChainRow ===

impl ChainRow {
    /// The last events that were pruned.
    pub(super) fn base(&self) -> Result<ChainAnchors, StoreError> {
        Ok(ChainAnchors {
            changes: anchor("base_hash", self.base_sequence, &self.base_hash)?,
            denials: anchor("denials_base_hash", self.denials_base_sequence, &self.denials_base_hash)?,
        })
    }

    /// The newest events.
    pub(super) fn head(&self) -> Result<ChainAnchors, StoreError> {
        Ok(ChainAnchors {
            changes: anchor("head_hash", self.head_sequence, &self.head_hash)?,
            denials: anchor("denials_head_hash", self.denials_head_sequence, &self.denials_head_hash)?,
        })
    }
}

fn anchor(column: &'static str, sequence: i64, bytes: &[u8]) -> Result<Anchor, StoreError> {
    let row = Row { table: "audit_chain", key: "1".to_owned() };
    Ok(Anchor { sequence, hash: hash(&row, column, bytes)? })
}

/// A stored hash.
pub(super) fn hash(row: &Row, column: &'static str, bytes: &[u8]) -> Result<AuditHash, StoreError> {
    bytes.try_into().map(AuditHash).map_err(|_| row.corrupt(column, "a hash has 32 bytes"))
}

/// The row; `None` if no release with chains has opened the database.
pub(super) async fn row(sql: &mut SqliteConnection) -> Result<Option<ChainRow>, StoreError> {
    Ok(sqlx::query_as(SELECT).fetch_optional(sql).await?)
}

/// Where the chains end.
pub(super) async fn head(sql: &mut SqliteConnection) -> Result<ChainAnchors, StoreError> {
    let row: ChainRow = sqlx::query_as(SELECT).fetch_one(sql).await?;
    row.head()
}

/// Moves the end of the chain of changes to a new event.
pub(super) async fn advance(
    sql: &mut SqliteConnection,
    sequence: i64,
    hash: AuditHash,
) -> Result<(), StoreError> {
    sqlx::query(ADVANCE).bind(sequence).bind(hash.0.as_slice()).execute(sql).await?;
    Ok(())
}

/// Events that were removed.
pub(in crate::store) struct Pruned {
    /// Their number.
    pub(super) events: u64,
    /// When the newest of them was recorded.
    pub(super) newest: Timestamp,
}

/// Removes the oldest events that are older than `before`, and makes the last of them the base.
pub(super) async fn prune(
    sql: &mut SqliteConnection,
    before: Timestamp,
) -> Result<Option<Pruned>, StoreError> {
    let old: Option<i64> = sqlx::query_scalar(OLD).bind(before.as_microsecond()).fetch_one(&mut *sql).await?;
    match old {
        Some(old) => prune_up_to(sql, old).await,
        None => Ok(None),
    }
}

/// Removes the oldest events to free this many bytes, but never the newest.
pub(in crate::store) async fn prune_bytes(
    sql: &mut SqliteConnection,
    bytes: i64,
) -> Result<Option<Pruned>, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(PRUNE_BOUNDARY).bind(bytes).fetch_one(&mut *sql).await?;
    match last {
        Some(last) => prune_up_to(sql, last).await,
        None => Ok(None),
    }
}

/// Removes all events up to one, and makes it the base.
async fn prune_up_to(sql: &mut SqliteConnection, old: i64) -> Result<Option<Pruned>, StoreError> {
    if sqlx::query(BASE).bind(old).execute(&mut *sql).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let newest: i64 = sqlx::query_scalar(TIME).bind(old).fetch_one(&mut *sql).await?;
    let row = Row { table: "audit_events", key: old.to_string() };
    let newest = row.time("event_time", newest)?;
    let events = sqlx::query(REMOVE).bind(old).execute(sql).await?.rows_affected();
    Ok(Some(Pruned { events, newest }))
}

/// Chains the events of a release without chains. Called before anything else is recorded.
pub(in crate::store) async fn complete(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut sql = writer.begin_with("BEGIN IMMEDIATE").await?;
    let first: Option<i64> = sqlx::query_scalar(FIRST).fetch_one(&mut *sql).await?;
    // Events that were pruned before there was a chain left no hash.
    let base = first.map_or(0, |first| first - 1);
    sqlx::query(START).bind(base).bind(AuditHash::START.0.as_slice()).execute(&mut *sql).await?;
    let mut head = head(&mut sql).await?.changes;
    loop {
        let rows: Vec<AuditRow> = sqlx::query_as(UNCHAINED).fetch_all(&mut *sql).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let mut event = row.into_model()?;
            // SQLite may skip sequences, which would look like missing events.
            let recorded = std::mem::replace(&mut event.sequence, head.sequence + 1);
            if recorded != event.sequence {
                sqlx::query(RENUMBER).bind(recorded).bind(event.sequence).execute(&mut *sql).await?;
            }
            let hash =
                event.hash(&Link { chain: Chain::Changes, previous_hash: head.hash, beside_hash: None });
            sqlx::query(CHAIN).bind(event.sequence).bind(hash.0.as_slice()).execute(&mut *sql).await?;
            head = Anchor { sequence: event.sequence, hash };
        }
    }
    advance(&mut sql, head.sequence, head.hash).await?;
    sql.commit().await?;
    Ok(())
}
