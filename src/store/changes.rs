//! The table `changes`: the feed that watchers read and resume from.

use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite};
use uuid::Uuid;

use super::{
    Signer, Store, StoreError, Transaction,
    feed::{Feed, FeedChange, FeedPlace, HistoryDigest},
    rows::{Row, json},
    statements,
};
use crate::model::{ChangeKind, Origin, SyncedSecret};

statements! {
    INSERT = "
        INSERT INTO changes (uid, kind, before, snapshot, change_time, history)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        RETURNING sequence";
    SELECT_LAST = "SELECT sequence, history FROM changes ORDER BY sequence DESC LIMIT 1";
    SELECT_PLACE = "SELECT sequence, history FROM changes WHERE sequence = ?1";
    /// The oldest sequence that is kept.
    SELECT_FIRST = "SELECT COALESCE(MIN(sequence), 0) FROM changes";
    SELECT_AFTER = "
        SELECT sequence, history, kind, before, snapshot
          FROM changes
         WHERE sequence > ?1
         ORDER BY sequence
         LIMIT ?2";
    SELECT_DELETED = "
        SELECT snapshot FROM changes
         WHERE uid = ?1 AND kind = 'DELETED'
         ORDER BY sequence DESC
         LIMIT 1";
    /// Prunes rows beyond both the age and the number; the latest row stays, because it holds the sequence.
    PRUNE = "
        DELETE FROM changes
         WHERE change_time < ?1
           AND sequence <= (SELECT MAX(sequence) FROM changes) - ?2";
}

#[derive(FromRow)]
struct PlaceRow {
    sequence: i64,
    history: Vec<u8>,
}

#[derive(FromRow)]
struct ChangeRow {
    #[sqlx(flatten)]
    place: PlaceRow,
    kind: String,
    before: Option<String>,
    snapshot: String,
}

impl Store {
    /// The changes after a sequence: from memory if recent, otherwise from the table.
    pub async fn changes_after(&self, sequence: i64, limit: i64) -> Result<Feed, StoreError> {
        if let Some(recent) = self.view().recent_changes(sequence) {
            return Ok(Feed::Changes(recent));
        }
        let first: i64 = self.run(sqlx::query_scalar(SELECT_FIRST).fetch_one(&self.0.readers)).await?;
        if sequence + 1 < first {
            return Ok(Feed::TooOld);
        }
        let rows: Vec<ChangeRow> = self
            .run(sqlx::query_as(SELECT_AFTER).bind(sequence).bind(limit).fetch_all(&self.0.readers))
            .await?;
        rows.into_iter().map(ChangeRow::into_model).collect::<Result<_, _>>().map(Feed::Changes)
    }
}

impl Store {
    /// The last state of a deleted managed synced secret, as long as the feed keeps it. Imported SecretSyncs
    /// of other tools don't count: when their import ends, the object itself may still exist.
    pub async fn deleted(&self, uid: Uuid) -> Result<Option<SyncedSecret>, StoreError> {
        let snapshot: Option<String> = self
            .run(sqlx::query_scalar(SELECT_DELETED).bind(uid.to_string()).fetch_optional(&self.0.readers))
            .await?;
        let row = Row { table: "changes", key: uid.to_string() };
        let last = snapshot.map(|text: String| row.json("snapshot", &text)).transpose()?;
        Ok(last.filter(|secret: &SyncedSecret| secret.origin == Origin::Managed))
    }

    /// Whether the feed has passed this place. False if it is from before a restore, or if its change was
    /// pruned.
    pub async fn has_passed(&self, place: FeedPlace) -> Result<bool, StoreError> {
        if place.sequence == 0 {
            return Ok(true);
        }
        if let Some(known) = self.view().recent_place(place.sequence) {
            return Ok(known == place);
        }
        let row: Option<PlaceRow> = self
            .run(sqlx::query_as(SELECT_PLACE).bind(place.sequence).fetch_optional(&self.0.readers))
            .await?;
        Ok(row.map(PlaceRow::into_model).transpose()? == Some(place))
    }
}

impl Transaction {
    /// Prunes changes from before a time of the database's clock, except the last `keep`.
    pub async fn prune_changes(&mut self, before: Timestamp, keep: i64) -> Result<u64, StoreError> {
        let done = sqlx::query(PRUNE).bind(before.as_microsecond()).bind(keep).execute(&mut *self.sql);
        let done = self.store.run(done).await?;
        Ok(done.rows_affected())
    }
}

impl Transaction {
    /// Records a change of a synced secret; for a deletion, `after` is the deleted state.
    pub(super) async fn record_change(
        &mut self,
        kind: ChangeKind,
        before: Option<&SyncedSecret>,
        after: &SyncedSecret,
    ) -> Result<FeedPlace, StoreError> {
        let last = self.store.run(last_place(&mut *self.sql)).await?;
        let (uid, kind, snapshot) = (after.uid.to_string(), kind_name(kind), json(after));
        let time = self.store.clock().as_microsecond();
        let history = next_history(&self.store.0.signer, &last.history, (&uid, kind, &snapshot, time));
        let insert = sqlx::query_scalar(INSERT)
            .bind(uid)
            .bind(kind)
            .bind(before.map(json))
            .bind(snapshot)
            .bind(time)
            .bind(history.as_slice())
            .fetch_one(&mut *self.sql);
        let sequence = self.store.run(insert).await?;
        Ok(FeedPlace { sequence, history })
    }
}

/// The digest of the history including this change.
fn next_history(
    signer: &Signer,
    last: &HistoryDigest,
    (uid, kind, snapshot, time): (&str, &str, &str, i64),
) -> HistoryDigest {
    let mut content = last.to_vec();
    content.extend(time.to_be_bytes());
    for text in [uid, kind, snapshot] {
        content.extend((text.len() as u64).to_be_bytes());
        content.extend(text.as_bytes());
    }
    let digest = signer.sign("history", &content);
    std::array::from_fn(|byte| digest[byte])
}

/// The end of the feed.
pub(super) async fn last_place<'a>(
    sql: impl sqlx::Executor<'a, Database = Sqlite>,
) -> Result<FeedPlace, StoreError> {
    let row: Option<PlaceRow> = sqlx::query_as(SELECT_LAST).fetch_optional(sql).await?;
    Ok(row.map(PlaceRow::into_model).transpose()?.unwrap_or_default())
}

impl PlaceRow {
    fn into_model(self) -> Result<FeedPlace, StoreError> {
        let row = Row { table: "changes", key: self.sequence.to_string() };
        let history =
            self.history.try_into().map_err(|_| row.corrupt("history", "the length is not 16 bytes"))?;
        Ok(FeedPlace { sequence: self.sequence, history })
    }
}

impl ChangeRow {
    fn into_model(self) -> Result<FeedChange, StoreError> {
        let row = Row { table: "changes", key: self.place.sequence.to_string() };
        let kind = [ChangeKind::Put, ChangeKind::Deleted]
            .into_iter()
            .find(|kind| kind_name(*kind) == self.kind)
            .ok_or_else(|| row.corrupt("kind", format!("{:?} is not a kind", self.kind)))?;
        let read = |column, text: &str| row.json::<SyncedSecret>(column, text).map(Arc::new);
        Ok(FeedChange {
            place: self.place.into_model()?,
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
