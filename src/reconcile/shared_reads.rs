//! Vault reads that are shared: one read of a value serves all synced secrets that need it at the same time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{sync::OnceCell, time::Instant};

use crate::{
    model::{VaultSecretName, VaultSecretVersion, VaultValue, VaultVersion},
    vault::{Priority, Vault, VaultError},
};

/// How long a set of reads may be used. The values are wiped when the last user drops the set.
const READS_LIFETIME: Duration = Duration::from_secs(30);

/// The result of a read.
pub type ReadResult = Result<Arc<VaultValue>, Arc<VaultError>>;

/// A set of vault reads. The values live as long as the set, and are wiped when it is dropped.
pub struct SharedReads {
    vault: Vault,
    priority: Priority,
    begun: Instant,
    cells: Mutex<HashMap<Key, Arc<OnceCell<ReadResult>>>>,
    descriptions: Mutex<HashMap<Key, Arc<OnceCell<DescribeResult>>>>,
}

/// The result of a read without the value.
pub type DescribeResult = Result<Arc<Description>, Arc<VaultError>>;

/// The versions of a secret, without values.
pub struct Description {
    /// The version. Several if the vault's timestamps don't show which is the latest.
    pub versions: Vec<VaultSecretVersion>,
    /// When the read began, by the vault's clock.
    pub time: Timestamp,
}

type Key = (VaultSecretName, Option<VaultVersion>);

impl SharedReads {
    pub(super) fn new(vault: Vault, priority: Priority) -> Self {
        Self {
            vault,
            priority,
            begun: Instant::now(),
            cells: Mutex::default(),
            descriptions: Mutex::default(),
        }
    }

    /// The value of a version, or of the latest one; from the vault the first time.
    pub async fn get(&self, name: &VaultSecretName, version: Option<&VaultVersion>) -> ReadResult {
        let cell = self.cell((name.clone(), version.cloned()));
        let read = || async {
            match self.vault.get(name, version, self.priority).await {
                Ok(value) => Ok(Arc::new(value)),
                Err(error) => Err(self.explained(error).await),
            }
        };
        cell.get_or_init(read).await.clone()
    }

    /// A version, or the latest one, without its value.
    pub async fn describe(&self, name: &VaultSecretName, version: Option<&VaultVersion>) -> DescribeResult {
        let key = (name.clone(), version.cloned());
        // The value was just stored or read through this set.
        if let Some(Ok(stored)) = self.cell(key.clone()).get() {
            return Ok(Arc::new(Description {
                versions: vec![stored.version.clone()],
                time: stored.read_time,
            }));
        }
        let cell = self.descriptions.lock().entry(key).or_default().clone();
        let describe = || async {
            let time = self.vault.clock().now();
            match self.vault.describe(name, version, self.priority).await {
                Ok(versions) => Ok(Arc::new(Description { versions, time })),
                Err(error) => Err(self.explained(error).await),
            }
        };
        cell.get_or_init(describe).await.clone()
    }

    /// Remembers a value that was just stored as the latest: it need not be read.
    pub fn put(&self, name: VaultSecretName, value: VaultValue) {
        // If another task read it first, that result is as good.
        let _ = self.cell((name, None)).set(Ok(Arc::new(value)));
    }

    /// The earliest time at which a read of this set can have started.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether the set may answer a call that began at this time: no read is older than the call, and the set
    /// has not expired.
    pub(super) fn may_answer(&self, requested_at: Option<Instant>) -> bool {
        self.begun.elapsed() < READS_LIFETIME
            && requested_at.is_none_or(|requested_at| self.begun >= requested_at)
    }

    async fn explained(&self, error: VaultError) -> Arc<VaultError> {
        Arc::new(self.vault.explain_missing(error, self.priority).await)
    }

    fn cell(&self, key: Key) -> Arc<OnceCell<ReadResult>> {
        self.cells.lock().entry(key).or_default().clone()
    }
}
