//! Verifying and exporting the audit of a database file, also while a service works on it.

use std::path::Path;

use futures::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, FromRow, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::{
    super::BUSY_TIMEOUT, AuditRow, Row, StoreError, chain, chained_columns, event_columns, statements,
};
use crate::model::{Anchor, AuditHash, Chain, ChainError, ChainWalk, ChainedEvent, Link, Places};

statements! {
    ALL = concat!("
        SELECT ", chained_columns!(), ", 0 AS denied
          FROM audit_events
         UNION ALL
        SELECT ", chained_columns!(), ", 1 AS denied
          FROM audit_denials
         ORDER BY sequence");
}

/// Chains that are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// How many events they have.
    pub events: u64,
    /// The last events that were pruned; sequence 0 before the first of all.
    pub base: Places,
    /// The newest events.
    pub head: Places,
}

// === impl AuditReport ===

impl AuditReport {
    /// What to keep elsewhere: the newest change. It proves the denials before it too, and never gives way to newer ones.
    pub fn anchor(&self) -> Anchor {
        self.head.changes
    }
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

/// Goes along the whole chains of a database file.
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

#[derive(FromRow)]
struct ChainedRow {
    #[sqlx(flatten)]
    event: AuditRow,
    hash: Option<Vec<u8>>,
    beside: Option<Vec<u8>>,
    denied: bool,
}

/// The events of one moment.
struct Events<'a> {
    rows: futures::stream::BoxStream<'a, Result<SqliteRow, sqlx::Error>>,
    /// What came last, of either chain.
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
    work: impl AsyncFnOnce(Places, Places, &mut Events<'_>) -> Result<(), AuditFault>,
) -> Result<(), AuditFault> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection: SqliteConnection = options.connect().await.map_err(StoreError::from)?;
    // One transaction: the end of the chain and its rows are of the same moment.
    let mut moment = connection.begin().await.map_err(StoreError::from)?;
    let row = chain::row(&mut moment).await.map_err(unchained)?.ok_or(AuditFault::Unchained)?;
    let (base, head) = (row.base()?, row.head()?);
    let rows = sqlx::query(ALL).fetch(&mut *moment);
    let mut events = Events { rows, changes: base.changes.hash, denials: base.denials.hash };
    let done = work(base, head, &mut events).await;
    drop(events);
    moment.rollback().await.map_err(StoreError::from)?;
    connection.close().await.map_err(StoreError::from)?;
    done
}

/// Without the table or its columns, it is the database of a release before there were these chains.
fn unchained(error: StoreError) -> AuditFault {
    match error {
        StoreError::Database(sqlx::Error::Database(error)) if error.message().contains("no such") => {
            AuditFault::Unchained
        }
        error => error.into(),
    }
}
