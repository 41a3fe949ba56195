//! A change of the database, which happens as a whole or not at all.

use tokio::sync::OwnedMutexGuard;

use super::{Store, StoreError, audit, driving, view};
use crate::model::ChainedEvent;

/// A change of the database in progress. Dropped without [`Transaction::commit`], it never happened.
pub struct Transaction {
    pub(super) store: Store,
    pub(super) sql: driving::Sql,
    pub(super) effects: Vec<view::Effect>,
    /// To be logged once they are recorded.
    pub(super) events: Vec<ChainedEvent>,
    /// Whether a new database is filled with this.
    pub(super) filled: bool,
    _turn: OwnedMutexGuard<()>,
}

impl Store {
    /// Begins a change; waits for the one before.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = self.0.turn.clone().lock_owned().await;
        self.noted(self.0.faults.look())?;
        let sql = self.run(self.0.writer.begin_with("BEGIN IMMEDIATE")).await?;
        let sql = self.0.options.sql(sql);
        Ok(Transaction {
            store: self.clone(),
            sql,
            effects: Vec::new(),
            events: Vec::new(),
            filled: false,
            _turn: turn,
        })
    }
}

// === impl Transaction ===

impl Transaction {
    /// Makes it durable, shows it in the view and tells who waits for changes. Goes on also if the caller goes away.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = tokio::spawn(async move {
            let Self { store, sql, effects, events, filled, _turn } = self;
            store.noted(sql.commit().await)?;
            // Committed to a file that is gone, it is lost with this process.
            if let Err(lost @ StoreError::Lost(_)) = store.noted(store.0.faults.look()) {
                return Err(lost);
            }
            store.0.faults.written();
            events.iter().for_each(audit::log);
            if let Some(sequence) = store.0.view.apply(effects) {
                store.0.sequence.send_replace(sequence);
            }
            if filled {
                store.0.unfilled.send_replace(false);
            }
            store.0.commits.send_replace(());
            Ok(())
        });
        committed.await.unwrap_or(Err(StoreError::Stopping))
    }
}
