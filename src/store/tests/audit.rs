//! The audit: its chains, what is done to them in the file, pruning and export.

use super::*;
use crate::model::{AuditEvent, ChainedEvent};

#[tokio::test]
async fn the_audit_is_read_newest_first_by_resource_and_page() {
    let (_directory, store) = open().await;
    for resource in ["x", "y", "x"] {
        store.audit(event(resource)).await.unwrap();
    }
    let filter = AuditFilter { resource: "x".into(), ..AuditFilter::default() };
    let events = store.audit_events(&filter, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3, 1]);
    let next = AuditFilter { before: Some(3), ..filter };
    assert_eq!(store.audit_events(&next, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_audit_is_filtered_by_everything_at_once() {
    let (_directory, store) = open().await;
    let mut number = 0;
    for actor in ["ada", "bob"] {
        for action in [AuditAction::CreateVaultSecret, AuditAction::Rotated] {
            for outcome in ["OK", "ACCEPTED", "NOT_FOUND", "FAILED"] {
                let (resource, outcome) = (format!("r{}", number % 2), Outcome(outcome.to_owned()));
                let event = NewAuditEvent {
                    actor: actor.into(),
                    action: action.clone(),
                    outcome,
                    ..event(&resource)
                };
                match number % 3 {
                    0 => store.audit_denials(vec![event], &Ring { rows: 100, bytes: 100_000 }).await.unwrap(),
                    _ => store.audit(event).await.unwrap(),
                }
                number += 1;
            }
        }
    }
    let all = store.audit_events(&AuditFilter::default(), 100).await.unwrap();
    assert_eq!(all.len(), 16);
    let (since, until) = (all[12].event_time, all[3].event_time);
    let texts = |text: &'static str| ["", text, "' OR ''='", "ad%", "\0"];
    let times = [(None, None), (Some(since), None), (None, Some(until)), (Some(since), Some(until))];
    let mut found = 0;
    for resource in texts("r1") {
        for actor in texts("ada") {
            for (action, outcome) in texts("Rotated").into_iter().zip(texts("NOT_FOUND")).chain([("", "OK")])
            {
                for (is_failed, (since, until)) in
                    [false, true].into_iter().flat_map(|failed| times.map(|times| (failed, times)))
                {
                    let is_wanted = |event: &&AuditEvent| {
                        (resource.is_empty() || event.resource == resource)
                            && (actor.is_empty() || event.actor == actor)
                            && (action.is_empty() || event.action.as_str() == action)
                            && (outcome.is_empty() || event.outcome.0 == outcome)
                            && !(is_failed && ["OK", "ACCEPTED"].contains(&&*event.outcome.0))
                            && since.is_none_or(|since| event.event_time >= since)
                            && until.is_none_or(|until| event.event_time < until)
                    };
                    let wanted: Vec<_> = all.iter().filter(is_wanted).cloned().collect();
                    let [resource, actor, action, outcome] =
                        [resource, actor, action, outcome].map(ToOwned::to_owned);
                    let filter = AuditFilter {
                        before: None,
                        resource,
                        actor,
                        action,
                        outcome,
                        is_failed,
                        since,
                        until,
                    };
                    assert_eq!(store.audit_events(&filter, 100).await.unwrap(), wanted, "{filter:?}");
                    found += usize::from(!wanted.is_empty());
                }
            }
        }
    }
    assert!(found > 40, "{found} filters let something through");
}

#[tokio::test]
async fn the_events_of_a_resource_are_found_by_their_index() {
    let (directory, store) = open().await;
    store.close().await;
    let file = SqliteConnectOptions::new().filename(directory.path().join("state.db"));
    let mut sql = file.connect().await.unwrap();
    let selects = super::super::audit::STATEMENTS.iter().filter(|sql| sql.contains("sequence < ?2"));
    let mut seen = 0;
    for statement in selects {
        let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
        let steps = plan.fetch_all(&mut sql).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| sqlx::Row::get(step, "detail")).collect();
        // A page begins where the one before it ended, and doesn't walk there from the newest event.
        let range = match statement.contains("resource = ?9") {
            true => {
                ["audit_events_by_resource (resource=? AND ", "audit_denials_by_resource (resource=? AND "]
            }
            false => [
                "SEARCH audit_events USING INTEGER PRIMARY KEY (rowid<?)",
                "SEARCH audit_denials USING INTEGER PRIMARY KEY (rowid<?)",
            ],
        };
        for part in range {
            assert!(steps.iter().any(|step| step.contains(part)), "{part}: {steps:?}");
        }
        seen += 1;
    }
    assert_eq!(seen, 2);
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

/// Takes away what guards against accidents.
const UNGUARD: &str = "DROP TRIGGER audit_events_are_not_changed; DROP TRIGGER audit_events_are_not_removed";

#[tokio::test]
async fn the_audit_verifies_while_the_service_writes_and_after_a_restart() {
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
async fn removed_or_disabled_triggers_are_restored_and_reported_at_the_next_start() {
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

/// What these statements do to the file is found out by the verification.
async fn is_found_out(path: &Path, statements: &[&'static str], expected: &str) {
    for statement in statements {
        tamper(path, statement).await.unwrap();
    }
    let found = verify_audit(path, None).await.unwrap_err().to_string();
    assert!(found.contains(expected), "{statements:?}: {found}");
}

#[tokio::test]
async fn every_change_to_an_event_in_the_file_is_detected() {
    for (statement, expected) in [
        ("UPDATE audit_events SET actor = 'x' WHERE sequence = 2", "event 2 is not what"),
        ("UPDATE audit_events SET event_time = event_time + 1 WHERE sequence = 2", "event 2 is not what"),
        ("UPDATE audit_events SET outcome = 'OK ' WHERE sequence = 5", "event 5 is not what"),
        ("UPDATE audit_events SET hash = zeroblob(32) WHERE sequence = 3", "event 3 is not what"),
        ("DELETE FROM audit_events WHERE sequence = 3", "event 3 is missing"),
        ("DELETE FROM audit_events WHERE sequence = 1", "event 1 is missing"),
        ("DELETE FROM audit_events WHERE sequence > 3", "the newest events have been removed"),
        (
            "UPDATE audit_events SET sequence = 99 WHERE sequence = 2; \
          UPDATE audit_events SET sequence = 2 WHERE sequence = 3; \
          UPDATE audit_events SET sequence = 3 WHERE sequence = 99",
            "event 2 is not what",
        ),
    ] {
        let (_directory, path) = audited().await;
        is_found_out(&path, &[UNGUARD, statement], expected).await;
    }
}

#[tokio::test]
async fn an_anchor_detects_a_truncated_tail() {
    let (_directory, path) = audited().await;
    let anchor = verify_audit(&path, None).await.unwrap().anchor();
    tamper(&path, UNGUARD).await.unwrap();
    let cut = "DELETE FROM audit_events WHERE sequence > 3; UPDATE audit_chain SET head_sequence = 3, \
               head_hash = (SELECT hash FROM audit_events WHERE sequence = 3)";
    tamper(&path, cut).await.unwrap();
    assert_eq!(verify_audit(&path, None).await.unwrap().events, 3, "by itself it looks whole");
    let found = verify_audit(&path, Some(anchor)).await.unwrap_err().to_string();
    assert!(found.contains("the newest events have been removed"), "{found}");
}

#[tokio::test]
async fn a_pruned_audit_verifies_and_reports_the_pruning() {
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

#[tokio::test]
async fn a_flood_of_denials_keeps_every_change_and_the_newest_denials() {
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
async fn the_ring_is_also_bounded_by_bytes_and_holds_the_newest_denial_whatever_its_size() {
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
async fn every_change_to_a_denial_in_the_file_is_detected() {
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
        is_found_out(&path, &[UNGUARD, UNGUARD_DENIALS, statement], expected).await;
    }
}

#[tokio::test]
async fn denials_are_pruned_after_their_retention() {
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
async fn an_export_holds_both_chains_and_verifies_from_any_event() {
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
