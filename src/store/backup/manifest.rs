//! The manifest of a backup, and the digest over the whole file.
//!
//! The manifest is a row in the settings of the backup, not a separate file: it can't get lost, and one
//! rename publishes both. The digest covers every byte of the file; its own text counts as zeros.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use aws_lc_rs::digest;
use jiff::Timestamp;
use memchr::memmem;
use serde::{Deserialize, Serialize};
use sqlx::{
    ConnectOptions, Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

use crate::store::{StoreError, rows::Row, schema, settings, statements};

/// The settings key of the manifest, which only backups have.
pub(in crate::store) const NAME: &str = "backup";
/// A multiple of every page size of SQLite, so that the row of the manifest never spans two chunks.
const CHUNK: usize = 1024 * 1024;

statements! {
    /// Valid for every schema.
    SEQUENCES = "
        SELECT coalesce((SELECT max(sequence) FROM changes), 0), coalesce((SELECT max(sequence) FROM audit_events), 0)";
    /// Without the index, which may be damaged.
    SELECT = "SELECT CAST(value AS TEXT) FROM settings WHERE +name = ?1";
}

/// The description of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was made.
    pub time: Timestamp,
    /// The release that made it.
    pub release: String,
    /// The schema of the database: the number of its last migration.
    pub schema: i64,
    /// The vault that the database belongs to; absent if only an older release has used it.
    pub vault: Option<String>,
    /// The namespace of the instance that it belongs to.
    pub namespace: Option<String>,
    /// The history that the database was in, see [`Epoch`](crate::store::Epoch).
    pub epoch: Option<String>,
    /// The sequence of the last change in it.
    pub sequence: i64,
    /// The sequence of the last audit event in it.
    pub audit_sequence: i64,
    /// SHA-256, in hexadecimal, of the whole file with this text as zeros.
    pub sha256: String,
}

/// Writes the manifest into a copy of a database, and the digest over both.
pub(in crate::store) async fn seal(copy: &Path) -> Result<Manifest, StoreError> {
    // A single file, without a write-ahead log.
    let options = SqliteConnectOptions::new().filename(copy).journal_mode(SqliteJournalMode::Delete);
    let mut connection = options.connect().await?;
    let mut manifest = draft(&mut connection).await?;
    settings::set(&mut connection, NAME, json(&manifest).as_bytes()).await?;
    connection.close().await?;
    let (copy, place) = (copy.to_owned(), manifest.sha256.clone());
    let sealed = tokio::task::spawn_blocking(move || seal_file(&copy, &place));
    manifest.sha256 = sealed.await.map_err(|_| StoreError::Stopping)?.map_err(sqlx::Error::Io)?;
    Ok(manifest)
}

/// The manifest of a database, with a random placeholder for the digest.
async fn draft(connection: &mut SqliteConnection) -> Result<Manifest, StoreError> {
    let (sequence, audit_sequence) = sqlx::query_as(SEQUENCES).fetch_one(&mut *connection).await?;
    let epoch: Option<Vec<u8>> = settings::get(&mut *connection, settings::EPOCH).await?;
    Ok(Manifest {
        time: crate::model::now(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        schema: schema::applied(&mut *connection).await?.last().copied().unwrap_or_default(),
        vault: settings::text(&mut *connection, settings::VAULT).await?,
        namespace: settings::text(&mut *connection, settings::NAMESPACE).await?,
        epoch: epoch.map(hex::encode),
        sequence,
        audit_sequence,
        sha256: hex::encode(settings::random::<32>()?),
    })
}

/// Replaces the placeholder by the digest, syncs the file, and returns the digest.
fn seal_file(copy: &Path, place: &str) -> io::Result<String> {
    let file = OpenOptions::new().read(true).write(true).open(copy)?;
    let (at, digest) = digest_without(&file, place)?
        .ok_or_else(|| io::Error::other("its manifest was not found in the file"))?;
    file.write_all_at(digest.as_bytes(), at)?;
    file.sync_all()?;
    Ok(digest)
}

/// The manifest of a file; `None` if it is not a backup, [`StoreError::Corrupt`] if it is unreadable.
pub(in crate::store) async fn read(file: &Path) -> Result<Option<Manifest>, StoreError> {
    // Immutable: nobody writes it, and SQLite must not create files next to it.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(true);
    let mut connection = options.connect().await?;
    let text: Option<String> = match schema::applied(&mut connection).await?.is_empty() {
        true => None,
        false => sqlx::query_scalar(SELECT).bind(NAME).fetch_optional(&mut connection).await?,
    };
    connection.close().await?;
    let row = Row { table: "settings", key: NAME.to_owned() };
    text.map(|text| row.json("value", &text)).transpose()
}

/// Whether the content of a file matches the digest of its manifest.
pub(super) async fn is_whole(file: &Path, manifest: &Manifest) -> io::Result<bool> {
    let (file, sha256) = (file.to_owned(), manifest.sha256.clone());
    let digest = tokio::task::spawn_blocking(move || digest_without(&File::open(file)?, &sha256));
    let digest = digest.await.map_err(io::Error::other)??;
    Ok(digest.is_some_and(|(_, digest)| digest == manifest.sha256))
}

/// The digest of a file in which `text` counts as zeros, and the offset of `text`; `None` unless it occurs
/// exactly once.
fn digest_without(mut file: &File, text: &str) -> io::Result<Option<(u64, String)>> {
    let (mut context, mut found) = (digest::Context::new(&digest::SHA256), Vec::new());
    let (mut chunk, mut offset) = (Vec::with_capacity(CHUNK), 0);
    loop {
        chunk.clear();
        let read = file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk)?;
        if read == 0 {
            break;
        }
        let places: Vec<usize> = memmem::find_iter(&chunk, text).collect();
        for place in places {
            chunk[place..place + text.len()].fill(0);
            found.push(offset + place as u64);
        }
        context.update(&chunk);
        offset += read as u64;
    }
    let digest = hex::encode(context.finish());
    Ok(if let [place] = found[..] { Some((place, digest)) } else { None })
}

fn json(manifest: &Manifest) -> String {
    serde_json::to_string(manifest).expect("plain data is always JSON")
}
