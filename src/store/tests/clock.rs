//! What is kept for a time grows old by the clock of the database, whatever the wall clock says.

use super::*;

/// A database with something of all that is kept for a time, recorded a moment ago, before the wall clock was set forward by a year.
async fn before_the_wall_clock_was_set_forward() -> (TempDir, Store, Request) {
    let (directory, store) = open().await;
    let path = directory.path().join("state.db");
    let mut transaction = store.begin().await.unwrap();
    transaction.prune(&retention(Duration::from_secs(60))).await.unwrap();
    transaction.commit().await.unwrap();
    store.close().await;
    let year_ago = (Timestamp::now() - (365 * 24).hours()).as_microsecond();
    let pool = SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let set = sqlx::query("UPDATE settings SET value = ?1 WHERE name = 'clock'");
    set.bind(year_ago.to_be_bytes().as_slice()).execute(&pool).await.unwrap();
    pool.close().await;
    let store = Store::open(&path).await.unwrap();
    let request = Request {
        caller: "alice".to_owned(),
        id: Uuid::new_v4(),
        method: "CreateSyncedSecret",
        fingerprint: [1; 32],
    };
    insert(&store, &record("a")).await.unwrap();
    insert(&store, &record("b")).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.begin_request(&request, None, Some(b"answer")).await.unwrap();
    transaction.audit(event("x")).await.unwrap();
    transaction.commit().await.unwrap();
    (directory, store, request)
}

fn retention(time: Duration) -> Retention {
    Retention { requests: time, changes: time, last_changes: 0, audit: time, ..Retention::default() }
}

async fn prune(store: &Store, time: Duration) {
    let mut transaction = store.begin().await.unwrap();
    transaction.prune(&retention(time)).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn setting_the_wall_clock_forward_expires_nothing() {
    let (_directory, store, request) = before_the_wall_clock_was_set_forward().await;
    prune(&store, Duration::from_secs(60)).await;
    assert!(store.recorded(&request).await.unwrap().is_some());
    let events = store.audit_events(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), ["CreateSyncedSecret"]);
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM changes").fetch_one(&store.0.readers).await.unwrap();
    assert_eq!(kept, 2);
    // What the wall clock shows is shown all the same.
    let shown = store.audit_events(&AuditFilter::default(), 10).await.unwrap()[0].event_time;
    assert!(shown > Timestamp::now() - 1.minute(), "{shown}");

    tokio::time::sleep(Duration::from_millis(5)).await;
    prune(&store, Duration::from_millis(1)).await;
    assert!(store.recorded(&request).await.unwrap().is_none());
    assert_eq!(
        store.audit_events(&AuditFilter::default(), 10).await.unwrap()[0].action,
        AuditAction::AuditPruned
    );
}

#[tokio::test]
async fn after_a_crash_the_database_clock_continues_from_its_last_recorded_time() {
    let (directory, store, _) = before_the_wall_clock_was_set_forward().await;
    let before = store.clock();
    // Nothing was kept since, as in a crash.
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    let after = store.clock();
    assert!(after > before - 1.minute() && after < before + 1.minute(), "{before} {after}");
}
