//! The instance that a database belongs to, and its history.

use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, SqlitePool};

use super::{
    Manifest, Signer, Store, StoreError, Transaction,
    rows::{Row, json},
    settings,
};

/// The settings key of a restore that was not reconciled with the edge yet.
const RESTORED: &str = "restored";

/// The id of the current history of a database; each restore begins a new one. Recorded answers are only
/// valid in theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub(super) [u8; 16]);

/// The instance whose synced secrets are recorded: one namespace and one vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where the vault is.
    pub vault: String,
    /// The namespace of the instance.
    pub namespace: String,
}

/// A restore that was not reconciled with the edge yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The manifest of the backup.
    pub backup: Manifest,
}

// === impl Instance ===

impl Instance {
    /// An error if a database belongs to another vault or namespace. One without that record is accepted.
    pub(super) fn check_belongs_to(
        &self,
        vault: Option<&str>,
        namespace: Option<&str>,
    ) -> Result<(), StoreError> {
        for (what, own, recorded) in
            [("vault", &self.vault, vault), ("namespace", &self.namespace, namespace)]
        {
            if let Some(recorded) = recorded.filter(|recorded| recorded != own) {
                let (recorded, configured) = (recorded.to_owned(), own.clone());
                return Err(StoreError::Foreign { what, recorded, configured });
            }
        }
        Ok(())
    }
}

impl Store {
    /// The current history.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// Signs tokens that are only valid in the current history: page tokens.
    pub fn page_signer(&self) -> Signer {
        Signer::new(&self.0.signer.sign("epoch", &self.0.epoch.0))
    }

    /// Records which instance the database belongs to; an error if it belongs to another one.
    pub async fn belong_to(&self, instance: &Instance) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        self.run(belong_to(&mut transaction.sql, instance)).await?;
        transaction.commit().await
    }

    /// The restore that was not reconciled with the edge yet, if any.
    pub async fn restored(&self) -> Result<Option<Restored>, StoreError> {
        let text = self.run(settings::text(&self.0.readers, RESTORED)).await?;
        let row = Row { table: "settings", key: RESTORED.to_owned() };
        text.map(|text| row.json("value", &text)).transpose()
    }
}

impl Transaction {
    /// Records that the restore is reconciled with the edge.
    pub async fn forget_restored(&mut self) -> Result<(), StoreError> {
        let unset = settings::unset(&mut self.sql, RESTORED);
        self.store.run(unset).await
    }

    /// Begins a new history, based on a backup.
    pub(super) async fn begin_history(&mut self, backup: &Manifest) -> Result<(), StoreError> {
        let restored = json(&Restored { backup: backup.clone() });
        let begin = async {
            settings::set(&mut self.sql, settings::EPOCH, &settings::random::<16>()?).await?;
            settings::set(&mut self.sql, RESTORED, restored.as_bytes()).await
        };
        self.store.run(begin).await
    }
}

/// The history of a migrated database.
pub(super) async fn epoch(writer: &SqlitePool) -> Result<Epoch, StoreError> {
    let bytes = settings::get(writer, settings::EPOCH).await?.unwrap_or_default();
    Ok(Epoch(settings::fixed(settings::EPOCH, bytes)?))
}

async fn belong_to(sql: &mut SqliteConnection, instance: &Instance) -> Result<(), StoreError> {
    let vault = settings::text(&mut *sql, settings::VAULT).await?;
    let namespace = settings::text(&mut *sql, settings::NAMESPACE).await?;
    instance.check_belongs_to(vault.as_deref(), namespace.as_deref())?;
    if vault.is_none() {
        settings::set(&mut *sql, settings::VAULT, instance.vault.as_bytes()).await?;
    }
    if namespace.is_none() {
        settings::set(&mut *sql, settings::NAMESPACE, instance.namespace.as_bytes()).await?;
    }
    Ok(())
}
