//! Disk usage of the database, the tables that grow with use, and their budgets.
//!
//! Pruned rows leave free pages that SQLite reuses before the file grows: the file stays as large as it ever
//! was. A restored backup has no free pages.

use std::{fs, path::Path};

use jiff::Timestamp;
use rustix::fs::statvfs;
use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    BUSY_TIMEOUT, Retention, Store, StoreError, Transaction, audit, rows::prune_boundary, schema, statements,
};

statements! {
    SELECT = "SELECT part, rows, bytes FROM room";
    /// The number of free pages and the page size.
    FREE = "SELECT freelist_count, page_size FROM pragma_freelist_count(), pragma_page_size()";
    OLDEST_EVENT = "SELECT min(event_time) FROM audit_events";
    /// The latest change always stays, because it holds the sequence.
    PRUNE_BOUNDARY = prune_boundary!("changes");
    FORGET = "DELETE FROM changes WHERE sequence <= ?1";
}

/// The size of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSize {
    /// Its rows.
    pub rows: u64,
    /// Approximate bytes.
    pub bytes: u64,
}

/// The tables that grow with use, as last counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSizes {
    /// Audited changes.
    pub audit: TableSize,
    /// Audited denials.
    pub denials: TableSize,
    /// The change feed.
    pub feed: TableSize,
    /// Bytes in free pages, which are reused before the file grows.
    pub free: u64,
    /// When the oldest event of the audit was recorded.
    pub oldest_event: Option<Timestamp>,
}

/// The disk usage of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    /// Bytes of the file.
    pub database: u64,
    /// Bytes of its write-ahead log.
    pub log: u64,
    /// Free bytes on its disk; absent if unknown.
    pub disk_free: Option<u64>,
    /// The growing tables.
    pub growing: TableSizes,
}

#[derive(FromRow)]
struct TableSizeRow {
    part: String,
    rows: i64,
    bytes: i64,
}

// === impl TableSizes ===

impl TableSizes {
    /// Average daily growth of the audit in bytes, over the events that are kept.
    pub fn audit_bytes_a_day(&self, now: Timestamp) -> Option<u64> {
        let seconds = now.duration_since(self.oldest_event?).as_secs().max(3_600);
        Some(self.audit.bytes.saturating_mul(86_400) / seconds.unsigned_abs())
    }
}

impl DiskUsage {
    pub(super) fn of(database: &Path, growing: TableSizes) -> Self {
        let size = |file: &Path| fs::metadata(file).map_or(0, |metadata| metadata.len());
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let disk = statvfs(database).ok();
        Self {
            database: size(database),
            log: size(log.as_ref()),
            disk_free: disk.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            growing,
        }
    }
}

/// Counts the growing tables.
pub(super) async fn count(sql: &mut SqliteConnection) -> Result<TableSizes, StoreError> {
    let mut growing = TableSizes::default();
    for TableSizeRow { part, rows, bytes } in sqlx::query_as(SELECT).fetch_all(&mut *sql).await? {
        let taken = TableSize { rows: rows.max(0).unsigned_abs(), bytes: bytes.max(0).unsigned_abs() };
        match part.as_str() {
            "audit_events" => growing.audit = taken,
            "audit_denials" => growing.denials = taken,
            "changes" => growing.feed = taken,
            _ => {}
        }
    }
    let (pages, size): (i64, i64) = sqlx::query_as(FREE).fetch_one(&mut *sql).await?;
    growing.free = pages.saturating_mul(size).max(0).unsigned_abs();
    let oldest: Option<i64> = sqlx::query_scalar(OLDEST_EVENT).fetch_one(sql).await?;
    growing.oldest_event = oldest.and_then(|oldest| Timestamp::from_microsecond(oldest).ok());
    Ok(growing)
}

/// Disk usage of a database file, even while a service uses it. Its tables are counted only if the file has the
/// current schema.
pub async fn measure(database: &Path) -> Result<DiskUsage, StoreError> {
    let options = SqliteConnectOptions::new().filename(database).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let mut connection = options.connect().await?;
    let growing = match schema::missing(&mut connection).await? {
        0 => count(&mut connection).await,
        _ => Ok(TableSizes::default()),
    };
    connection.close().await?;
    Ok(DiskUsage::of(database, growing?))
}

impl Store {
    /// Disk usage: files as of now, growing tables as last counted.
    pub fn disk_usage(&self) -> DiskUsage {
        let growing = *self.0.growing.lock();
        DiskUsage::of(self.0.faults.path(), growing)
    }

    /// Counts the growing tables, and prunes the oldest rows beyond their budgets.
    pub async fn enforce_budget(&self, retention: &Retention) -> Result<(), StoreError> {
        let mut growing = self.count_growing().await?;
        if growing.audit.bytes > retention.audit_bytes || growing.feed.bytes > retention.feed_bytes {
            let mut transaction = self.begin().await?;
            transaction.prune_to_budget(&growing, retention).await?;
            transaction.commit().await?;
            growing = self.count_growing().await?;
        }
        *self.0.growing.lock() = growing;
        Ok(())
    }

    async fn count_growing(&self) -> Result<TableSizes, StoreError> {
        let counted = async {
            let mut sql = self.0.readers.acquire().await?;
            count(&mut sql).await
        };
        self.run(counted).await
    }
}

impl Transaction {
    async fn prune_to_budget(
        &mut self,
        growing: &TableSizes,
        retention: &Retention,
    ) -> Result<(), StoreError> {
        if let Some(excess) = excess(growing.feed.bytes, retention.feed_bytes) {
            let forget = async {
                let last: Option<i64> =
                    sqlx::query_scalar(PRUNE_BOUNDARY).bind(excess).fetch_one(&mut *self.sql).await?;
                sqlx::query(FORGET).bind(last).execute(&mut *self.sql).await
            };
            self.store.run(forget).await?;
        }
        if let Some(excess) = excess(growing.audit.bytes, retention.audit_bytes) {
            let pruned = self.store.run(audit::chain::prune_bytes(&mut self.sql, excess)).await?;
            self.audit_pruned_for_space(pruned).await?;
        }
        Ok(())
    }
}

/// Bytes to prune if a table exceeds its budget: an eighth of the budget more, so that not every new row
/// prunes.
fn excess(bytes: u64, budget: u64) -> Option<i64> {
    let excess = bytes.saturating_sub(budget - budget / 8);
    (bytes > budget).then(|| i64::try_from(excess).unwrap_or(i64::MAX))
}
