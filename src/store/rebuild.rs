//! Whether what the edge holds is to be recorded again: the mark in the settings that says so outlives the process.

use std::path::Path;

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tokio::sync::watch;

use super::{BUSY_TIMEOUT, Store, StoreError, Transaction, settings, statements};

/// The name of the mark.
const NAME: &str = "rebuild";
const DONE: i64 = 0;
const NEW: i64 = 1;

statements! {
    /// Only what was read: another request may have come since.
    CLEAR = "UPDATE settings SET value = ?2 WHERE name = ?1 AND value = ?3";
}

/// Why the database is to be rebuilt from the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildCause {
    /// It was made anew and has never held anything: the one before may be lost.
    New,
    /// Somebody asked for it, by this number; 0 where they wrote no mark.
    Asked(i64),
    /// It is of an earlier time than what the edge holds: a backup, or another process with another database has acted since.
    Behind,
}

impl RebuildCause {
    fn of(mark: i64) -> Option<Self> {
        match mark {
            DONE => None,
            NEW => Some(Self::New),
            number => Some(Self::Asked(number)),
        }
    }

    fn mark(self) -> i64 {
        match self {
            Self::New => NEW,
            Self::Asked(number) => number,
            // It has no mark: who finds that out sees to it before anything else.
            Self::Behind => DONE,
        }
    }
}

/// Marks a database that has never held anything. Whether it is, and was not rebuilt yet.
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
    /// Why the database is to be rebuilt from the edge, where it is.
    pub async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let mark = self.run(settings::number(&self.0.readers, NAME)).await?;
        Ok(mark.and_then(RebuildCause::of))
    }

    /// Tells whether the database is new and is still to be filled with what the edge holds: what is not in it may be there all the same.
    pub fn unfilled(&self) -> watch::Receiver<bool> {
        self.0.unfilled.subscribe()
    }

    /// Says that a new database is not to be filled by itself.
    pub fn leave_unfilled(&self) {
        self.0.unfilled.send_replace(false);
    }

    /// Asks the process that works with a database to rebuild it; the number of the request.
    pub async fn ask_rebuild(path: &Path) -> Result<RebuildCause, StoreError> {
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await?;
        // A number of its own, so that the end of one request is not taken for that of another.
        let number = jiff::Timestamp::now().as_microsecond();
        settings::set_number(&mut connection, NAME, number).await?;
        connection.close().await?;
        Ok(RebuildCause::Asked(number))
    }
}

impl Transaction {
    /// Records that the rebuild is done which was asked for so.
    pub async fn rebuilt(&mut self, cause: RebuildCause) -> Result<(), StoreError> {
        let [done, read] = [DONE, cause.mark()].map(|mark| mark.to_be_bytes().to_vec());
        let clear = sqlx::query(CLEAR).bind(NAME).bind(done).bind(read).execute(&mut *self.sql);
        self.store.run(clear).await?;
        self.filled = cause == RebuildCause::New;
        Ok(())
    }
}
