//! Floods by who has few rights or none: whoever makes them waits for them, and nobody else does.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, future::join_all};
use key_vault_double::{OnOperation, Operation};
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    proto::{synced_secret::State, *},
    secrets,
};
use tokio::time::Instant;
use tonic::{Response, Status};

use super::{locked, world, world_with};
use crate::support::{
    Options, World,
    callers::{AUDIENCE, Caller},
    requests::*,
};

async fn caller(world: &World, account: &str) -> Caller {
    world.caller(Some(&world.token(account, AUDIENCE).await)).await
}

fn reviews(world: &World) -> u64 {
    world.cluster().requests().of("create", "subjectaccessreviews")
}

/// How many answers there are of each reason.
fn reasons<T>(answers: &[Result<T, Status>]) -> BTreeMap<String, usize> {
    let mut reasons = BTreeMap::new();
    for answer in answers {
        let reason = answer.as_ref().err().map_or_else(|| "OK".to_owned(), |status| told(status).reason);
        *reasons.entry(reason).or_default() += 1;
    }
    reasons
}

/// Asks for so many synced secrets.
async fn ask(caller: &Caller, names: usize, at_once: usize) -> Vec<Result<Response<SyncedSecret>, Status>> {
    let calls = (0..names).map(|number| {
        let mut caller = caller.clone();
        async move { caller.get_synced_secret(get(&format!("n{number}"))).await }
    });
    futures::stream::iter(calls).buffer_unordered(at_once).collect().await
}

#[tokio::test]
async fn a_right_on_all_names_costs_one_review_for_any_number_of_names() {
    needs!(the_double);
    let world = world(|access| access.decision_life = Duration::from_secs(10)).await;
    let (viewer, before) = (caller(&world, "viewer").await, reviews(&world));
    let reasons = reasons(&ask(&viewer, 800, 64).await);
    assert_eq!(reasons["SYNCED_SECRET_NOT_FOUND"], 800, "{reasons:?}");
    let made = reviews(&world) - before;
    assert!(made < 10, "{made} reviews for 800 names");
}

#[tokio::test]
async fn rights_on_single_names_are_reviewed_at_a_limited_rate() {
    needs!(the_double);
    let world = world(|access| access.decision_life = Duration::from_secs(10)).await;
    world.account("line-1", &["syncedsecrets"], &["get"], &["line1"]).await;
    let mut line = caller(&world, "line-1").await;
    let before = (reviews(&world), Instant::now());
    let answers = ask(&line, 800, 64).await;
    let reasons = reasons(&answers);
    let (made, most) = (reviews(&world) - before.0, 140 + 21 * (before.1.elapsed().as_secs() + 1));
    assert!(made <= most, "{made} reviews for 800 names: {reasons:?}");
    assert!(reasons["CALLER_FORBIDDEN"] >= 128, "one call may name a hundred: {reasons:?}");
    assert!(reasons["TOO_MANY_NAMES_ASKED"] > 0, "{reasons:?}");
    let mut refused = answers.iter().filter_map(|answer| answer.as_ref().err()).map(told);
    let refused = refused.find(|told| told.reason == "TOO_MANY_NAMES_ASKED").unwrap();
    assert!(refused.message.contains("without resourceNames"), "{}", refused.message);
    assert!(refused.details.retry_info().is_some());
    // Its time comes again, and others have had theirs.
    let mut viewer = caller(&world, "viewer").await;
    viewer.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let known = line.get_synced_secret(get("line1")).await.unwrap_err();
    assert_eq!(told(&known).reason, "SYNCED_SECRET_NOT_FOUND");
}

#[tokio::test]
async fn the_reviews_of_one_caller_do_not_delay_those_of_others() {
    needs!(the_double);
    let world = world(|_| {}).await;
    let (flood, mut viewer) = (caller(&world, "nobody").await, caller(&world, "viewer").await);
    let slow = Fault::latency(Duration::from_millis(3_000));
    world.cluster().faults().add(FaultRule::new(slow).resource("subjectaccessreviews"));
    let flooding = tokio::spawn(async move { ask(&flood, 200, 200).await });
    // After a review of the right on all names come those of the names.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!flooding.is_finished(), "the reviews take three seconds each");
    let begun = Instant::now();
    // One review: a list needs a second one, for what it shows.
    let answer = viewer.get_synced_secret(get("any")).await.unwrap_err();
    let waited = begun.elapsed();
    assert_eq!(told(&answer).reason, "SYNCED_SECRET_NOT_FOUND");
    flooding.abort();
    assert!(waited < Duration::from_secs(5), "{waited:?} for a review of 3 s");
}

