//! Which instance a database belongs to, and which history it is in.

use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, SqlitePool};

use super::{
    Manifest, Signer, Store, StoreError, Transaction,
    rows::{Row, json},
    settings,
};

/// The name under which the settings hold what is not reconciled yet.
const RESTORED: &str = "restored";

/// The history of a database that goes on now; another one after each restore. What was answered in one holds in that one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub(super) [u8; 16]);

/// Whose synced secrets are recorded: those of one namespace, from one vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where the vault is.
    pub vault: String,
    /// The namespace of the instance.
    pub namespace: String,
}

/// That a database is as a backup had it, and was not held against the edge since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// What the backup said of itself: its time, its sequence.
    pub backup: Manifest,
}

// === impl Instance ===

impl Instance {
    /// Refuses what belongs to another vault or namespace; what does not say whose it is may be anybody's.
    pub(super) fn must_be(&self, vault: Option<&str>, namespace: Option<&str>) -> Result<(), StoreError> {
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
    /// The history that goes on now.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// Signs what is good in this history alone: the places of pages.
    pub fn page_signer(&self) -> Signer {
        Signer::new(&self.0.signer.sign("epoch", &self.0.epoch.0))
    }

    /// Records which instance the database belongs to; an error where it belongs to another one.
    pub async fn belong_to(&self, instance: &Instance) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        self.run(belong_to(&mut transaction.sql, instance)).await?;
        transaction.commit().await
    }

    /// That it was restored and was not reconciled with the edge since, where that is so.
    pub async fn restored(&self) -> Result<Option<Restored>, StoreError> {
        let text = self.run(settings::text(&self.0.readers, RESTORED)).await?;
        let row = Row { table: "settings", key: RESTORED.to_owned() };
        text.map(|text| row.json("value", &text)).transpose()
    }
}

impl Transaction {
    /// Forgets that the database was restored: it was held against the edge.
    pub async fn forget_restored(&mut self) -> Result<(), StoreError> {
        let unset = settings::unset(&mut self.sql, RESTORED);
        self.store.run(unset).await
    }

    /// Begins another history, which goes on from a backup.
    pub(super) async fn begin_history(&mut self, backup: &Manifest) -> Result<(), StoreError> {
        let restored = json(&Restored { backup: backup.clone() });
        let begin = async {
            settings::set(&mut self.sql, settings::EPOCH, &settings::random::<16>()?).await?;
            settings::set(&mut self.sql, RESTORED, restored.as_bytes()).await
        };
        self.store.run(begin).await
    }
}

/// The history of a database that is migrated.
pub(super) async fn epoch(writer: &SqlitePool) -> Result<Epoch, StoreError> {
    let bytes = settings::get(writer, settings::EPOCH).await?.unwrap_or_default();
    Ok(Epoch(settings::fixed(settings::EPOCH, bytes)?))
}

async fn belong_to(sql: &mut SqliteConnection, instance: &Instance) -> Result<(), StoreError> {
    let vault = settings::text(&mut *sql, settings::VAULT).await?;
    let namespace = settings::text(&mut *sql, settings::NAMESPACE).await?;
    instance.must_be(vault.as_deref(), namespace.as_deref())?;
    if vault.is_none() {
        settings::set(&mut *sql, settings::VAULT, instance.vault.as_bytes()).await?;
    }
    if namespace.is_none() {
        settings::set(&mut *sql, settings::NAMESPACE, instance.namespace.as_bytes()).await?;
    }
    Ok(())
}
