//! A database of every schema that landed is kept in `schemas/`, and is brought to the newest one with what was in it unharmed.
//!
//! They were made by the migrations themselves, one after the other, with rows as the releases of their time left them.
//! `UPDATE_FIXTURES=1 cargo test --lib schemas` makes those that are missing, and never writes one anew: a new migration adds its own, and a
//! new column a line to [`fill`].

use std::{borrow::Cow, collections::BTreeMap, fs};

use sqlx::{AssertSqlSafe, Row, SqliteConnection, migrate::Migrator};

use super::*;
use crate::model::{
    Anchor, AuditEvent, AuditHash, Chain, Condition, ConditionType, Encoding, Link, Reason, Reference,
    Status, User,
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

/// The JSON of a value, without the fields that a release of that time did not know.
fn json(value: &impl serde::Serialize, unknown: &[&str]) -> String {
    let mut value = serde_json::to_value(value).unwrap();
    if let Some(object) = value.as_object_mut() {
        unknown.iter().for_each(|field| drop(object.shift_remove(*field)));
    }
    value.to_string()
}

async fn run(sql: &mut SqliteConnection, statement: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(sql).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// A text as SQL writes it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Puts rows into every table of a schema.
async fn fill(sql: &mut SqliteConnection, schema: i64) {
    run(sql, format!("INSERT INTO settings VALUES ('key', x'{}')", hex::encode(KEY))).await;
    fill_synced_secrets(sql, schema).await;
    let (caller, owner) = if schema < 6 { ("", "") } else { ("caller, ", "'alice', ") };
    run(
        sql,
        format!(
            "INSERT INTO requests ({caller}request_id, method, fingerprint, uid, response, create_time)
             VALUES ({owner}'{REQUEST}', 'CreateSyncedSecret', x'{}', '{}', CAST('null' AS BLOB), {})",
            "05".repeat(32),
            Uuid::from_u128(1),
            TIME + 5_000_000
        ),
    )
    .await;
    fill_changes(sql, schema).await;
    fill_audit(sql, schema).await;
    if schema >= 10 {
        let epoch = "UPDATE requests SET epoch = (SELECT value FROM settings WHERE name = 'epoch')";
        run(sql, epoch.to_owned()).await;
    }
}

async fn fill_synced_secrets(sql: &mut SqliteConnection, schema: i64) {
    for secret in secrets() {
        run(
            sql,
            format!(
                "INSERT INTO synced_secrets
                        (uid, id, description, secret_type, labels, generation, create_time, update_time, sync_requests, state,
                         conditions, synced_generation, synced_requests, sync_time, edge_uid, edge_resource_version, edge_digest)
                 VALUES ('{}', '{}', {}, '{}', {}, 3, {}, {}, 2, '{}', {}, 2, 1, {}, 'edge-uid', '77', x'0909')",
                secret.uid,
                secret.id,
                quoted(&secret.description),
                secret.secret_type.as_str(),
                quoted(&json(&secret.labels, &[])),
                secret.create_time.as_microsecond(),
                secret.update_time.as_microsecond(),
                secret.state.as_str(),
                quoted(&json(&secret.conditions, &[])),
                secret.sync_time.map_or("NULL".to_owned(), |time| time.as_microsecond().to_string()),
            ),
        )
        .await;
        for (position, reference) in secret.references.iter().enumerate() {
            let status = &reference.status;
            let text = |text: Option<&str>| text.map_or("NULL".to_owned(), quoted);
            let at =
                |at: Option<Timestamp>| at.map_or("NULL".to_owned(), |at| at.as_microsecond().to_string());
            run(
                sql,
                format!(
                    "INSERT INTO secret_references
                            (uid, position, key, vault_secret, version, encoding, create_pending, synced_version, expire_time,
                             vault_update_time, settled, problem)
                     VALUES ('{}', {position}, '{}', '{}', {}, '{}', {}, {}, {}, {}, {}, {})",
                    secret.uid,
                    reference.key.as_str(),
                    reference.vault_secret.as_str(),
                    text(reference.version.as_ref().map(|version| version.as_str())),
                    reference.encoding.name(),
                    u8::from(reference.create_pending),
                    text(status.synced_version.as_ref().map(|version| version.as_str())),
                    at(status.expire_time),
                    at(status.vault_update_time),
                    u8::from(status.settled),
                    text(status.problem.as_ref().map(|problem| json(problem, &[])).as_deref()),
                ),
            )
            .await;
        }
    }
    let handed = r#"{"generation":3,"requests":2,"time":"2026-09-21T14:13:25Z","sync_generation":4,"class_generation":1,"hash_before":"abc","statuses":[],"open":true}"#;
    let users =
        json(&[User { kind: "AssetEndpointProfile".to_owned(), resource: "press-1".to_owned() }], &[]);
    let later = [
        (2, format!("engine = 'secret-store', handed = {} WHERE id = 'handed'", quoted(handed))),
        (2, "origin = 'UNMANAGED' WHERE id = 'theirs'".to_owned()),
        (3, format!("users = {} WHERE id = 'rotated'", quoted(&users))),
        (3, "delete_forced = 1 WHERE id = 'adopted'".to_owned()),
        (4, "adopted = 'uid-of-a-secretsync' WHERE id = 'adopted'".to_owned()),
    ];
    for (since, change) in later {
        if schema >= since {
            run(sql, format!("UPDATE synced_secrets SET {change}")).await;
        }
    }
    if schema >= 9 {
        run(sql, "UPDATE secret_references SET create_generation = 3 WHERE create_pending = 1".to_owned())
            .await;
    }
}

/// Three changes; those of a release without a history begin in none.
async fn fill_changes(sql: &mut SqliteConnection, schema: i64) {
    let (all, mut before) = (secrets(), None);
    for (number, secret) in (1_i64..).zip(&all[..3]) {
        let unknown: &[&str] = if schema < 3 { &["users"] } else { &[] };
        let snapshot = json(secret, unknown);
        let (columns, values) = if schema < 7 {
            ("", String::new())
        } else {
            let before =
                before.replace(snapshot.clone()).map_or("NULL".to_owned(), |text: String| quoted(&text));
            (", before, history", format!(", {before}, x'{}'", hex::encode([number as u8; 16])))
        };
        run(
            sql,
            format!(
                "INSERT INTO changes (uid, kind, snapshot, change_time{columns})
                 VALUES ('{}', 'PUT', {}, {}{values})",
                secret.uid,
                quoted(&snapshot),
                TIME + number
            ),
        )
        .await;
    }
}

/// Four events, and from the schema on that has them two denials among them, chained as the releases of their time did.
async fn fill_audit(sql: &mut SqliteConnection, schema: i64) {
    let (mut changes, mut denials) =
        (Anchor { sequence: 0, hash: AuditHash::START }, Anchor { sequence: 0, hash: AuditHash::START });
    for sequence in 1..=6 {
        let is_denial = schema >= 8 && [2, 5].contains(&sequence);
        let event = AuditEvent {
            sequence,
            event_time: time(sequence),
            actor: if is_denial { "mallory" } else { "alice" }.to_owned(),
            action: AuditAction::CreateSyncedSecret,
            resource: format!("syncedSecrets/{sequence}"),
            outcome: Outcome::ok(),
            detail: "it's done".to_owned(),
            request_id: if sequence == 1 { REQUEST.to_owned() } else { String::new() },
        };
        let (own, beside) = if is_denial { (denials, changes) } else { (changes, denials) };
        let beside = (schema >= 8).then_some(beside.hash);
        let chain = if is_denial { Chain::Denials } else { Chain::Changes };
        let hash = event.hash(&Link { chain, previous_hash: own.hash, beside_hash: beside });
        let end = Anchor { sequence, hash };
        let mut more = Vec::new();
        if schema >= 5 {
            more.push(("hash", format!("x'{}'", hex::encode(hash.0))));
        }
        if schema >= 7 {
            more.push(("kept_since", event.event_time.as_microsecond().to_string()));
        }
        if let Some(beside) = beside {
            more.push(("beside", format!("x'{}'", hex::encode(beside.0))));
        }
        if is_denial {
            let so_far = if sequence == 2 { 1 } else { 2 };
            more.extend([("rows_so_far", so_far.to_string()), ("bytes_so_far", (so_far * 300).to_string())]);
        }
        let (table, end_of) =
            if is_denial { ("audit_denials", &mut denials) } else { ("audit_events", &mut changes) };
        *end_of = end;
        let columns: String = more.iter().map(|(column, _)| format!(", {column}")).collect();
        let values: String = more.iter().map(|(_, value)| format!(", {value}")).collect();
        run(
            sql,
            format!(
                "INSERT INTO {table} (sequence, event_time, actor, action, resource, outcome, detail, request_id{columns})
                 VALUES ({sequence}, {}, '{}', '{}', '{}', '{}', {}, '{}'{values})",
                event.event_time.as_microsecond(),
                event.actor,
                event.action,
                event.resource,
                event.outcome.0,
                quoted(&event.detail),
                event.request_id,
            ),
        )
        .await;
    }
    let hash = |anchor: Anchor| format!("x'{}'", hex::encode(anchor.hash.0));
    if schema >= 5 {
        run(
            sql,
            format!(
                "INSERT INTO audit_chain (one, base_sequence, base_hash, head_sequence, head_hash)
                 VALUES (1, 0, zeroblob(32), {}, {})",
                changes.sequence,
                hash(changes)
            ),
        )
        .await;
    }
    if schema >= 8 {
        let (sequence, hash) = (denials.sequence, hash(denials));
        run(
            sql,
            format!("UPDATE audit_chain SET denials_head_sequence = {sequence}, denials_head_hash = {hash}"),
        )
        .await;
    }
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
    fill(&mut sql, schema).await;
    sqlx::query("VACUUM INTO ?1").bind(fixture(schema).to_str().unwrap()).execute(&mut sql).await.unwrap();
    sql.close().await.unwrap();
}

#[tokio::test]
async fn a_database_of_every_schema_is_kept() {
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
        _ => false,
    }
}

#[tokio::test]
async fn a_database_of_every_schema_is_migrated_with_what_is_in_it_unharmed() {
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
        let is_handed = schema >= 2 && secret.id.as_str() == "handed";
        assert_eq!(record.engine == SyncEngine::SecretStore, is_handed);
        assert_eq!(
            record.handed.take().map(|handed| handed.hash_before),
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
    assert_eq!(store.came_by(place(2)).await.unwrap(), schema >= 7);
    assert_eq!(store.came_by(place(3)).await.unwrap(), schema >= 7);
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
async fn the_backup_before_a_migration_is_restored_and_of_many_the_last_three_are_kept() {
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
