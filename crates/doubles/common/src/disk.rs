//! A double's state: a small durable map with encrypted values. A search of the data directory finds no secret value,
//! as in a real vault or in an etcd with encryption at rest.

use std::{os::unix::fs::OpenOptionsExt, path::Path};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

/// A durable map of `(bucket, key)` to bytes.
#[derive(Clone)]
pub struct Disk {
    /// Absent where nothing is stored.
    pool: Option<SqlitePool>,
    key: std::sync::Arc<RandomizedNonceKey>,
}

/// One change of the map.
#[derive(Clone)]
pub enum Write {
    /// Sets the value of a key.
    Put {
        /// The bucket.
        bucket: &'static str,
        /// The key in it.
        key: String,
        /// The value, in the clear.
        value: Vec<u8>,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The bucket.
        bucket: &'static str,
        /// The key in it.
        key: String,
    },
}

/// Why the state of a double can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The database.
    #[error("the state of a double: {0}")]
    Database(#[from] sqlx::Error),
    /// The key file.
    #[error("the key of a double's state: {0}")]
    Key(#[from] std::io::Error),
    /// What is stored was sealed with another key, or damaged.
    #[error("the state of a double was sealed with another key: remove the data directory to start anew")]
    Sealed,
}

impl Disk {
    /// Opens `NAME.db` in a directory, sealed with the key in `NAME.key` beside it; creates both if they are missing.
    pub async fn open(directory: &Path, name: &str) -> Result<Self, DiskError> {
        let key = load_or_create_key(&directory.join(format!("{name}.key")))?;
        let options = SqliteConnectOptions::new()
            .filename(directory.join(format!("{name}.db")))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS entries (
                bucket TEXT NOT NULL,
                key    TEXT NOT NULL,
                value  BLOB NOT NULL,
                PRIMARY KEY (bucket, key)
             ) STRICT, WITHOUT ROWID",
        )
        .execute(&pool)
        .await?;
        Ok(Self { pool: Some(pool), key: std::sync::Arc::new(key) })
    }

    /// Stores nothing, for a double whose state may end with it.
    pub fn nowhere() -> Result<Self, DiskError> {
        let mut bytes = vec![0; AES_256_GCM.key_len()];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| DiskError::Sealed)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| DiskError::Sealed)?;
        Ok(Self { pool: None, key: std::sync::Arc::new(key) })
    }

    /// All entries of a bucket, in the order of their keys.
    pub async fn load(&self, bucket: &str) -> Result<Vec<(String, Vec<u8>)>, DiskError> {
        let Some(pool) = &self.pool else { return Ok(Vec::new()) };
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT key, value FROM entries WHERE bucket = ? ORDER BY key")
                .bind(bucket)
                .fetch_all(pool)
                .await?;
        rows.into_iter().map(|(key, sealed)| Ok((key, self.unseal(sealed)?))).collect()
    }

    /// Makes all changes, or none. They are durable when this returns, even after a kill -9.
    pub async fn write(&self, writes: Vec<Write>) -> Result<(), DiskError> {
        let Some(pool) = &self.pool else { return Ok(()) };
        let mut transaction = pool.begin().await?;
        for write in writes {
            match write {
                Write::Put { bucket, key, value } => {
                    sqlx::query(
                        "INSERT INTO entries (bucket, key, value) VALUES (?, ?, ?)
                         ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value",
                    )
                    .bind(bucket)
                    .bind(key)
                    .bind(self.seal(value)?)
                    .execute(&mut *transaction)
                    .await?
                }
                Write::Delete { bucket, key } => {
                    sqlx::query("DELETE FROM entries WHERE bucket = ? AND key = ?")
                        .bind(bucket)
                        .bind(key)
                        .execute(&mut *transaction)
                        .await?
                }
            };
        }
        Ok(transaction.commit().await?)
    }

    /// Seals bytes with this state's key, for data that leaves the double and may come back.
    pub fn seal(&self, mut value: Vec<u8>) -> Result<Vec<u8>, DiskError> {
        let nonce =
            self.key.seal_in_place_append_tag(Aad::empty(), &mut value).map_err(|_| DiskError::Sealed)?;
        value.extend_from_slice(nonce.as_ref());
        Ok(value)
    }

    /// Opens bytes that [`Disk::seal`] sealed.
    pub fn unseal(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, DiskError> {
        let at = sealed.len().checked_sub(NONCE_LEN).ok_or(DiskError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(&sealed.split_off(at)).map_err(|_| DiskError::Sealed)?;
        let length =
            self.key.open_in_place(nonce, Aad::empty(), &mut sealed).map_err(|_| DiskError::Sealed)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }
}

fn load_or_create_key(path: &Path) -> Result<RandomizedNonceKey, DiskError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = vec![0; AES_256_GCM.key_len()];
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| DiskError::Sealed)?;
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            std::io::Write::write_all(&mut file, &bytes)?;
            bytes
        }
        Err(error) => return Err(error.into()),
    };
    RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| DiskError::Sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &[u8]) -> Write {
        Write::Put { bucket: "secrets", key: key.to_owned(), value: value.to_vec() }
    }

    #[tokio::test]
    async fn writes_survive_reopening_and_are_nowhere_on_disk_in_the_clear() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path(), "double").await.unwrap();
        disk.write(vec![put("a", b"canary-1"), put("b", b"canary-2")]).await.unwrap();
        disk.write(vec![put("a", b"canary-3"), Write::Delete { bucket: "secrets", key: "b".into() }])
            .await
            .unwrap();
        drop(disk);

        let disk = Disk::open(directory.path(), "double").await.unwrap();
        assert_eq!(disk.load("secrets").await.unwrap(), [("a".to_owned(), b"canary-3".to_vec())]);
        for file in std::fs::read_dir(directory.path()).unwrap() {
            // The log of the first connection may go between the look and the read.
            match std::fs::read(file.unwrap().path()) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                bytes => assert!(!bytes.unwrap().windows(6).any(|window| window == b"canary")),
            }
        }
    }
}
