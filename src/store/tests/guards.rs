//! What keeps one caller's change from undoing another's: in SQL, so that nobody has to remember it.

use super::*;

fn request(caller: &str, fingerprint: u8) -> Request {
    let (caller, id) = (caller.to_owned(), Uuid::from_u128(7));
    Request { caller, id, method: "CreateSyncedSecret", fingerprint: [fingerprint; 32] }
}

async fn begin_request(store: &Store, request: &Request) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    transaction.begin_request(request, None, Some(b"answer")).await?;
    transaction.commit().await
}

/// From now on the database refuses rows of a table for a reason of its own.
async fn refuse_rows(store: &Store, trigger: &'static str) {
    sqlx::raw_sql(trigger).execute(&store.0.writer).await.unwrap();
}

#[tokio::test]
async fn a_stale_update_or_removal_is_refused_and_changes_nothing() {
    let (_directory, store) = open().await;
    let read = record("a");
    insert(&store, &read).await.unwrap();
    let mut changed = read.clone();
    changed.secret.generation = 2;
    changed.secret.description = "by the one who was faster".to_owned();
    let mut transaction = store.begin().await.unwrap();
    transaction.change(1, changed.clone()).await.unwrap();
    transaction.commit().await.unwrap();

    let mut mine = read.clone();
    mine.secret.generation = 2;
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.change(1, mine).await, Err(StoreError::Stale)));
    assert!(matches!(transaction.update(read.clone()).await, Err(StoreError::Stale)));
    assert!(matches!(transaction.remove(&read).await, Err(StoreError::Stale)));
    transaction.commit().await.unwrap();
    assert_eq!(*store.view().get(&read.secret.id).unwrap(), changed);
    assert_eq!(store.view().sequence(), 2, "nothing is told to watchers");
}

