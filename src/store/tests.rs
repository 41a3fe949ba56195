//! The database as a specification.

use jiff::{Timestamp, ToSpan};
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::model::{ChangeKind, Filter, Outcome, State, SyncEngine, SyncedSecret};

async fn open() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    (directory, store)
}

fn record(id: &str) -> Record {
    let mut record = Record::new(SyncedSecret::example(id), SyncEngine::Direct);
    record.secret.references[0].create_pending = true;
    record
}

async fn insert(store: &Store, record: &Record) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    transaction.insert(record.clone()).await?;
    transaction.commit().await
}

async fn changes(store: &Store, after: i64) -> Vec<(String, ChangeKind, bool)> {
    match store.changes_after(after, 100).await.unwrap() {
        Feed::Changes(changes) => changes
            .into_iter()
            .map(|change| (change.after.id.to_string(), change.kind, change.before.is_some()))
            .collect(),
        Feed::TooOld => panic!("too old"),
    }
}

#[tokio::test]
async fn every_statement_prepares_on_the_migrated_schema() {
    let (_directory, store) = open().await;
    let all = [
        settings::STATEMENTS,
        synced_secrets::STATEMENTS,
        changes::STATEMENTS,
        requests::STATEMENTS,
        audit::STATEMENTS,
    ];
    for statement in all.concat() {
        let explained = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("EXPLAIN {statement}")));
        explained.execute(&store.0.writer).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let (directory, store) = open().await;
    let mut asked = record("edp1secrets");
    insert(&store, &asked).await.unwrap();
    asked.edge =
        EdgeRecord { uid: Some("u".into()), resource_version: Some("7".into()), digest: Some(vec![1]) };
    asked.secret.state = State::Synced;
    asked.secret.references[0].create_pending = false;
    let mut transaction = store.begin().await.unwrap();
    transaction.update(asked.clone()).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;

    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    assert_eq!(*store.view().get(&asked.secret.id).unwrap(), asked);
    assert_eq!(store.view().sequence(), 2);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_never_happened() {
    let (_directory, store) = open().await;
    let mut transaction = store.begin().await.unwrap();
    transaction.insert(record("a")).await.unwrap();
    drop(transaction);
    insert(&store, &record("b")).await.unwrap();
    assert_eq!(store.view().len(), 1);
    assert_eq!(changes(&store, 0).await, [("b".to_owned(), ChangeKind::Put, false)]);
}

#[tokio::test]
async fn a_taken_id_is_already_exists_and_changes_nothing() {
    let (_directory, store) = open().await;
    insert(&store, &record("a")).await.unwrap();
    assert!(matches!(insert(&store, &record("a")).await, Err(StoreError::AlreadyExists)));
    assert_eq!(store.view().sequence(), 1);
}

#[tokio::test]
async fn the_feed_tells_every_visible_change_once_and_in_order_from_memory_and_from_disk() {
    let (directory, store) = open().await;
    let mut asked = record("a");
    insert(&store, &asked).await.unwrap();
    asked.secret.state = State::Synced;
    let mut transaction = store.begin().await.unwrap();
    transaction.update(asked.clone()).await.unwrap();
    asked.edge.resource_version = Some("9".into());
    transaction.update(asked.clone()).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.remove(&asked).await.unwrap();
    transaction.commit().await.unwrap();

    let told = [
        ("a".to_owned(), ChangeKind::Put, false),
        ("a".to_owned(), ChangeKind::Put, true),
        ("a".to_owned(), ChangeKind::Deleted, true),
    ];
    assert_eq!(changes(&store, 0).await, told);
    assert_eq!(changes(&store, 2).await, told[2..]);
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    assert_eq!(changes(&store, 0).await, told);
}

#[tokio::test]
async fn a_reader_of_the_feed_whose_place_was_pruned_is_told_so() {
    let (directory, store) = open().await;
    for id in ["a", "b", "c"] {
        insert(&store, &record(id)).await.unwrap();
    }
    let mut transaction = store.begin().await.unwrap();
    transaction.prune_changes(Timestamp::now() + 1.hour(), 1).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    assert!(matches!(store.changes_after(1, 10).await.unwrap(), Feed::TooOld));
    assert_eq!(changes(&store, 2).await.len(), 1);
    assert_eq!(store.view().sequence(), 3);
}

