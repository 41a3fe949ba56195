//! Transactions: atomic changes of the database.

use tokio::sync::OwnedMutexGuard;

use super::{Store, StoreError, audit, execution, view};
use crate::model::ChainedEvent;

/// A transaction in progress. Dropping it without [`Transaction::commit`] rolls it back.
pub struct Transaction {
    pub(super) store: Store,
    pub(super) sql: execution::Sql,
    pub(super) effects: Vec<view::Effect>,
    /// Audit events to log after the commit.
    pub(super) events: Vec<ChainedEvent>,
    /// Whether this completes the rebuild of a new database.
    pub(super) filled: bool,
    _turn: OwnedMutexGuard<()>,
}

impl Store {
    /// Begins a transaction; waits for the previous one.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let turn = self.0.turn.clone().lock_owned().await;
        self.noted(self.0.faults.check_file())?;
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
    /// Commits, updates the view and notifies subscribers. Continues even if the caller is cancelled.
    pub async fn commit(self) -> Result<(), StoreError> {
        let committed = tokio::spawn(async move {
            let Self { store, sql, effects, events, filled, _turn } = self;
            store.noted(sql.commit().await)?;
            // A commit to a file that was removed is lost when this process ends.
            if let Err(lost @ StoreError::Lost(_)) = store.noted(store.0.faults.check_file()) {
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
