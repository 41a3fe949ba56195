//! The change feed, read from memory and from disk.

use super::*;

#[tokio::test]
async fn the_feed_returns_every_visible_change_once_and_in_order_from_memory_and_from_disk() {
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
async fn a_feed_reader_learns_that_its_position_was_pruned() {
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
async fn the_previous_state_is_known_although_the_previous_change_was_pruned() {
    let (directory, store) = open().await;
    let mut asked = record("a");
    insert(&store, &asked).await.unwrap();
    insert(&store, &record("b")).await.unwrap();
    asked.secret.state = State::Synced;
    let mut transaction = store.begin().await.unwrap();
    transaction.update(asked.clone()).await.unwrap();
    transaction.prune_changes(Timestamp::now() + 1.hour(), 2).await.unwrap();
    transaction.commit().await.unwrap();
    // A new process no longer has them in memory.
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    let Feed::Changes(changes) = store.changes_after(2, 10).await.unwrap() else { panic!("too old") };
    let states =
        |change: &FeedChange| (change.before.as_ref().map(|before| before.state), change.after.state);
    assert_eq!(changes.iter().map(states).collect::<Vec<_>>(), [(Some(State::Pending), State::Synced)]);
}

#[tokio::test]
async fn a_database_of_a_release_without_histories_keeps_its_sequence_and_starts_a_history() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path).create_if_missing(true));
    let pool = pool.await.unwrap();
    let before = sqlx::migrate!().iter().filter(|migration| migration.version < 6).cloned().collect();
    Migrator::with_migrations(before).run(&pool).await.unwrap();
    for id in ["a", "b", "c"] {
        let insert = "INSERT INTO changes (uid, kind, snapshot, change_time) VALUES (?1, 'PUT', ?2, ?3)";
        let secret = SyncedSecret::example(id);
        let insert = sqlx::query(insert).bind(secret.uid.to_string()).bind(rows::json(&secret));
        insert.bind((Timestamp::now() - 1.hour()).as_microsecond()).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let store = Store::open(&path).await.unwrap();
    let place = store.view().snapshot().place;
    assert_eq!(place.sequence, 3);
    assert!(store.has_passed(place).await.unwrap());
    for unknown in [FeedPlace { history: Default::default(), ..place }, FeedPlace { sequence: 2, ..place }] {
        assert!(!store.has_passed(unknown).await.unwrap(), "{unknown:?}");
    }
    insert(&store, &record("d")).await.unwrap();
    assert_eq!(changes(&store, 3).await, [("d".to_owned(), ChangeKind::Put, false)]);
    assert_eq!(store.view().sequence(), 4);
    // What that release recorded grows old by the clock that it had.
    let clock = store.clock();
    assert!(clock < Timestamp::now() - 59.minutes(), "{clock}");
}
