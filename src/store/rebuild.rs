//! Requests to rebuild the database from the edge: a mark in the settings that survives restarts.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::sync::watch;

use super::{BUSY_TIMEOUT, Store, StoreError, Transaction, settings, statements};

/// The name of the mark.
const NAME: &str = "rebuild";
const DONE: i64 = 0;
const NEW: i64 = 1;

statements! {
    /// Only the mark that was read: another request may have arrived since.
    CLEAR = "UPDATE settings SET value = ?2 WHERE name = ?1 AND value = ?3";
}

/// Why the database must be rebuilt from the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildCause {
    /// It is new and was never filled: a previous one may be lost.
    New,
    /// It was requested, with this number; 0 without a mark.
    Requested(i64),
    /// It is older than the edge: it was restored, or another process with another database has acted since.
    Behind,
}

impl RebuildCause {
    fn of(mark: i64) -> Option<Self> {
        match mark {
            DONE => None,
            NEW => Some(Self::New),
            number => Some(Self::Requested(number)),
        }
    }

    fn mark(self) -> i64 {
        match self {
            Self::New => NEW,
            Self::Requested(number) => number,
            // It has no mark: the process that detects it rebuilds before anything else.
            Self::Behind => DONE,
        }
    }
}

/// Marks a database that was never filled, and notes whether a rebuild is pending.
pub(super) async fn mark_new(store: &Store) -> Result<(), StoreError> {
    let mark = match settings::number(&store.0.readers, NAME).await? {
        Some(mark) => mark,
        None => {
            let mark = if store.view().sequence() > 0 { DONE } else { NEW };
            settings::set_number(&mut *store.0.writer.acquire().await?, NAME, mark).await?;
            mark
        }
    };
    store.0.unfilled.send_replace(mark == NEW);
    Ok(())
}

impl Store {
    /// Why the database must be rebuilt from the edge, if it must.
    pub async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let mark = self.run(settings::number(&self.0.readers, NAME)).await?;
        Ok(mark.and_then(RebuildCause::of))
    }

    /// Watches whether the database is new and not rebuilt yet: a synced secret that it does not hold may
    /// still exist.
    pub fn unfilled(&self) -> watch::Receiver<bool> {
        self.0.unfilled.subscribe()
    }

    /// Disables the automatic rebuild of a new database.
    pub fn skip_initial_rebuild(&self) {
        self.0.unfilled.send_replace(false);
    }

    /// Asks the process that uses a database to rebuild it; returns the request.
    pub async fn request_rebuild(path: &Path) -> Result<RebuildCause, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        // A unique number, so that requests are not confused.
        let number = jiff::Timestamp::now().as_microsecond();
        settings::set_number(&mut connection, NAME, number).await?;
        connection.close().await?;
        Ok(RebuildCause::Requested(number))
    }
}

impl Transaction {
    /// Records that the rebuild with this cause is done.
    pub async fn rebuilt(&mut self, cause: RebuildCause) -> Result<(), StoreError> {
        let [done, read] = [DONE, cause.mark()].map(|mark| mark.to_be_bytes().to_vec());
        let clear = sqlx::query(CLEAR).bind(NAME).bind(done).bind(read).execute(&mut *self.sql);
        self.store.run(clear).await?;
        self.filled = cause == RebuildCause::New;
        Ok(())
    }
}
