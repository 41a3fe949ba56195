//! The tables `audit_events` and `audit_denials`, whose rows are chained.

pub(super) mod chain;
pub(super) mod denials;
pub(super) mod guards;
pub(super) mod verify;

use jiff::Timestamp;
use sqlx::FromRow;

pub(super) use chain::complete;
pub use denials::Ring;
pub(super) use guards::restore_guards;
pub use verify::{AuditFault, AuditReport, export_audit, verify_audit};

use super::{
    Store, StoreError, Transaction,
    rows::{Query, Row},
    statements,
};
use crate::model::{AuditAction, AuditEvent, Chain, ChainedEvent, Outcome};
use chain::Pruned;

/// The columns of an event, as [`AuditRow`] reads them.
macro_rules! event_columns {
    () => {
        "sequence, event_time, actor, action, resource, outcome, detail, request_id"
    };
}
use event_columns;

/// The columns of an event and of its place in its chain, in the order of [`bind_chained`].
macro_rules! chained_columns {
    () => {
        concat!(event_columns!(), ", hash, beside")
    };
}
use chained_columns;

/// Selects the events of both tables, further narrowed by a condition.
macro_rules! selection {
    ($condition:literal) => {
        concat!(
            selection!(in "audit_events", $condition),
            " UNION ALL ",
            selection!(in "audit_denials", $condition),
            " ORDER BY sequence DESC LIMIT ?1"
        )
    };
    (in $table:literal, $condition:literal) => {
        concat!("
        SELECT ", event_columns!(), "
          FROM ", $table, "
         WHERE ", $condition, "sequence < ?2
           AND (?3 = '' OR actor = ?3)
           AND (?4 = '' OR action = ?4)
           AND (?5 = '' OR outcome = ?5)
           AND (NOT ?6 OR outcome NOT IN ('OK', 'ACCEPTED'))
           AND event_time >= ?7
           AND event_time < ?8")
    };
}

statements! {
    INSERT = concat!("
        INSERT INTO audit_events (", chained_columns!(), ", kept_since)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    /// Newest first, of those before a sequence, and an empty text matches all. It may go through all events, which
    /// takes a fraction of a second at their largest size: an index for each filter would cost more than that.
    SELECT = selection!("");
    /// The same of one resource, by the index.
    SELECT_OF_RESOURCE = selection!("resource = ?9 AND ");
}

/// An event that is about to be recorded.
#[derive(Clone, Debug)]
pub struct NewAuditEvent {
    /// Who acted.
    pub actor: String,
    /// The action.
    pub action: AuditAction,
    /// Resource name.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
    /// The caller's request id; empty if none.
    pub request_id: String,
}

impl NewAuditEvent {
    /// A successful action of the service itself; an empty `resource` means none.
    pub fn by_service(action: AuditAction, resource: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            actor: crate::model::SERVICE.to_owned(),
            action,
            resource: resource.into(),
            outcome: Outcome::ok(),
            detail: detail.into(),
            request_id: String::new(),
        }
    }
}

/// Selects events, newest first. Everything must match; an empty text matches all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Older than this event.
    pub before: Option<i64>,
    /// Of this resource.
    pub resource: String,
    /// By this actor.
    pub actor: String,
    /// Of this action.
    pub action: String,
    /// With this outcome.
    pub outcome: String,
    /// Only what failed.
    pub is_failed: bool,
    /// Not older than this.
    pub since: Option<Timestamp>,
    /// Older than this.
    pub until: Option<Timestamp>,
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
    /// A page of audit events.
    pub async fn audit_events(
        &self,
        filter: &AuditFilter,
        limit: i64,
    ) -> Result<Vec<AuditEvent>, StoreError> {
        let statement = if filter.resource.is_empty() { SELECT } else { SELECT_OF_RESOURCE };
        let mut query = sqlx::query_as::<_, AuditRow>(statement)
            .bind(limit)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(&filter.actor)
            .bind(&filter.action)
            .bind(&filter.outcome)
            .bind(filter.is_failed)
            .bind(filter.since.map_or(i64::MIN, Timestamp::as_microsecond))
            .bind(filter.until.map_or(i64::MAX, Timestamp::as_microsecond));
        if !filter.resource.is_empty() {
            query = query.bind(&filter.resource);
        }
        let rows = self.run(async {
            // A filter that matches little is read through to the end: of the connections that read, one does so at a time.
            let _turn = self.0.audit_reads.lock().await;
            query.fetch_all(&self.0.readers).await
        });
        rows.await?.into_iter().map(AuditRow::into_model).collect()
    }

    /// Records an event in its own transaction.
    pub async fn audit(&self, event: NewAuditEvent) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        transaction.audit(event).await?;
        transaction.commit().await
    }

    /// Records denied calls.
    pub async fn audit_denials(&self, denials: Vec<NewAuditEvent>, ring: &Ring) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        transaction.audit_denials(denials, ring).await?;
        transaction.commit().await
    }
}

