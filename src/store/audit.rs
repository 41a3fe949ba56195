//! The table `audit_events`.

use jiff::Timestamp;
use sqlx::FromRow;

use super::{Store, StoreError, Transaction, rows::Row, statements};
use crate::model::{AuditEvent, Outcome};

statements! {
    INSERT = "
        INSERT INTO audit_events (event_time, actor, action, resource, outcome, detail, request_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// Newest first; a negative `before` starts at the newest, an empty resource is every one.
    SELECT = "
        SELECT sequence, event_time, actor, action, resource, outcome, detail, request_id
          FROM audit_events
         WHERE (?1 < 0 OR sequence < ?1)
           AND (?2 = '' OR resource = ?2)
           AND event_time >= ?3
         ORDER BY sequence DESC
         LIMIT ?4";
    PRUNE = "DELETE FROM audit_events WHERE event_time < ?1";
}

/// An event that is about to be recorded.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    /// Who acted.
    pub actor: String,
    /// What was done.
    pub action: &'static str,
    /// Resource name.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
    /// The caller's request id; empty where none.
    pub request_id: String,
}

/// Which events, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Older than this event.
    pub before: Option<i64>,
    /// Of this resource; of all where empty.
    pub resource: String,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

#[derive(FromRow)]
struct AuditRow {
    sequence: i64,
    event_time: i64,
    actor: String,
    action: String,
    resource: String,
    outcome: String,
    detail: String,
    request_id: String,
}

impl Store {
    /// A page of the history.
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let rows: Vec<AuditRow> = sqlx::query_as(SELECT)
            .bind(filter.before.unwrap_or(-1))
            .bind(&filter.resource)
            .bind(filter.since.map_or(i64::MIN, Timestamp::as_microsecond))
            .bind(limit)
            .fetch_all(&self.0.readers)
            .await?;
        rows.into_iter().map(AuditRow::into_model).collect()
    }

    /// Records an event that stands alone.
    pub async fn audit(&self, event: NewAuditEvent) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        transaction.audit(event).await?;
        transaction.commit().await
    }
}

impl Transaction {
    /// Records an event with what else the transaction does.
    pub async fn audit(&mut self, event: NewAuditEvent) -> Result<(), StoreError> {
        sqlx::query(INSERT)
            .bind(Timestamp::now().as_microsecond())
            .bind(event.actor)
            .bind(event.action)
            .bind(event.resource)
            .bind(event.outcome.0)
            .bind(event.detail)
            .bind(event.request_id)
            .execute(&mut *self.sql)
            .await?;
        Ok(())
    }

    /// Forgets events older than `before`.
    pub async fn prune_audit(&mut self, before: Timestamp) -> Result<(), StoreError> {
        sqlx::query(PRUNE).bind(before.as_microsecond()).execute(&mut *self.sql).await?;
        Ok(())
    }
}

impl AuditRow {
    fn into_model(self) -> Result<AuditEvent, StoreError> {
        let row = Row { table: "audit_events", key: self.sequence.to_string() };
        Ok(AuditEvent {
            sequence: self.sequence,
            event_time: row.time("event_time", self.event_time)?,
            actor: self.actor,
            action: self.action,
            resource: self.resource,
            outcome: Outcome(self.outcome),
            detail: self.detail,
            request_id: self.request_id,
        })
    }
}
