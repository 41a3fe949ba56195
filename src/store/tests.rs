//! The database as a specification.

mod audit;
mod backup;
mod clock;
mod disk;
mod disk_usage;
mod feed;
mod guards;
mod schemas;

use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan};
use sqlx::{
    ConnectOptions, Connection, SqlitePool,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{feed::FeedChange, *};
use crate::model::{
    AuditAction, ChainWalk, ChangeKind, Filter, Origin, Outcome, State, SyncEngine, SyncedSecret,
};

const SMALL: Ring = Ring { rows: 16, bytes: 1_000_000 };

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
        rebuild::STATEMENTS,
        super::backup::STATEMENTS,
        super::backup::OF_MANIFESTS,
        super::backup::OF_RESTORES,
        super::clock::STATEMENTS,
        synced_secrets::STATEMENTS,
        changes::STATEMENTS,
        requests::STATEMENTS,
        super::disk_usage::STATEMENTS,
        super::audit::STATEMENTS,
        super::audit::chain::STATEMENTS,
        super::audit::guards::STATEMENTS,
        super::audit::denials::STATEMENTS,
        super::audit::verify::STATEMENTS,
    ];
    for statement in all.concat() {
        let explained = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("EXPLAIN {statement}")));
        explained.execute(&store.0.writer).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

#[tokio::test]
async fn committed_changes_survive_a_reopen() {
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
async fn a_dropped_transaction_changes_nothing() {
    let (_directory, store) = open().await;
    let mut transaction = store.begin().await.unwrap();
    transaction.insert(record("a")).await.unwrap();
    drop(transaction);
    insert(&store, &record("b")).await.unwrap();
    assert_eq!(store.view().len(), 1);
    assert_eq!(changes(&store, 0).await, [("b".to_owned(), ChangeKind::Put, false)]);
}

#[tokio::test]
async fn a_taken_id_returns_already_exists_and_changes_nothing() {
    let (_directory, store) = open().await;
    insert(&store, &record("a")).await.unwrap();
    assert!(matches!(insert(&store, &record("a")).await, Err(StoreError::AlreadyExists)));
    assert_eq!(store.view().sequence(), 1);
}

#[tokio::test]
async fn an_adopted_synced_secret_is_not_removed_as_unmanaged() {
    let (_directory, store) = open().await;
    let (mut theirs, mut adopted) = (record("theirs"), record("adopted"));
    for record in [&mut theirs, &mut adopted] {
        record.secret.origin = Origin::Unmanaged;
        insert(&store, record).await.unwrap();
    }
    adopted.secret.origin = Origin::Managed;
    let mut transaction = store.begin().await.unwrap();
    transaction.update(adopted.clone()).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let uids = [theirs.secret.uid, adopted.secret.uid, Uuid::now_v7()];
    let mut removed = Vec::new();
    for uid in uids {
        removed.push(transaction.remove_unmanaged(uid).await.unwrap());
    }
    transaction.commit().await.unwrap();
    assert_eq!(removed, [true, false, false]);
    assert!(store.view().get(&adopted.secret.id).is_some() && store.view().len() == 1);
    assert_eq!(changes(&store, 3).await, [("theirs".to_owned(), ChangeKind::Deleted, true)]);
}

#[tokio::test]
async fn a_page_starts_after_a_name_and_counts_all_matches() {
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
async fn a_request_id_identifies_one_request() {
    let (_directory, store) = open().await;
    let caller = "alice".to_owned();
    let request = Request { caller, id: Uuid::new_v4(), method: "CreateSyncedSecret", fingerprint: [1; 32] };
    let mut transaction = store.begin().await.unwrap();
    transaction.begin_request(&request, None, None).await.unwrap();
    transaction.answer_request(&request, b"answer").await.unwrap();
    transaction.commit().await.unwrap();

    assert_eq!(store.recorded(&request).await.unwrap().unwrap().response.unwrap(), b"answer");
    let other = Request { fingerprint: [2; 32], ..request };
    assert!(matches!(store.recorded(&other).await, Err(StoreError::RequestIdReused)));
}

#[tokio::test]
async fn callers_do_not_share_request_ids_even_for_the_same_content() {
    let (_directory, store) = open().await;
    let id = Uuid::new_v4();
    let of = |caller: &str| Request {
        caller: caller.to_owned(),
        id,
        method: "AddVaultSecretVersion",
        fingerprint: [1; 32],
    };
    for (caller, answer) in [("alice", "of alice"), ("bob", "of bob")] {
        assert!(store.recorded(&of(caller)).await.unwrap().is_none(), "{caller} has not called yet");
        let mut transaction = store.begin().await.unwrap();
        transaction.begin_request(&of(caller), None, None).await.unwrap();
        transaction.answer_request(&of(caller), answer.as_bytes()).await.unwrap();
        transaction.commit().await.unwrap();
    }
    for (caller, answer) in [("alice", "of alice"), ("bob", "of bob")] {
        let recorded = store.recorded(&of(caller)).await.unwrap().unwrap();
        assert_eq!(recorded.response.as_deref(), Some(answer.as_bytes()), "{caller}");
    }
    let mut transaction = store.begin().await.unwrap();
    transaction.forget_request(&of("bob")).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.recorded(&of("alice")).await.unwrap().is_some(), "what bob takes back is his own");
}

fn event(resource: &str) -> NewAuditEvent {
    NewAuditEvent {
        actor: "tests".into(),
        action: AuditAction::CreateSyncedSecret,
        resource: resource.into(),
        outcome: Outcome::ok(),
        detail: String::new(),
        request_id: String::new(),
    }
}

/// Runs statements as somebody who has the file.
async fn tamper(path: &Path, statements: &'static str) -> Result<(), sqlx::Error> {
    use sqlx::{ConnectOptions, Connection};
    let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
    let done = sqlx::raw_sql(statements).execute(&mut file).await;
    file.close().await?;
    done.map(|_| ())
}

/// A call that was not let in.
fn denied(actor: &str, resource: &str) -> NewAuditEvent {
    let outcome = Outcome("PERMISSION_DENIED".to_owned());
    NewAuditEvent { actor: actor.to_owned(), outcome, ..event(resource) }
}