impl Transaction {
    /// Records an event in this transaction.
    pub async fn audit(&mut self, event: NewAuditEvent) -> Result<(), StoreError> {
        let chained = self.chained(Chain::Changes, event).await?;
        let insert = bind_chained(sqlx::query(INSERT), &chained).bind(self.store.clock().as_microsecond());
        self.store.run(insert.execute(&mut *self.sql)).await?;
        self.store.run(chain::advance(&mut self.sql, chained.event.sequence, chained.hash)).await?;
        self.events.push(chained);
        Ok(())
    }

    /// Prunes the oldest events from before a time of the database's clock, and records an event about it.
    pub async fn prune_audit(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let pruned = self.store.run(chain::prune(&mut self.sql, before)).await?;
        self.audit_pruned(Chain::Changes, pruned, "events", "").await?;
        self.prune_denials(before).await
    }

    /// Records that the oldest events were pruned to free space.
    pub(in crate::store) async fn audit_pruned_for_space(
        &mut self,
        pruned: Option<Pruned>,
    ) -> Result<(), StoreError> {
        self.audit_pruned(Chain::Changes, pruned, "events", " to make room for newer ones").await
    }

    /// The next event of a chain.
    async fn chained(&mut self, chain: Chain, event: NewAuditEvent) -> Result<ChainedEvent, StoreError> {
        let heads = self.store.run(chain::head(&mut self.sql)).await?;
        let NewAuditEvent { actor, action, resource, outcome, detail, request_id } = event;
        let event = AuditEvent {
            sequence: heads.sequence() + 1,
            event_time: crate::model::now(),
            actor,
            action,
            resource,
            outcome,
            detail,
            request_id,
        };
        let link = heads.link(chain);
        let hash = event.hash(&link);
        Ok(ChainedEvent { event, link, hash })
    }

    /// Records in a chain that its oldest events were pruned.
    async fn audit_pruned(
        &mut self,
        chain: Chain,
        pruned: Option<Pruned>,
        what: &str,
        why: &str,
    ) -> Result<(), StoreError> {
        let Some(Pruned { events, newest }) = pruned else { return Ok(()) };
        let detail = format!("{events} {what} up to the one of {newest:.0} were removed{why}");
        let event = NewAuditEvent::by_service(AuditAction::AuditPruned, "", detail);
        match chain {
            Chain::Changes => self.audit(event).await,
            Chain::Denials => self.insert_denial(event).await,
        }
    }
}

/// Logs an event with its hash: a copy outside of this machine can later prove that the audit was not
/// rewritten.
pub(super) fn log(chained: &ChainedEvent) {
    let ChainedEvent { event, link, hash } = chained;
    tracing::info!(
        target: "secret_service::audit",
        chain = link.chain.as_str(),
        sequence = event.sequence,
        event_time = %event.event_time,
        actor = event.actor,
        action = event.action.as_str(),
        resource = event.resource,
        outcome = event.outcome.0,
        detail = event.detail,
        request_id = event.request_id,
        hash = %hash,
        "audit"
    );
}

/// Binds the values of [`chained_columns`].
fn bind_chained(query: Query, ChainedEvent { event, link, hash }: &ChainedEvent) -> Query {
    let AuditEvent { sequence, event_time, actor, action, resource, outcome, detail, request_id } = event;
    query
        .bind(*sequence)
        .bind(event_time.as_microsecond())
        .bind(actor.clone())
        .bind(action.to_string())
        .bind(resource.clone())
        .bind(outcome.0.clone())
        .bind(detail.clone())
        .bind(request_id.clone())
        .bind(hash.0.to_vec())
        .bind(link.beside_hash.map(|beside| beside.0.to_vec()))
}

impl AuditRow {
    fn into_model(self) -> Result<AuditEvent, StoreError> {
        let row = Row { table: "audit_events", key: self.sequence.to_string() };
        Ok(AuditEvent {
            sequence: self.sequence,
            event_time: row.time("event_time", self.event_time)?,
            actor: self.actor,
            action: self.action.into(),
            resource: self.resource,
            outcome: Outcome(self.outcome),
            detail: self.detail,
            request_id: self.request_id,
        })
    }
}
