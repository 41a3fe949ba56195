//! Verifying and exporting the audit of a database file, also while a service works on it.

use std::path::Path;

use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, FromRow, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{super::BUSY_TIMEOUT, AuditRow, StoreError, chain, statements};
use crate::model::{Anchor, AuditHash, ChainError, ChainWalk, ChainedEvent};

statements! {
    ALL = "
        SELECT sequence, event_time, actor, action, resource, outcome, detail, request_id, hash
          FROM audit_events
         ORDER BY sequence";
}

/// A chain that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// How many events it has.
    pub events: u64,
    /// The last event that was pruned; sequence 0 before the first of all.
    pub base: Anchor,
    /// The newest event.
    pub head: Anchor,
}

/// Why an audit is not verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// The chain is not whole.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The database is of a release without a chain.
    #[error("the events are not chained yet; start the service once, which does it")]
    Unchained,
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Goes along the whole chain of a database file.
pub async fn verify_audit(path: &Path, anchor: Option<Anchor>) -> Result<AuditReport, AuditFault> {
    let mut report = None;
    read(path, async |base, head, events| {
        let mut walk = ChainWalk::from(base, anchor)?;
        while let Some(event) = events.next().await? {
            walk.step(&event)?;
        }
        let (events, head) = walk.end(Some(head))?;
        report = Some(AuditReport { events, base, head });
        Ok(())
    })
    .await?;
    report.ok_or(AuditFault::Unchained)
}

/// Hands on every event of a database file, oldest first, as it stands there.
pub async fn export_audit(
    path: &Path,
    mut take: impl FnMut(ChainedEvent) -> std::io::Result<()>,
) -> Result<(), AuditFault> {
    read(path, async |_, _, events| {
        while let Some(event) = events.next().await? {
            take(event).map_err(|error| StoreError::Database(sqlx::Error::Io(error)))?;
        }
        Ok(())
    })
    .await
}

/// The events of one moment.
struct Events<'a> {
    rows: futures::stream::BoxStream<'a, Result<SqliteRow, sqlx::Error>>,
    previous_hash: AuditHash,
}

// === impl Events ===

impl Events<'_> {
    async fn next(&mut self) -> Result<Option<ChainedEvent>, AuditFault> {
        let Some(row) = self.rows.try_next().await.map_err(StoreError::from)? else { return Ok(None) };
        let bytes: Option<Vec<u8>> = sqlx::Row::try_get(&row, "hash").map_err(StoreError::from)?;
        let hash = chain::hash("hash", &bytes.ok_or(AuditFault::Unchained)?)?;
        let event = AuditRow::from_row(&row).map_err(StoreError::from)?.into_model()?;
        let previous_hash = std::mem::replace(&mut self.previous_hash, hash);
        Ok(Some(ChainedEvent { event, previous_hash, hash }))
    }
}

async fn read(
    path: &Path,
    work: impl AsyncFnOnce(Anchor, Anchor, &mut Events<'_>) -> Result<(), AuditFault>,
) -> Result<(), AuditFault> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection: SqliteConnection = options.connect().await.map_err(StoreError::from)?;
    // One transaction: the end of the chain and its rows are of the same moment.
    let mut moment = connection.begin().await.map_err(StoreError::from)?;
    let row = chain::row(&mut moment).await.map_err(unchained)?.ok_or(AuditFault::Unchained)?;
    let (base, head) = (row.base()?, row.head()?);
    let rows = sqlx::query(ALL).fetch(&mut *moment);
    let mut events = Events { rows, previous_hash: base.hash };
    let done = work(base, head, &mut events).await;
    drop(events);
    moment.rollback().await.map_err(StoreError::from)?;
    connection.close().await.map_err(StoreError::from)?;
    done
}

/// Without the table, it is the database of a release before there was a chain.
fn unchained(error: StoreError) -> AuditFault {
    match error {
        StoreError::Database(sqlx::Error::Database(error)) if error.message().contains("no such table") => {
            AuditFault::Unchained
        }
        error => error.into(),
    }
}