#[tokio::test]
async fn a_removed_record_is_neither_updated_nor_removed_again() {
    let (_directory, store) = open().await;
    let gone = record("a");
    insert(&store, &gone).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.remove(&gone).await.unwrap();
    transaction.commit().await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    assert!(matches!(transaction.update(gone.clone()).await, Err(StoreError::NotFound)));
    assert!(matches!(transaction.remove(&gone).await, Err(StoreError::Stale)));
    assert_eq!(store.deleted(gone.secret.uid).await.unwrap().map(|last| last.id), Some(gone.secret.id));
    assert!(store.deleted(Uuid::now_v7()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_transaction_sees_its_own_changes() {
    let (_directory, store) = open().await;
    let (mut changed, removed, other) = (record("changed"), record("removed"), record("other"));
    for record in [&changed, &removed, &other] {
        insert(&store, record).await.unwrap();
    }
    let mut transaction = store.begin().await.unwrap();
    changed.secret.state = State::Synced;
    transaction.update(changed.clone()).await.unwrap();
    transaction.remove(&removed).await.unwrap();
    assert_eq!(transaction.current(changed.secret.uid), Some(changed.clone()));
    assert_eq!(transaction.current(removed.secret.uid), None);
    assert_eq!(transaction.current(other.secret.uid), Some(other));
    changed.edge.resource_version = Some("9".into());
    transaction.update(changed.clone()).await.unwrap();
    assert_eq!(transaction.current(changed.secret.uid), Some(changed), "the latest of several");
}

#[tokio::test]
async fn a_call_is_recorded_once_for_each_caller_and_again_after_it_was_pruned() {
    let (_directory, store) = open().await;
    let (alice, bob) = (request("alice", 1), request("bob", 2));
    begin_request(&store, &alice).await.unwrap();
    begin_request(&store, &bob).await.unwrap();
    assert!(matches!(begin_request(&store, &alice).await, Err(StoreError::RequestRecorded)));
    let mut transaction = store.begin().await.unwrap();
    transaction.forget_request(&alice).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.recorded(&alice).await.unwrap().is_none());
    assert!(store.recorded(&bob).await.unwrap().is_some());
    begin_request(&store, &alice).await.unwrap();
}

#[tokio::test]
async fn a_row_that_the_database_refuses_is_not_reported_as_existing() {
    let (_directory, store) = open().await;
    refuse_rows(
        &store,
        "CREATE TRIGGER no_secrets BEFORE INSERT ON synced_secrets BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    assert!(matches!(insert(&store, &record("a")).await, Err(StoreError::Database(_))));
    refuse_rows(
        &store,
        "CREATE TRIGGER no_requests BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    assert!(matches!(begin_request(&store, &request("alice", 1)).await, Err(StoreError::Database(_))));
}

#[tokio::test]
async fn a_feed_position_belongs_to_one_history() {
    let (_directory, store) = open().await;
    let mut places = Vec::new();
    for id in ["a", "b"] {
        insert(&store, &record(id)).await.unwrap();
        places.push(store.view().snapshot().place);
    }
    assert!(store.has_passed(FeedPlace::default()).await.unwrap(), "everybody began there");
    let mixed = FeedPlace { history: places[0].history, ..places[1] };
    assert_ne!(mixed, places[1]);
    assert!(!store.has_passed(mixed).await.unwrap());
    for place in places {
        assert!(store.has_passed(place).await.unwrap());
    }
}

#[tokio::test]
async fn visible_changes_wake_change_waiters_and_every_commit_wakes_commit_waiters() {
    let (_directory, store) = open().await;
    let (mut changes, mut commits) = (store.subscribe(), store.commits());
    let mut seen = record("a");
    insert(&store, &seen).await.unwrap();
    assert!(changes.has_changed().unwrap() && commits.has_changed().unwrap());
    assert_eq!((*changes.borrow_and_update(), *commits.borrow_and_update()), (1, ()));
    seen.edge.resource_version = Some("9".into());
    let status = &mut seen.secret.references[0].status;
    (status.settled, status.vault_update_time) = (!status.settled, Some(jiff::Timestamp::now()));
    let mut transaction = store.begin().await.unwrap();
    transaction.update(seen).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(!changes.has_changed().unwrap() && commits.has_changed().unwrap());
}

#[test]
fn a_sync_request_keeps_the_latest_request_time() {
    let now = tokio::time::Instant::now();
    let mut record = record("a");
    for (begun, expected) in [(now, now), (now - Duration::from_secs(1), now)] {
        record.note_request(begun);
        assert_eq!(record.requested_at, Some(expected));
    }
}

#[test]
fn a_record_follows_its_unpinned_references() {
    let mut record = record("a");
    let mut pinned = record.secret.references[0].clone();
    pinned.vault_secret = "pinned".parse().unwrap();
    pinned.version = Some("1".repeat(32).parse().unwrap());
    record.secret.references.push(pinned);
    assert_eq!(record.followed().map(|name| name.as_str()).collect::<Vec<_>>(), ["Edp1-User"]);
}

#[tokio::test]
async fn a_row_that_breaks_a_rule_of_the_model_is_an_error_that_names_table_column_and_row() {
    let broken = [
        (
            "UPDATE synced_secrets SET secret_type = 'a type'",
            "table synced_secrets, column secret_type, row {uid}: ",
        ),
        (
            "UPDATE synced_secrets SET conditions = '{'",
            "table synced_secrets, column conditions, row {uid}: ",
        ),
        (
            "UPDATE secret_references SET problem = '{'",
            "table secret_references, column problem, row {uid}/0: ",
        ),
        ("UPDATE audit_chain SET head_hash = x'00'", "table audit_chain, column head_hash, row 1: "),
    ];
    for (damage, told) in broken {
        let (directory, store) = open().await;
        let record = record("a");
        insert(&store, &record).await.unwrap();
        sqlx::raw_sql(damage).execute(&store.0.writer).await.unwrap();
        store.close().await;
        let refused = Store::open(&directory.path().join("state.db")).await.err().expect(damage).to_string();
        let told = told.replace("{uid}", &record.secret.uid.to_string());
        assert!(refused.starts_with(&told), "{refused}");
    }
}
