//! The database as a specification.

mod backup;
mod guards;
mod room;
mod schemas;

use jiff::{Timestamp, ToSpan};
use sqlx::{SqlitePool, migrate::Migrator};
use tempfile::TempDir;
use uuid::Uuid;

use super::{view::FeedChange, *};
use crate::model::{
    AuditAction, ChainWalk, ChangeKind, Filter, Origin, Outcome, State, SyncEngine, SyncedSecret,
};

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
        clock::STATEMENTS,
        synced_secrets::STATEMENTS,
        changes::STATEMENTS,
        requests::STATEMENTS,
        super::room::STATEMENTS,
        audit::STATEMENTS,
        audit::chain::STATEMENTS,
        audit::guards::STATEMENTS,
        audit::denials::STATEMENTS,
        audit::verify::STATEMENTS,
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
async fn what_was_adopted_is_not_removed_as_somebody_elses() {
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
async fn what_was_there_before_a_change_is_known_although_the_change_before_was_pruned() {
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
async fn a_database_of_a_release_that_knew_no_history_goes_on_with_its_sequence_and_begins_one() {
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
    assert!(store.came_by(place).await.unwrap());
    for unknown in [FeedPlace { history: Default::default(), ..place }, FeedPlace { sequence: 2, ..place }] {
        assert!(!store.came_by(unknown).await.unwrap(), "{unknown:?}");
    }
    insert(&store, &record("d")).await.unwrap();
    assert_eq!(changes(&store, 3).await, [("d".to_owned(), ChangeKind::Put, false)]);
    assert_eq!(store.view().sequence(), 4);
    // What that release recorded grows old by the clock that it had.
    let clock = store.clock();
    assert!(clock < Timestamp::now() - 59.minutes(), "{clock}");
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
async fn a_request_id_of_another_caller_is_another_request_also_with_the_same_content() {
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

/// A database with something of all that is kept for a time, recorded a moment ago, before the wall clock was set forward by a year.
async fn before_the_wall_clock_was_set_forward() -> (TempDir, Store, Request) {
    let (directory, store) = open().await;
    let path = directory.path().join("state.db");
    let mut transaction = store.begin().await.unwrap();
    transaction.prune(&keep(Duration::from_secs(60))).await.unwrap();
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

fn keep(time: Duration) -> Keep {
    Keep { requests: time, changes: time, last_changes: 0, audit: time, ..Keep::default() }
}

async fn prune(store: &Store, time: Duration) {
    let mut transaction = store.begin().await.unwrap();
    transaction.prune(&keep(time)).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_wall_clock_that_was_set_forward_makes_nothing_old() {
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
async fn the_clock_of_a_database_goes_on_after_a_crash_from_what_was_last_recorded() {
    let (directory, store, _) = before_the_wall_clock_was_set_forward().await;
    let before = store.clock();
    // Nothing was kept since, as in a crash.
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    let after = store.clock();
    assert!(after > before - 1.minute() && after < before + 1.minute(), "{before} {after}");
}

#[tokio::test]
async fn the_history_is_read_newest_first_by_resource_and_page() {
    let (_directory, store) = open().await;
    for resource in ["x", "y", "x"] {
        let event = NewAuditEvent {
            actor: "tests".into(),
            action: AuditAction::CreateSyncedSecret,
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
    assert_eq!(error.fault(), Some(StoreFault::Full), "{error}");
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
    changes(&store, 0).await;

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

/// A database of five events, closed, and where it lies.
async fn audited() -> (TempDir, std::path::PathBuf) {
    let (directory, store) = open().await;
    for resource in ["a", "b", "c", "d", "e"] {
        store.audit(event(resource)).await.unwrap();
    }
    store.close().await;
    let path = directory.path().join("state.db");
    (directory, path)
}

/// Runs statements as somebody who has the file.
async fn tamper(path: &Path, statements: &'static str) -> Result<(), sqlx::Error> {
    use sqlx::{ConnectOptions, Connection};
    let mut file = SqliteConnectOptions::new().filename(path).connect().await?;
    let done = sqlx::raw_sql(statements).execute(&mut file).await;
    file.close().await?;
    done.map(|_| ())
}

/// Takes away what guards against accidents.
const UNGUARD: &str = "DROP TRIGGER audit_events_are_not_changed; DROP TRIGGER audit_events_are_not_removed";

#[tokio::test]
async fn the_audit_is_whole_while_the_service_works_on_it_and_after_a_restart() {
    let (directory, path) = audited().await;
    let store = Store::open(&path).await.unwrap();
    store.audit(event("f")).await.unwrap();
    let report = verify_audit(&path, None).await.unwrap();
    assert_eq!((report.events, report.base.changes.sequence, report.head.sequence()), (6, 0, 6));
    store.audit(event("g")).await.unwrap();
    assert_eq!(verify_audit(&path, Some(report.anchor())).await.unwrap().events, 7);
    drop(directory);
}

#[tokio::test]
async fn events_are_neither_changed_nor_removed_by_accident() {
    let (_directory, path) = audited().await;
    for statement in ["UPDATE audit_events SET actor = 'x' WHERE sequence = 2", "DELETE FROM audit_events"] {
        let refused = tamper(&path, statement).await.unwrap_err().to_string();
        assert!(refused.contains("event of the audit can"), "{refused}");
    }
    verify_audit(&path, None).await.unwrap();
}

#[tokio::test]
async fn triggers_that_somebody_took_away_or_made_idle_are_put_back_at_the_next_start_and_told() {
    let (_directory, path) = audited().await;
    let idle = "DROP TRIGGER audit_events_are_not_changed; DROP TRIGGER audit_events_are_not_removed; \
                CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events BEGIN SELECT 1; END; \
                DROP TRIGGER audit_denials_are_not_changed; DROP TRIGGER audit_denials_are_not_removed; \
                CREATE TRIGGER audit_denials_are_not_removed BEFORE DELETE ON audit_denials BEGIN SELECT 1; END";
    tamper(&path, idle).await.unwrap();
    let store = Store::open(&path).await.unwrap();
    let events = store.audit_events(&AuditFilter::default(), 4).await.unwrap();
    let triggers = [
        "audit_events_are_not_changed",
        "audit_events_are_not_removed",
        "audit_denials_are_not_changed",
        "audit_denials_are_not_removed",
    ];
    for (event, trigger) in events.iter().rev().zip(triggers) {
        assert_eq!(
            (event.action.as_str(), event.actor.as_str()),
            ("AuditGuardRestored", "sync"),
            "{event:?}"
        );
        assert!(event.detail.contains(trigger), "{event:?}");
    }
    store.audit_denials(vec![denied("noise", "x")], &SMALL).await.unwrap();
    store.close().await;
    for statement in [
        "UPDATE audit_events SET actor = 'x' WHERE sequence = 2",
        "DELETE FROM audit_events",
        "UPDATE audit_denials SET actor = 'x'",
        "DELETE FROM audit_denials",
    ] {
        let refused = tamper(&path, statement).await.unwrap_err().to_string();
        assert!(refused.contains("event of the audit can"), "{refused}");
    }

    Store::open(&path).await.unwrap().close().await;
    assert_eq!(verify_audit(&path, None).await.unwrap().events, 10, "what is in place is not told");
}

#[tokio::test]
async fn whatever_is_done_to_an_event_in_the_file_is_found_out() {
    for (statement, expected) in [
        ("UPDATE audit_events SET actor = 'x' WHERE sequence = 2", "event 2 is not what"),
        ("UPDATE audit_events SET event_time = event_time + 1 WHERE sequence = 2", "event 2 is not what"),
        ("UPDATE audit_events SET outcome = 'OK ' WHERE sequence = 5", "event 5 is not what"),
        ("UPDATE audit_events SET hash = zeroblob(32) WHERE sequence = 3", "event 3 is not what"),
        ("DELETE FROM audit_events WHERE sequence = 3", "event 3 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 1", "event 1 is missing"),
        ("DELETE FROM audit_events WHERE sequence > 3", "the newest ones have been removed"),
        (
            "UPDATE audit_events SET sequence = 99 WHERE sequence = 2; \
          UPDATE audit_events SET sequence = 2 WHERE sequence = 3; \
          UPDATE audit_events SET sequence = 3 WHERE sequence = 99",
            "event 2 is not what",
        ),
    ] {
        let (_directory, path) = audited().await;
        tamper(&path, UNGUARD).await.unwrap();
        tamper(&path, statement).await.unwrap();
        let found = verify_audit(&path, None).await.unwrap_err().to_string();
        assert!(found.contains(expected), "{statement}: {found}");
    }
}

#[tokio::test]
async fn a_tail_that_is_cut_with_the_end_of_the_chain_is_found_out_by_an_anchor() {
    let (_directory, path) = audited().await;
    let anchor = verify_audit(&path, None).await.unwrap().anchor();
    tamper(&path, UNGUARD).await.unwrap();
    let cut = "DELETE FROM audit_events WHERE sequence > 3; UPDATE audit_chain SET head_sequence = 3, \
               head_hash = (SELECT hash FROM audit_events WHERE sequence = 3)";
    tamper(&path, cut).await.unwrap();
    assert_eq!(verify_audit(&path, None).await.unwrap().events, 3, "by itself it looks whole");
    let found = verify_audit(&path, Some(anchor)).await.unwrap_err().to_string();
    assert!(found.contains("the newest ones have been removed"), "{found}");
}

#[tokio::test]
async fn what_is_left_after_pruning_is_whole_and_says_that_something_was_pruned() {
    let (_directory, path) = audited().await;
    let old = verify_audit(&path, None).await.unwrap().anchor();
    let store = Store::open(&path).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.prune_audit(Timestamp::now() + 1.hour()).await.unwrap();
    transaction.commit().await.unwrap();
    store.audit(event("f")).await.unwrap();
    let events = store.audit_events(&AuditFilter::default(), 10).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["CreateSyncedSecret", "AuditPruned"]);
    let report = verify_audit(&path, Some(old)).await.unwrap();
    assert_eq!((report.events, report.base.changes), (2, old));
    // A clock that went back leaves the younger ones in front where they are.
    let mut transaction = store.begin().await.unwrap();
    transaction.prune_audit(Timestamp::now() - 1.hour()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(verify_audit(&path, None).await.unwrap().events, 2);
}

#[tokio::test]
async fn events_of_a_release_without_a_chain_are_chained_when_the_database_is_opened() {
    let (_directory, path) = audited().await;
    tamper(&path, UNGUARD).await.unwrap();
    tamper(&path, "DELETE FROM audit_events WHERE sequence = 1; UPDATE audit_events SET hash = NULL, beside = NULL; DELETE FROM audit_chain")
        .await
        .unwrap();
    assert!(matches!(verify_audit(&path, None).await, Err(AuditFault::Unchained)));
    Store::open(&path).await.unwrap().close().await;
    let report = verify_audit(&path, None).await.unwrap();
    // With two that say that a trigger was put back.
    assert_eq!((report.events, report.base.changes.sequence, report.head.sequence()), (6, 1, 7));
}

#[tokio::test]
async fn an_export_holds_every_event_with_its_hash() {
    let (_directory, path) = audited().await;
    let mut lines = Vec::new();
    let collect = |event: ChainedEvent| {
        lines.push(event);
        Ok(())
    };
    export_audit(&path, collect).await.unwrap();
    let head = verify_audit(&path, None).await.unwrap().anchor();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines.last().unwrap().hash, head.hash);
}

/// A call that was not let in.
fn denied(actor: &str, resource: &str) -> NewAuditEvent {
    let outcome = Outcome("PERMISSION_DENIED".to_owned());
    NewAuditEvent { actor: actor.to_owned(), outcome, ..event(resource) }
}

const SMALL: Ring = Ring { rows: 16, bytes: 1_000_000 };

#[tokio::test]
async fn however_many_denials_come_every_change_is_kept_and_the_newest_denials_are() {
    let (directory, store) = open().await;
    let path = directory.path().join("state.db");
    let mut anchors = Vec::new();
    for change in 0..20 {
        store.audit(event(&format!("changed-{change}"))).await.unwrap();
        anchors.push(verify_audit(&path, None).await.unwrap().anchor());
        for noise in 0..10 {
            store.audit_denials(vec![denied("noise", &format!("{change}-{noise}"))], &SMALL).await.unwrap();
        }
    }
    let events = store.audit_events(&AuditFilter::default(), 1_000).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.resource.starts_with("changed-")).count(), 20);
    let told: Vec<_> = events.iter().filter(|event| event.actor == "noise").collect();
    assert!((10..=16).contains(&told.len()), "{}", told.len());
    assert_eq!(told[0].resource, "19-9");
    let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert!(sequences.is_sorted_by(|newer, older| newer > older), "{sequences:?}");
    let said =
        events.iter().find(|event| event.action == AuditAction::AuditPruned).expect("it says what went");
    assert!(
        said.detail.contains("denials up to the one of") && said.detail.contains("to make room"),
        "{}",
        said.detail
    );

    for anchor in anchors {
        let report = verify_audit(&path, Some(anchor)).await.unwrap();
        assert_eq!((report.base.changes.sequence, report.events), (0, events.len() as u64));
    }
}

#[tokio::test]
async fn the_ring_is_bounded_by_bytes_too_and_holds_the_newest_whatever_its_size() {
    let (directory, store) = open().await;
    let ring = Ring { rows: 1_000, bytes: 10_000 };
    for number in 0..100 {
        let long = format!("{number}-{}", "x".repeat(500));
        store.audit_denials(vec![denied("noise", &long)], &ring).await.unwrap();
    }
    let kept: i64 = sqlx::query_scalar("SELECT sum(length(resource)) FROM audit_denials")
        .fetch_one(&store.0.readers)
        .await
        .unwrap();
    assert!((2_000..=10_000).contains(&kept), "{kept}");
    store.audit_denials(vec![denied("noise", &"y".repeat(50_000))], &ring).await.unwrap();
    let events = store.audit_events(&AuditFilter::default(), 2).await.unwrap();
    assert!(events.iter().any(|event| event.resource.starts_with('y')));
    verify_audit(&directory.path().join("state.db"), None).await.unwrap();
}

#[tokio::test]
async fn whatever_is_done_to_a_denial_in_the_file_is_found_out_and_no_change_goes_as_one() {
    const UNGUARD_DENIALS: &str =
        "DROP TRIGGER audit_denials_are_not_changed; DROP TRIGGER audit_denials_are_not_removed";
    // Events 1 to 5 are changes, 6 to 8 denials, 9 a change.
    for (statement, expected) in [
        ("UPDATE audit_denials SET actor = 'x' WHERE sequence = 7", "event 7 is not what"),
        ("UPDATE audit_denials SET beside = zeroblob(32) WHERE sequence = 7", "event 7 is not what"),
        ("DELETE FROM audit_denials WHERE sequence = 6", "event 6 is missing"),
        ("DELETE FROM audit_denials WHERE sequence = 8", "event 8 is missing"),
        // A change that is made to look as a denial that was pruned.
        (
            "UPDATE audit_chain SET denials_base_sequence = 7, \
                    denials_base_hash = (SELECT hash FROM audit_denials WHERE sequence = 7); \
             DELETE FROM audit_events WHERE sequence = 5; DELETE FROM audit_denials WHERE sequence <= 7",
            "event 8 is not what",
        ),
        // The newest denial with the end of its chain.
        (
            "DELETE FROM audit_denials WHERE sequence = 8; UPDATE audit_chain SET denials_head_sequence = 7, \
                    denials_head_hash = (SELECT hash FROM audit_denials WHERE sequence = 7)",
            "event 8 is missing",
        ),
    ] {
        let (_directory, path) = audited().await;
        let store = Store::open(&path).await.unwrap();
        let denials = ["f", "g", "h"].map(|resource| denied("noise", resource)).to_vec();
        store.audit_denials(denials, &SMALL).await.unwrap();
        store.audit(event("i")).await.unwrap();
        store.close().await;
        for table in ["audit_denials", "audit_events"] {
            let refused = match table {
                "audit_denials" => tamper(&path, "DELETE FROM audit_denials").await,
                _ => tamper(&path, "DELETE FROM audit_events").await,
            };
            assert!(refused.unwrap_err().to_string().contains("event of the audit can"), "{table}");
        }
        verify_audit(&path, None).await.unwrap();
        tamper(&path, UNGUARD).await.unwrap();
        tamper(&path, UNGUARD_DENIALS).await.unwrap();
        tamper(&path, statement).await.unwrap();
        let found = verify_audit(&path, None).await.unwrap_err().to_string();
        assert!(found.contains(expected), "{statement}: {found}");
    }
}

#[tokio::test]
async fn denials_too_are_forgotten_when_they_have_been_kept_long_enough() {
    let (directory, store) = open().await;
    store.audit_denials(vec![denied("noise", "x")], &SMALL).await.unwrap();
    store.audit(event("y")).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    transaction.prune_audit(Timestamp::now() + 1.hour()).await.unwrap();
    transaction.commit().await.unwrap();
    let events = store.audit_events(&AuditFilter::default(), 10).await.unwrap();
    assert!(events.iter().all(|event| event.action == AuditAction::AuditPruned), "{events:?}");
    let report = verify_audit(&directory.path().join("state.db"), None).await.unwrap();
    assert_eq!((report.base.denials.sequence, report.base.changes.sequence), (1, 2));
}

#[tokio::test]
async fn an_export_holds_both_chains_and_can_be_walked_from_anywhere() {
    let (directory, store) = open().await;
    for number in 0..30 {
        store.audit(event("x")).await.unwrap();
        store.audit_denials(vec![denied("noise", &number.to_string())], &SMALL).await.unwrap();
    }
    let mut lines = Vec::new();
    let collect = |event: ChainedEvent| {
        lines.push(event);
        Ok(())
    };
    export_audit(&directory.path().join("state.db"), collect).await.unwrap();
    for begin in [0, 1, lines.len() / 2, lines.len() - 1] {
        let mut walk = ChainWalk::open(lines[begin].event.sequence, None).unwrap();
        lines[begin..].iter().try_for_each(|event| walk.step(event)).unwrap();
        assert_eq!(walk.end(None).unwrap().0, (lines.len() - begin) as u64);
    }
    let text = serde_json::to_string(lines.last().unwrap()).unwrap();
    assert!(text.contains("\"chain\":\"denials\""), "{text}");
    assert_eq!(serde_json::from_str::<ChainedEvent>(&text).unwrap(), *lines.last().unwrap());
}

#[tokio::test]
async fn a_damaged_page_that_a_start_does_not_need_is_found_by_it() {
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
async fn a_database_that_is_busy_with_our_own_writes_answers() {
    let (_directory, store) = open().await;
    let write = |store: Store| async move {
        let mut transaction = store.begin().await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        transaction.keep_clock().await.unwrap();
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
