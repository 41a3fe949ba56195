//! Whether what the edge holds is to be recorded again: the mark in the settings that says so outlives the process.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{BUSY_TIMEOUT, Store, StoreError, Transaction, settings};

/// The name of the mark.
const NAME: &str = "rebuild";

/// Why the database is to be rebuilt from the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildCause {
    /// It was made anew and has never held anything: the one before may be lost.
    New,
    /// Somebody asked for it.
    Asked,
}

impl RebuildCause {
    fn of(mark: i64) -> Option<Self> {
        match mark {
            0 => None,
            1 => Some(Self::New),
            _ => Some(Self::Asked),
        }
    }

    fn mark(self) -> i64 {
        match self {
            Self::New => 1,
            Self::Asked => 2,
        }
    }
}

/// Marks a database that has never held anything.
pub(super) async fn mark_new(store: &Store) -> Result<(), StoreError> {
    if settings::number(&store.0.readers, NAME).await?.is_none() {
        let mark = if store.view().sequence() > 0 { 0 } else { RebuildCause::New.mark() };
        settings::set_number(&mut *store.0.writer.acquire().await?, NAME, mark).await?;
    }
    Ok(())
}

impl Store {
    /// Why the database is to be rebuilt from the edge, where it is.
    pub async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let mark = self.run(settings::number(&self.0.readers, NAME)).await?;
        Ok(mark.and_then(RebuildCause::of))
    }

    /// Asks the process that works with a database to rebuild it.
    pub async fn ask_rebuild(path: &Path) -> Result<(), StoreError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        settings::set_number(&mut connection, NAME, RebuildCause::Asked.mark()).await?;
        Ok(connection.close().await?)
    }
}

impl Transaction {
    /// Records that the rebuild is done.
    pub async fn rebuilt(&mut self) -> Result<(), StoreError> {
        let done = settings::set_number(&mut self.sql, NAME, 0);
        self.store.run(done).await
    }
}