#[tokio::test]
async fn a_caller_that_floods_the_vault_delays_only_itself() {
    let mut options = Options { access: locked(), ..Options::default() };
    // As many calls of one caller as find no room before the vault.
    options.limits.calls_per_caller = 512;
    let world = world_with(options).await;
    world.seed("there", "canary-there").await;
    // On two connections: one bears fewer calls at a time.
    let viewers = [caller(&world, "viewer").await, caller(&world, "viewer").await];
    let (mut known, mut editor) = (viewers[0].clone(), caller(&world, "editor").await);
    known.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    let slow = Fault::latency(Duration::from_millis(500));
    world.vault.faults().add(FaultRule::new(slow).on(Operation::SecretListVersions));
    let versions = (0..400).map(|number| {
        let mut viewer = viewers[number % 2].clone();
        async move {
            let request =
                ListVaultSecretVersionsRequest { parent: vault_name("there"), ..Default::default() };
            viewer.list_vault_secret_versions(request).await
        }
    });
    let flooding = tokio::spawn(join_all(versions));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    editor.get_vault_secret(GetVaultSecretRequest { name: vault_name("there") }).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited < Duration::from_secs(3), "{waited:?} for an answer that takes half a second");
    let answers = flooding.await.unwrap();
    let reasons = reasons(&answers);
    assert!(reasons["OK"] > 0 && reasons["VAULT_TOO_MANY_WAIT"] > 0, "{reasons:?}");
}

#[tokio::test]
async fn concurrent_get_vault_calls_share_one_check() {
    let options = Options {
        access: locked(),
        secrets: secrets::Options {
            vault_check_lifetime: Duration::from_secs(60),
            ..secrets::Options::default()
        },
        ..Options::default()
    };
    let world = world_with(options).await;
    let viewer = caller(&world, "viewer").await;
    let before = world.vault.requests().of(Operation::SecretList);
    let answers = join_all((0..100).map(|_| {
        let mut viewer = viewer.clone();
        async move { viewer.get_vault(GetVaultRequest::default()).await.unwrap().into_inner() }
    }))
    .await;
    let later =
        caller(&world, "editor").await.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    let looks = world.vault.requests().of(Operation::SecretList) - before;
    assert!((1..=3).contains(&looks), "{looks} lists for 101 calls");
    assert!(answers.iter().all(|vault| vault.check_time == later.check_time), "and it says how old it is");
    assert!(later.check_time.is_some());
}

#[tokio::test]
async fn a_caller_above_its_share_of_the_vault_gets_no_vault_error() {
    needs!(the_double);
    // An eighth of them for one caller: two at a time, and two that wait.
    let world = world_with(Options { access: locked(), vault_waiting: 16, ..Options::default() }).await;
    let mut editor = caller(&world, "editor").await;
    let ids: Vec<String> = (0..10).map(|number| format!("a{number}")).collect();
    for id in &ids {
        world.seed(id, "value").await;
        let request = create(id, vec![existing("k", id), existing("again", "a0")]);
        editor.create_synced_secret(request).await.unwrap();
    }
    for operation in [Operation::SecretGet, Operation::SecretListVersions] {
        let slow = Fault::latency(Duration::from_millis(300));
        world.vault.faults().add(FaultRule::new(slow).on(operation));
    }
    let syncs = ids.iter().map(|id| {
        let mut editor = editor.clone();
        async move { editor.sync_synced_secret(sync(id)).await.unwrap().into_inner() }
    });
    for told in join_all(syncs).await {
        assert_eq!(told.state(), State::Synced, "{told:?}");
    }
    let events = ListAuditEventsRequest { page_size: 500, ..Default::default() };
    let events = editor.list_audit_events(events).await.unwrap().into_inner().audit_events;
    assert!(!events.iter().any(|event| event.action == "SyncFailed"), "{events:?}");
}
