//! A database of every schema that landed is kept in `schemas/`, and is brought to the newest one with what was in it unharmed.
//!
//! They were made by the migrations themselves, one after the other, with rows as the releases of their time left them.
//! `UPDATE_FIXTURES=1 cargo test --lib schemas` makes those that are missing, and never writes one anew: a new migration adds its own, and a
//! new column a line to [`rows::fill`].

mod rows;

use std::{borrow::Cow, collections::BTreeMap, fs};

use sqlx::{AssertSqlSafe, Row, SqliteConnection, migrate::Migrator};

use super::*;
use crate::model::{
    Anchor, AuditEvent, AuditHash, CertificateFacts, CertificateKind, Chain, Condition, ConditionType,
    Encoding, Link, Part, Reason, Reference, Status, User,
};

/// 2026-09-21, in microseconds.
const TIME: i64 = 1_790_000_000_000_000;
/// Signs in all of them.
const KEY: [u8; 32] = [7; 32];
/// The call that is recorded, of a caller whom the audit names.
const REQUEST: &str = "6f1b7a52-6d1c-4c58-9a35-1f6f3d1d0e01";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tests/schemas")
}

fn fixture(schema: i64) -> PathBuf {
    fixtures().join(format!("{schema:04}.db"))
}

fn schemas() -> Vec<i64> {
    schema::MIGRATOR.iter().map(|migration| migration.version).collect()
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond(TIME + seconds * 1_000_000).unwrap()
}

fn condition(status: Status, reason: Reason) -> Condition {
    let mut condition =
        Condition::new(ConditionType::Synced, status, reason, "What happened, and what to do.");
    condition.last_transition_time = time(3);
    condition
}

/// A synced secret in each state, of each engine, with all that a record can hold.
fn secrets() -> Vec<SyncedSecret> {
    let ids = ["rotated", "handed", "failed", "theirs", "adopted"];
    let states = [State::Synced, State::Degraded, State::Failed, State::Synced, State::Deleting];
    let mut secrets = Vec::new();
    for (number, (id, state)) in (1..).zip(ids.into_iter().zip(states)) {
        let mut secret = SyncedSecret::example(id);
        secret.uid = Uuid::from_u128(number);
        (secret.create_time, secret.update_time) = (time(1), time(2));
        secret.state = state;
        secret.generation = 3;
        secret.synced_generation = 2;
        secret.sync_time = Some(time(4));
        secret.description = "Pumpe 7, Süd".to_owned();
        secret.conditions = vec![condition(Status::True, Reason::Synced)];
        let mut pinned = Reference { key: "password".parse().unwrap(), ..secret.references[0].clone() };
        pinned.version = Some("0123456789abcdef0123456789abcdef".parse().unwrap());
        pinned.encoding = Encoding::Base64;
        pinned.status.synced_version.clone_from(&pinned.version);
        pinned.status.expire_time = Some(time(86_400));
        pinned.status.vault_update_time = Some(time(0));
        pinned.status.settled = true;
        secret.references.push(pinned);
        secrets.push(secret);
    }
    secrets[2].references[0].create_pending = true;
    secrets[2].references[0].status.problem = Some(condition(Status::False, Reason::ValueNotStored));
    secrets[2].sync_time = None;
    secrets
}

/// Makes a database by the migrations up to one, with small pages, so that it is a small file.
async fn make(schema: i64) {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("made.db"))
        .create_if_missing(true)
        .page_size(512);
    let mut sql = options.connect().await.unwrap();
    let known = schema::MIGRATOR.iter().filter(|migration| migration.version <= schema).cloned();
    let migrator = Migrator { migrations: Cow::Owned(known.collect()), ..Migrator::DEFAULT };
    migrator.run_direct(None, &mut sql, false).await.unwrap();
    rows::fill(&mut sql, schema).await;
    sqlx::query("VACUUM INTO ?1").bind(fixture(schema).to_str().unwrap()).execute(&mut sql).await.unwrap();
    sql.close().await.unwrap();
}

#[tokio::test]
async fn the_fixtures_include_a_database_of_every_schema() {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::create_dir_all(fixtures()).unwrap();
        for schema in schemas().into_iter().filter(|schema| !fixture(*schema).exists()) {
            make(schema).await;
        }
    }
    for schema in schemas() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        fs::copy(fixture(schema), &path).unwrap_or_else(|error| {
            panic!(
                "no database of schema {schema} is kept ({error}): UPDATE_FIXTURES=1 cargo test --lib schemas"
            )
        });
        let mut sql = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let applied = schema::applied(&mut sql).await.unwrap();
        assert_eq!(applied.last(), Some(&schema), "the file's name says its schema");
        for (table, rows) in tables(&mut sql).await {
            assert!(!rows.is_empty(), "schema {schema}: there is nothing in {table}");
        }
        sql.close().await.unwrap();
    }
}

