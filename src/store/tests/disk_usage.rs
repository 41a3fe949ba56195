//! What grows with use is counted, and kept to its budget.

use super::*;
use crate::store::disk_usage::count;

/// What is counted, and what there is.
async fn counted(store: &Store) -> (TableSizes, Vec<(i64, i64)>) {
    let mut sql = store.0.writer.acquire().await.unwrap();
    let growing = count(&mut sql).await.unwrap();
    let mut there = Vec::new();
    for table in ["audit_events", "audit_denials", "changes"] {
        let select = format!("SELECT count(*), coalesce(sum(bytes), 0) FROM {table}");
        there.push(sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_one(&mut *sql).await.unwrap());
    }
    (growing, there)
}

async fn counts_what_is_there(store: &Store) -> TableSizes {
    let (growing, there) = counted(store).await;
    let told = [growing.audit, growing.denials, growing.feed];
    let told: Vec<_> = told.iter().map(|taken| (taken.rows as i64, taken.bytes as i64)).collect();
    assert_eq!(told, there);
    growing
}

/// A store with 400 events, denials and changes.
async fn used() -> (TempDir, Store) {
    let (directory, store) = open().await;
    let mut used = record("used");
    insert(&store, &used).await.unwrap();
    for number in 0..399 {
        let mut transaction = store.begin().await.unwrap();
        used.secret.description = format!("Pumpe {number}, Süd");
        transaction.update(used.clone()).await.unwrap();
        transaction.audit(event("syncedSecrets/used")).await.unwrap();
        transaction.audit_denials(vec![denied("noise", "syncedSecrets/x")], &SMALL).await.unwrap();
        transaction.commit().await.unwrap();
    }
    (directory, store)
}

#[tokio::test]
async fn size_counters_follow_every_insert_and_delete() {
    let (directory, store) = used().await;
    let growing = counts_what_is_there(&store).await;
    assert!(growing.feed.rows == 400 && growing.audit.rows == 399 && growing.denials.rows > 0, "{growing:?}");
    let mut transaction = store.begin().await.unwrap();
    transaction.prune_changes(Timestamp::now() + 1.hour(), 10).await.unwrap();
    transaction.prune_audit(Timestamp::now() + 1.hour()).await.unwrap();
    transaction.commit().await.unwrap();
    let growing = counts_what_is_there(&store).await;
    assert!(growing.feed.rows == 10 && growing.audit.rows < 5, "{growing:?}");
    assert!(growing.free > 0, "what was forgotten leaves room in the file");
    let usage = store.disk_usage();
    assert!(usage.database > 0 && usage.disk_free.is_some());
    let measured = measure(&directory.path().join("state.db")).await.unwrap();
    assert_eq!(measured.growing, growing);
}

#[tokio::test]
async fn a_table_over_its_budget_loses_its_oldest_rows_and_records_that() {
    let (directory, store) = used().await;
    let before = counts_what_is_there(&store).await;
    let retention = Retention {
        audit_bytes: before.audit.bytes / 2,
        feed_bytes: before.feed.bytes / 2,
        ..Retention::default()
    };
    store.enforce_budget(&retention).await.unwrap();
    let after = counts_what_is_there(&store).await;
    assert_eq!(store.disk_usage().growing, after);
    for (budget, before, after) in
        [(retention.audit_bytes, before.audit, after.audit), (retention.feed_bytes, before.feed, after.feed)]
    {
        // With an eighth of air, less than one row, and the event that says so.
        assert!(after.bytes <= budget - budget / 8 + 600 && after.bytes > budget / 2, "{before:?} {after:?}");
    }
    let events = store.audit_events(&AuditFilter::default(), 1).await.unwrap();
    assert!(
        events[0].action == AuditAction::AuditPruned
            && events[0].detail.ends_with("to make room for newer ones"),
        "{events:?}"
    );
    verify_audit(&directory.path().join("state.db"), None).await.unwrap();
    assert_eq!(store.view().sequence(), 400);
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    // The oldest went: who was there is told, who is newer goes on.
    assert!(matches!(store.changes_after(0, 10).await.unwrap(), Feed::TooOld));
    let Feed::Changes(changes) = store.changes_after(390, 100).await.unwrap() else { panic!("too old") };
    assert_eq!(changes.len(), 10);

    // Within the budget nothing goes, and nothing is written.
    let sequence = store.audit_events(&AuditFilter::default(), 1).await.unwrap()[0].sequence;
    store.enforce_budget(&retention).await.unwrap();
    assert_eq!(store.audit_events(&AuditFilter::default(), 1).await.unwrap()[0].sequence, sequence);
    // However small it is, the newest stay: they hold the sequences.
    let retention = Retention { audit_bytes: 1, feed_bytes: 1, ..Retention::default() };
    store.enforce_budget(&retention).await.unwrap();
    assert!(counts_what_is_there(&store).await.feed.rows == 1);
    verify_audit(&directory.path().join("state.db"), None).await.unwrap();
}