#[tokio::test]
async fn a_page_starts_after_a_name_and_counts_what_matches() {
    let (_directory, store) = open().await;
    for id in ["a", "b", "c"] {
        insert(&store, &record(id)).await.unwrap();
    }
    let (page, total) = store.view().page(Some(&"a".parse().unwrap()), 1, &Filter::default());
    assert_eq!((page[0].secret.id.as_str(), page.len(), total), ("b", 1, 3));
    let filter = Filter { name_contains: "C".into(), ..Filter::default() };
    assert_eq!(store.view().page(None, 10, &filter).1, 1);
}

#[tokio::test]
async fn a_request_id_stands_for_one_request_only() {
    let (_directory, store) = open().await;
    let request = Request { id: Uuid::new_v4(), method: "CreateSyncedSecret", fingerprint: [1; 32] };
    let mut transaction = store.begin().await.unwrap();
    transaction.begin_request(&request, None, None).await.unwrap();
    transaction.answer_request(&request, b"answer").await.unwrap();
    transaction.commit().await.unwrap();

    assert_eq!(store.recorded(&request).await.unwrap().unwrap().response.unwrap(), b"answer");
    let other = Request { fingerprint: [2; 32], ..request };
    assert!(matches!(store.recorded(&other).await, Err(StoreError::RequestIdReused)));
}

#[tokio::test]
async fn the_history_is_read_newest_first_by_resource_and_page() {
    let (_directory, store) = open().await;
    for resource in ["x", "y", "x"] {
        let event = NewAuditEvent {
            actor: "tests".into(),
            action: "CreateSyncedSecret",
            resource: resource.into(),
            outcome: Outcome::ok(),
            detail: String::new(),
            request_id: String::new(),
        };
        store.audit(event).await.unwrap();
    }
    let filter = AuditFilter { resource: "x".into(), ..AuditFilter::default() };
    let events = store.audit_events(&filter, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, 1]);
    let next = AuditFilter { before: Some(3), ..filter };
    assert_eq!(store.audit_events(&next, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_the_owner_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, _store) = open().await;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_and_left_alone() {
    let (directory, store) = open().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&store.0.writer)
    .await
    .unwrap();
    store.close().await;
    let refused = Store::open(&directory.path().join("state.db")).await.err().unwrap();
    assert!(matches!(refused, StoreError::Newer(_)), "{refused}");
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_is_told_as_such() {
    let (_directory, store) = open().await;
    insert(&store, &record("before")).await.unwrap();
    sqlx::raw_sql("PRAGMA max_page_count = 1").execute(&store.0.writer).await.unwrap();
    let mut refused = None;
    for number in 0..200 {
        if let Err(error) = insert(&store, &record(&format!("more-{number:03}"))).await {
            refused = Some((number, error));
            break;
        }
    }
    let (fitted, error) = refused.expect("the database can't grow");
    assert!(error.is_full(), "{error}");
    assert_eq!(store.view().len(), 1 + fitted, "what was refused is not shown");

    sqlx::raw_sql("PRAGMA max_page_count = 100000").execute(&store.0.writer).await.unwrap();
    insert(&store, &record("after")).await.unwrap();
    assert_eq!(store.view().len(), 2 + fitted);
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_waited_for_and_readers_do_not_notice() {
    let (directory, store) = open().await;
    insert(&store, &record("a")).await.unwrap();
    let options = SqliteConnectOptions::new().filename(directory.path().join("state.db"));
    let other = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { insert(&store, &record("b")).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(store.view().len(), 1);
    store.ping().await.unwrap();

    held.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(store.view().len(), 2);
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_the_place_of_the_damage() {
    let (directory, store) = open().await;
    insert(&store, &record("a")).await.unwrap();
    sqlx::query("UPDATE synced_secrets SET labels = 'no json'").execute(&store.0.writer).await.unwrap();
    store.close().await;
    let refused = Store::open(&directory.path().join("state.db")).await.err().unwrap();
    let StoreError::Corrupt { table, column, .. } = &refused else { panic!("{refused}") };
    assert_eq!((*table, *column), ("synced_secrets", "labels"));

    std::fs::write(directory.path().join("state.db"), b"this is not a database, and never was one").unwrap();
    assert!(Store::open(&directory.path().join("state.db")).await.is_err());
}