/// All rows of all tables of ours, by their primary key: the values by their column, as SQL writes them.
type Rows = BTreeMap<String, BTreeMap<String, String>>;

async fn tables(sql: &mut SqliteConnection) -> BTreeMap<String, Rows> {
    let names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'";
    let names: Vec<String> = sqlx::query_scalar(names).fetch_all(&mut *sql).await.unwrap();
    let mut tables = BTreeMap::new();
    for table in names {
        let columns: Vec<(String, i64)> =
            sqlx::query_as("SELECT name, pk FROM pragma_table_info(?1) ORDER BY cid")
                .bind(&table)
                .fetch_all(&mut *sql)
                .await
                .unwrap();
        let list: Vec<String> = columns.iter().map(|(name, _)| format!("quote({name})")).collect();
        let select = format!("SELECT {} FROM {table}", list.join(", "));
        let mut rows = Rows::new();
        for row in sqlx::query(AssertSqlSafe(select)).fetch_all(&mut *sql).await.unwrap() {
            let values: BTreeMap<String, String> = columns
                .iter()
                .enumerate()
                .map(|(place, (name, _))| (name.clone(), row.get::<String, _>(place)))
                .collect();
            // The key of a call was its id alone once.
            let is_key = |name: &str, pk: i64| pk > 0 && !(table == "requests" && name == "caller");
            let key: Vec<&str> = columns
                .iter()
                .filter(|(name, pk)| is_key(name, *pk))
                .map(|(name, _)| values[name].as_str())
                .collect();
            rows.insert(key.join(" "), values);
        }
        tables.insert(table, rows);
    }
    tables
}

/// What a migration or a start is meant to change.
fn may_differ(schema: i64, table: &str, column: &str) -> bool {
    match (table, column) {
        // Chained by the start, and begun anew where there was no history.
        ("audit_events", "hash") => schema < 5,
        ("changes", "history") => schema < 7,
        // Read again by a release that knows certificates.
        ("secret_references", "settled") => schema < 12,
        _ => false,
    }
}

#[tokio::test]
async fn a_database_of_every_schema_is_migrated_without_data_loss() {
    for schema in schemas() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        fs::copy(fixture(schema), &path).unwrap();
        let options = SqliteConnectOptions::new().filename(&path);
        let mut sql = options.connect().await.unwrap();
        let before = tables(&mut sql).await;
        sql.close().await.unwrap();

        let store = Store::open(&path).await.unwrap_or_else(|error| panic!("schema {schema}: {error}"));
        holds_what_was_asked_for(&store, schema).await;
        feed_goes_on_or_is_told(&store, schema).await;
        let call = Request {
            caller: "alice".to_owned(),
            id: REQUEST.parse().unwrap(),
            method: "CreateSyncedSecret",
            fingerprint: [5; 32],
        };
        let recorded = store.recorded(&call).await.unwrap().expect("the call is recorded");
        assert_eq!((recorded.uid, recorded.response.unwrap()), (Some(Uuid::from_u128(1)), b"null".to_vec()));
        // And it can be worked with.
        store.audit(event("later")).await.unwrap();
        store.close().await;
        assert_eq!(verify_audit(&path, None).await.unwrap().events, 7);
        assert_eq!(inspect(&path).await.unwrap(), Schema::Current);

        let mut sql = options.connect().await.unwrap();
        let after = tables(&mut sql).await;
        sql.close().await.unwrap();
        for (table, rows) in &before {
            // They go on with the event that was just recorded.
            if table == "audit_chain" || table == "room" {
                continue;
            }
            for (key, row) in rows {
                // The oldest changes of a release without a history are gone: they say nothing of what was before.
                let is_dropped = table == "changes" && schema < 7 && key != "3";
                let Some(kept) = after[table].get(key).filter(|_| !is_dropped) else {
                    assert!(is_dropped, "schema {schema}: {key} of {table} is gone");
                    continue;
                };
                for (column, value) in row.iter().filter(|(column, _)| !may_differ(schema, table, column)) {
                    assert_eq!(
                        kept.get(column),
                        Some(value),
                        "schema {schema}: {column} of {key} in {table}"
                    );
                }
            }
        }
        was_backed_up_before(directory.path(), schema);
    }
}

