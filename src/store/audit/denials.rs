//! The table `audit_denials`: denied calls, in a ring of bounded size.

use jiff::Timestamp;
use sqlx::{FromRow, SqliteConnection};

use super::{
    NewAuditEvent, Row, StoreError, Transaction, bind_chained, chain::Pruned, chained_columns, event_columns,
    statements,
};
use crate::model::{Chain, ChainedEvent};

/// Approximate bytes of a row without its texts: hashes, numbers, and the index entry.
const ROW_OVERHEAD: usize = 160;

statements! {
    INSERT = concat!("
        INSERT INTO audit_denials (", chained_columns!(), ", kept_since, rows_so_far, bytes_so_far)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    ADVANCE = "UPDATE audit_chain SET denials_head_sequence = ?1, denials_head_hash = ?2";
    OLDEST = "SELECT rows_so_far, bytes_so_far FROM audit_denials ORDER BY sequence LIMIT 1";
    NEWEST = "SELECT rows_so_far, bytes_so_far FROM audit_denials ORDER BY sequence DESC LIMIT 1";
    /// The newest row that is this far back.
    PRUNE_BOUNDARY = "
        SELECT max(sequence)
          FROM audit_denials
         WHERE sequence < (SELECT sequence
                             FROM audit_denials
                            WHERE rows_so_far > ?1 AND bytes_so_far > ?2
                            ORDER BY sequence
                            LIMIT 1)";
    /// The newest row to prune: younger rows stay, and so do all rows after them.
    OLD = "
        SELECT max(sequence)
          FROM audit_denials
         WHERE sequence < coalesce((SELECT min(sequence) FROM audit_denials WHERE kept_since >= ?1), 9223372036854775807)";
    TIME = "SELECT event_time FROM audit_denials WHERE sequence = ?1";
    BASE = "
        UPDATE audit_chain
           SET denials_base_sequence = ?1,
               denials_base_hash = (SELECT hash FROM audit_denials WHERE sequence = ?1)
         WHERE denials_base_sequence < ?1";
    REMOVE = "DELETE FROM audit_denials WHERE sequence <= ?1";
}

/// The size limits of the ring; beyond them, the oldest denials are pruned.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    /// Events.
    pub rows: usize,
    /// Approximate bytes.
    pub bytes: usize,
}

/// Running totals up to a row.
#[derive(Clone, Copy, Default, FromRow)]
struct SoFar {
    #[sqlx(rename = "rows_so_far")]
    rows: i64,
    #[sqlx(rename = "bytes_so_far")]
    bytes: i64,
}

impl Transaction {
    /// Records denied calls. If the ring is full, prunes the oldest and records an event about it.
    pub async fn audit_denials(
        &mut self,
        denials: Vec<NewAuditEvent>,
        ring: &Ring,
    ) -> Result<(), StoreError> {
        for denial in denials {
            self.insert_denial(denial).await?;
        }
        let pruned = self.store.run(prune_to_budget(&mut self.sql, ring)).await?;
        self.audit_pruned(Chain::Denials, pruned, "denials", " to make room for newer ones").await
    }

    /// Prunes the oldest denials from before a time of the database's clock.
    pub(super) async fn prune_denials(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let old = async {
            let old = sqlx::query_scalar(OLD).bind(before.as_microsecond()).fetch_one(&mut *self.sql).await?;
            remove(&mut self.sql, old).await
        };
        let pruned = self.store.run(old).await?;
        self.audit_pruned(Chain::Denials, pruned, "denials", "").await
    }

    /// Appends a row to the ring, without checking the limits.
    pub(super) async fn insert_denial(&mut self, denial: NewAuditEvent) -> Result<(), StoreError> {
        let chained = self.chained(Chain::Denials, denial).await?;
        let ChainedEvent { event, hash, .. } = &chained;
        let texts = [
            event.actor.as_str(),
            event.action.as_str(),
            &event.resource,
            &event.outcome.0,
            &event.detail,
            &event.request_id,
        ];
        let bytes = ROW_OVERHEAD + event.resource.len() + texts.iter().map(|text| text.len()).sum::<usize>();
        let kept_since = self.store.clock().as_microsecond();
        let insert = async {
            let newest: Option<SoFar> = sqlx::query_as(NEWEST).fetch_optional(&mut *self.sql).await?;
            let newest = newest.unwrap_or_default();
            bind_chained(sqlx::query(INSERT), &chained)
                .bind(kept_since)
                .bind(newest.rows + 1)
                .bind(newest.bytes + bytes as i64)
                .execute(&mut *self.sql)
                .await?;
            sqlx::query(ADVANCE).bind(event.sequence).bind(hash.0.as_slice()).execute(&mut *self.sql).await
        };
        self.store.run(insert).await?;
        self.events.push(chained);
        Ok(())
    }
}

/// If the ring is full, removes the oldest and an eighth more, so that not every new row prunes.
async fn prune_to_budget(sql: &mut SqliteConnection, ring: &Ring) -> Result<Option<Pruned>, StoreError> {
    let (oldest, newest): (Option<SoFar>, Option<SoFar>) = (
        sqlx::query_as(OLDEST).fetch_optional(&mut *sql).await?,
        sqlx::query_as(NEWEST).fetch_optional(&mut *sql).await?,
    );
    let Some((oldest, newest)) = oldest.zip(newest) else { return Ok(None) };
    let (rows, bytes) = (ring.rows as i64, ring.bytes as i64);
    if newest.rows - oldest.rows < rows && newest.bytes - oldest.bytes < bytes {
        return Ok(None);
    }
    let prune_boundary = sqlx::query_scalar(PRUNE_BOUNDARY)
        .bind((newest.rows - (rows - rows / 8)).min(newest.rows - 1))
        .bind((newest.bytes - (bytes - bytes / 8)).min(newest.bytes - 1))
        .fetch_one(&mut *sql)
        .await?;
    remove(sql, prune_boundary).await
}

/// Removes all rows up to one, and makes it the base of the chain.
async fn remove(sql: &mut SqliteConnection, last: Option<i64>) -> Result<Option<Pruned>, StoreError> {
    let Some(last) = last else { return Ok(None) };
    if sqlx::query(BASE).bind(last).execute(&mut *sql).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let newest: i64 = sqlx::query_scalar(TIME).bind(last).fetch_one(&mut *sql).await?;
    let newest = Row { table: "audit_denials", key: last.to_string() }.time("event_time", newest)?;
    let events = sqlx::query(REMOVE).bind(last).execute(sql).await?.rows_affected();
    Ok(Some(Pruned { events, newest }))
}
