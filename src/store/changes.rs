//! The table `changes`: the feed that watchers read and resume from.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite, SqlitePool};
use uuid::Uuid;

use super::{
    Store, StoreError, Transaction,
    rows::{Row, json},
    statements,
    view::FeedChange,
};
use crate::model::{ChangeKind, SyncedSecret, SyncedSecretId};

statements! {
    INSERT = "
        INSERT INTO changes (uid, kind, before, snapshot, change_time)
        VALUES (?1, ?2, ?3, ?4, ?5)
        RETURNING sequence";
    SELECT_LAST = "SELECT COALESCE(MAX(sequence), 0) FROM changes";
    /// The sequence from which on nothing is missing: what is older may have been pruned.
    SELECT_FIRST = "SELECT COALESCE(MIN(sequence), 0) FROM changes";
    SELECT_AFTER = "
        SELECT sequence, kind, before, snapshot
          FROM changes
         WHERE sequence > ?1
         ORDER BY sequence
         LIMIT ?2";
    SELECT_DELETED = "
        SELECT snapshot FROM changes
         WHERE uid = ?1 AND kind = 'DELETED'
         ORDER BY sequence DESC
         LIMIT 1";
    /// Both the age and the number must be passed; the latest row stays, because it holds the sequence.
    PRUNE = "
        DELETE FROM changes
         WHERE change_time < ?1
           AND sequence <= (SELECT MAX(sequence) FROM changes) - ?2";
}

/// The next part of the feed.
pub enum Feed {
    /// Oldest first; empty where the reader is up to date.
    Changes(Vec<FeedChange>),
    /// Changes between the reader's place and the oldest kept are gone.
    TooOld,
}

#[derive(FromRow)]
struct ChangeRow {
    sequence: i64,
    kind: String,
    before: Option<String>,
    snapshot: String,
}

impl Store {
    /// The changes after a sequence: from memory for whoever keeps up, else from the table.
    pub async fn changes_after(&self, sequence: i64, limit: i64) -> Result<Feed, StoreError> {
        if let Some(recent) = self.view().recent_changes(sequence) {
            return Ok(Feed::Changes(recent));
        }
        let first: i64 = sqlx::query_scalar(SELECT_FIRST).fetch_one(&self.0.readers).await?;
        if sequence + 1 < first {
            return Ok(Feed::TooOld);
        }
        let rows: Vec<ChangeRow> =
            sqlx::query_as(SELECT_AFTER).bind(sequence).bind(limit).fetch_all(&self.0.readers).await?;
        rows.into_iter().map(ChangeRow::into_model).collect::<Result<_, _>>().map(Feed::Changes)
    }
}

impl Store {
    /// The id of a synced secret that is known to be deleted, as long as the feed keeps that.
    pub async fn deleted(&self, uid: Uuid) -> Result<Option<SyncedSecretId>, StoreError> {
        let snapshot: Option<String> =
            sqlx::query_scalar(SELECT_DELETED).bind(uid.to_string()).fetch_optional(&self.0.readers).await?;
        let row = Row { table: "changes", key: uid.to_string() };
        let deleted = |text: String| row.json::<SyncedSecret>("snapshot", &text).map(|secret| secret.id);
        snapshot.map(deleted).transpose()
    }
}

impl Transaction {
    /// Forgets changes that are older than `before` and not among the last `keep`.
    pub async fn prune_changes(&mut self, before: Timestamp, keep: i64) -> Result<u64, StoreError> {
        let done =
            sqlx::query(PRUNE).bind(before.as_microsecond()).bind(keep).execute(&mut *self.sql).await?;
        Ok(done.rows_affected())
    }
}

/// Records what became of a synced secret; with a deletion, `after` is what was deleted.
pub(super) async fn insert(
    sql: &mut sqlx::Transaction<'static, Sqlite>,
    kind: ChangeKind,
    before: Option<&SyncedSecret>,
    after: &SyncedSecret,
) -> Result<i64, StoreError> {
    let sequence = sqlx::query_scalar(INSERT)
        .bind(after.uid.to_string())
        .bind(kind_name(kind))
        .bind(before.map(json))
        .bind(json(after))
        .bind(Timestamp::now().as_microsecond())
        .fetch_one(&mut **sql)
        .await?;
    Ok(sequence)
}

pub(super) async fn last_sequence(readers: &SqlitePool) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar(SELECT_LAST).fetch_one(readers).await?)
}

impl ChangeRow {
    fn into_model(self) -> Result<FeedChange, StoreError> {
        let row = Row { table: "changes", key: self.sequence.to_string() };
        let kind = [ChangeKind::Put, ChangeKind::Deleted]
            .into_iter()
            .find(|kind| kind_name(*kind) == self.kind)
            .ok_or_else(|| row.corrupt("kind", format!("{:?} is not a kind", self.kind)))?;
        let read = |column, text: &str| row.json::<SyncedSecret>(column, text).map(Arc::new);
        Ok(FeedChange {
            sequence: self.sequence,
            before: self.before.as_deref().map(|text| read("before", text)).transpose()?,
            after: read("snapshot", &self.snapshot)?,
            kind,
        })
    }
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Put => "PUT",
        ChangeKind::Deleted => "DELETED",
    }
}