async fn holds_what_was_asked_for(store: &Store, schema: i64) {
    let snapshot = store.view().snapshot();
    for mut secret in secrets() {
        let mut record =
            snapshot.records.iter().find(|record| record.secret.uid == secret.uid).unwrap().as_ref().clone();
        if schema >= 2 && secret.id.as_str() == "theirs" {
            secret.origin = Origin::Unmanaged;
        }
        if schema >= 3 && secret.id.as_str() == "rotated" {
            secret.users =
                vec![User { kind: "AssetEndpointProfile".to_owned(), resource: "press-1".to_owned() }];
        }
        for pending in secret.references.iter_mut().filter(|reference| reference.create_pending) {
            pending.create_generation = if schema >= 9 { 3 } else { 0 };
        }
        for pinned in
            secret.references.iter_mut().filter(|reference| schema >= 11 && reference.version.is_some())
        {
            pinned.status.not_before_time = Some(time(5));
            pinned.status.held_until = Some(time(6));
        }
        let is_handed = schema >= 2 && secret.id.as_str() == "handed";
        for pinned in secret.references.iter_mut().filter(|reference| reference.version.is_some()) {
            let is_read_again = schema < 12 && !is_handed && secret.origin == Origin::Managed;
            pinned.status.settled = !is_read_again;
            if schema >= 12 {
                (pinned.part, pinned.status.certificate) = (Part::FullChain, Some(rows::certificate()));
            }
        }
        assert_eq!(record.engine == SyncEngine::SecretStore, is_handed);
        assert_eq!(
            record.delegation.take().map(|delegation| delegation.hash_before),
            is_handed.then(|| "abc".to_owned())
        );
        assert_eq!(record.delete_forced, schema >= 3 && secret.id.as_str() == "adopted");
        assert_eq!(record.adopted.is_some(), schema >= 4 && secret.id.as_str() == "adopted");
        assert_eq!(record.edge.digest, Some(vec![9, 9]));
        assert_eq!(record.secret, secret, "schema {schema}");
    }
    assert_eq!(snapshot.records.len(), secrets().len());
    assert_eq!(store.signer().sign("p", b"x"), Signer::new(&KEY).sign("p", b"x"));
}

async fn feed_goes_on_or_is_told(store: &Store, schema: i64) {
    let place = |sequence: i64| FeedPlace { sequence, history: [sequence as u8; 16] };
    assert_eq!(store.view().sequence(), 3);
    assert_eq!(store.has_passed(place(2)).await.unwrap(), schema >= 7);
    assert_eq!(store.has_passed(place(3)).await.unwrap(), schema >= 7);
    match store.changes_after(1, 10).await.unwrap() {
        Feed::Changes(changes) => assert_eq!((changes.len(), schema >= 7), (2, true)),
        Feed::TooOld => assert!(schema < 7),
    }
    let Feed::Changes(changes) = store.changes_after(2, 10).await.unwrap() else { panic!("too old") };
    assert_eq!(changes[0].after.id.as_str(), "failed");
}

fn was_backed_up_before(directory: &Path, schema: i64) {
    let names =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let backups: Vec<String> = names.filter(|name| name.ends_with(".backup")).collect();
    let is_newest = schemas().last() == Some(&schema);
    assert_eq!(backups.len(), usize::from(!is_newest), "schema {schema}: {backups:?}");
    assert!(
        backups.iter().all(|name| name.starts_with(&format!("state.db.schema-{schema:04}-"))),
        "{backups:?}"
    );
}

#[tokio::test]
async fn the_backup_before_a_migration_can_be_restored_and_the_last_three_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    for number in 1..=4 {
        let old = format!("state.db.schema-{number:04}-20260101T000000Z.backup");
        fs::write(directory.path().join(old), "").unwrap();
    }
    fs::copy(fixture(8), &path).unwrap();
    let store = Store::open(&path).await.unwrap();
    store.audit(event("by the newer release")).await.unwrap();
    store.close().await;
    let mut backups: Vec<PathBuf> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    backups.retain(|file| file.extension().is_some_and(|extension| extension == "backup"));
    backups.sort();
    assert_eq!(backups.len(), 3, "{backups:?}");
    let instance =
        Instance { vault: "https://contoso.vault.azure.net/".to_owned(), namespace: "n".to_owned() };
    let restored = restore(&backups[2], &path, &instance).await.unwrap();
    assert_eq!((restored.manifest.schema, restored.manifest.audit_sequence), (8, 6));
    // As many as the fixture has, and the one of the restore.
    assert_eq!(verify_audit(&path, None).await.unwrap().events, 7);
}
