//! Full, damaged and busy disks.

use super::*;

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
async fn a_full_disk_loses_no_acknowledged_change_and_is_reported() {
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
    assert_eq!(error.fault(), Some(StoreFault::Full), "{error}");
    assert_eq!(store.view().len(), 1 + fitted, "what was refused is not shown");

    sqlx::raw_sql("PRAGMA max_page_count = 100000").execute(&store.0.writer).await.unwrap();
    insert(&store, &record("after")).await.unwrap();
    assert_eq!(store.view().len(), 2 + fitted);
}

#[tokio::test]
async fn a_lock_of_another_process_delays_writers_and_not_readers() {
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
    changes(&store, 0).await;

    held.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(store.view().len(), 2);
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_the_location_of_the_damage() {
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

#[tokio::test]
async fn a_start_detects_damage_in_a_page_it_does_not_need() {
    let (directory, store) = open().await;
    for number in 0..200 {
        store.audit(event(&format!("syncedSecrets/{number}"))).await.unwrap();
    }
    store.close().await;
    let path = directory.path().join("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Of the events in the middle, which nobody reads before somebody asks for them.
    let place = bytes.windows(17).position(|text| text == b"syncedSecrets/100").unwrap();
    let page = place / 4096 * 4096;
    bytes[page..page + 4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let Err(error) = Store::open(&path).await else { panic!("it opened") };
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    assert_eq!(error.fault(), Some(StoreFault::Corrupt));
}

#[tokio::test]
async fn a_database_busy_with_our_own_writes_counts_as_responsive() {
    let (_directory, store) = open().await;
    let write = |store: Store| async move {
        let mut transaction = store.begin().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        transaction.save_clock().await.unwrap();
        transaction.commit().await.unwrap();
    };
    let writers: Vec<_> = (0..10).map(|_| tokio::spawn(write(store.clone()))).collect();
    tokio::task::yield_now().await;
    assert!(store.answers(Duration::from_millis(200)).await, "one write after the other is done");
    for writer in writers {
        writer.await.unwrap();
    }
    let _held = store.begin().await.unwrap();
    assert!(!store.answers(Duration::from_millis(200)).await, "nothing gets on");
}
