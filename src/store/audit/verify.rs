//! Verifies and exports the audit of a database file, even while a service uses it.

use std::path::Path;

use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, FromRow, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    super::BUSY_TIMEOUT, AuditRow, Row, StoreError, chain, chained_columns, event_columns, statements,
};
use crate::model::{Anchor, AuditHash, Chain, ChainAnchors, ChainError, ChainWalk, ChainedEvent, Link};

statements! {
    ALL = concat!("
        SELECT ", chained_columns!(), ", 0 AS denied
          FROM audit_events
         UNION ALL
        SELECT ", chained_columns!(), ", 1 AS denied
          FROM audit_denials
         ORDER BY sequence");
}

/// The result for chains that are intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Number of their events.
    pub events: u64,
    /// The last pruned events; sequence 0 if none were.
    pub base: ChainAnchors,
    /// The newest events.
    pub head: ChainAnchors,
}

// === impl AuditReport ===

impl AuditReport {
    /// The anchor to keep elsewhere: the newest change. It also proves the denials before it, and denials
    /// can't push it out.
    pub fn anchor(&self) -> Anchor {
        self.head.changes
    }
}

/// Why an audit could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// A chain is broken.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The database is from a release without chains.
    #[error("the events are not chained yet; start the service once to chain them")]
    Unchained,
    /// The database can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies both chains of a database file.
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

/// Passes every event of a database file to `take`, oldest first.
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

#[derive(FromRow)]
struct ChainedRow {
    #[sqlx(flatten)]
    event: AuditRow,
    hash: Option<Vec<u8>>,
    beside: Option<Vec<u8>>,
    denied: bool,
}

/// The events of one read transaction.
struct Events<'a> {
    rows: futures::stream::BoxStream<'a, Result<SqliteRow, sqlx::Error>>,
    /// The last hash of each chain.
    changes: AuditHash,
    denials: AuditHash,
}

// === impl Events ===

impl Events<'_> {
    async fn next(&mut self) -> Result<Option<ChainedEvent>, AuditFault> {
        let Some(row) = self.rows.try_next().await.map_err(StoreError::from)? else { return Ok(None) };
        let ChainedRow { event, hash, beside, denied } =
            ChainedRow::from_row(&row).map_err(StoreError::from)?;
        let (table, chain, last) = match denied {
            true => ("audit_denials", Chain::Denials, &mut self.denials),
            false => ("audit_events", Chain::Changes, &mut self.changes),
        };
        let row = Row { table, key: event.sequence.to_string() };
        let hash = chain::hash(&row, "hash", &hash.ok_or(AuditFault::Unchained)?)?;
        let beside_hash = beside.map(|beside| chain::hash(&row, "beside", &beside)).transpose()?;
        let event = event.into_model()?;
        let link = Link { chain, previous_hash: std::mem::replace(last, hash), beside_hash };
        Ok(Some(ChainedEvent { event, link, hash }))
    }
}

async fn read(
    path: &Path,
    work: impl AsyncFnOnce(ChainAnchors, ChainAnchors, &mut Events<'_>) -> Result<(), AuditFault>,
) -> Result<(), AuditFault> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection: SqliteConnection = options.connect().await.map_err(StoreError::from)?;
    // One transaction, so that the heads of the chains and the rows match.
    let mut transaction = connection.begin().await.map_err(StoreError::from)?;
    let row = chain::row(&mut transaction).await.map_err(unchained)?.ok_or(AuditFault::Unchained)?;
    let (base, head) = (row.base()?, row.head()?);
    let rows = sqlx::query(ALL).fetch(&mut *transaction);
    let mut events = Events { rows, changes: base.changes.hash, denials: base.denials.hash };
    let done = work(base, head, &mut events).await;
    drop(events);
    transaction.rollback().await.map_err(StoreError::from)?;
    connection.close().await.map_err(StoreError::from)?;
    done
}

/// A missing table or column means a release without these chains.
fn unchained(error: StoreError) -> AuditFault {
    match error {
        StoreError::Database(sqlx::Error::Database(error)) if error.message().contains("no such") => {
            AuditFault::Unchained
        }
        error => error.into(),
    }
}
