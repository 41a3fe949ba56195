//! Whether what the edge holds is to be recorded again: the mark in the settings that says so outlives the process.

use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::{Store, StoreError, Transaction, settings};

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
pub(super) async fn mark_new(writer: &SqlitePool, has_changes: bool) -> Result<(), StoreError> {
    if settings::number(writer, NAME).await?.is_none() {
        let mark = if has_changes { 0 } else { RebuildCause::New.mark() };
        settings::set_number(&mut *writer.acquire().await?, NAME, mark).await?;
    }
    Ok(())
}

impl Store {
    /// Why the database is to be rebuilt from the edge, where it is.
    pub async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let mark = self.run(settings::number(&self.0.readers, NAME)).await?;
        Ok(mark.and_then(RebuildCause::of))
    }

    /// Asks for a rebuild of a database that another process may be working with.
    pub async fn ask_rebuild(sql: &mut SqliteConnection) -> Result<(), StoreError> {
        sql.ping().await?;
        settings::set_number(sql, NAME, RebuildCause::Asked.mark()).await
    }
}

impl Transaction {
    /// Records that the rebuild is done.
    pub async fn rebuilt(&mut self) -> Result<(), StoreError> {
        let done = settings::set_number(&mut self.sql, NAME, 0);
        self.store.run(done).await
    }
}
