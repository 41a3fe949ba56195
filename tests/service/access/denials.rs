//! What the doors are made of: tokens, decisions, rules, and what happens while the cluster does not answer.

use futures::StreamExt;
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    proto::*,
    secrets::{self, DenialOptions},
    store::Ring,
};
use tokio::time::{Instant, sleep};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{REMEMBERED, locked, world, world_with};
use crate::support::{
    Options, PATIENCE, World,
    callers::{AUDIENCE, BOTH, EVERYTHING, client},
    requests::*,
};

async fn list_as(world: &World, token: &str) -> Result<(), Told> {
    let answer =
        world.caller(Some(token)).await.list_synced_secrets(ListSyncedSecretsRequest::default()).await;
    answer.map(|_| ()).map_err(|status| told(&status))
}

#[tokio::test]
async fn a_deleted_service_account_stops_working_within_the_cache_time() {
    let world = world(|_| {}).await;
    let token = world.token("viewer", AUDIENCE).await;
    list_as(&world, &token).await.unwrap_or_else(|told| panic!("{}", told.message));
    world.remove_account("viewer", &token).await;
    // On a real cluster the token authenticator has a cache of its own.
    let begun = Instant::now();
    let refused = loop {
        sleep(REMEMBERED).await;
        match list_as(&world, &token).await {
            Err(refused) => break refused,
            Ok(()) => assert!(begun.elapsed() < PATIENCE, "it is let in for ever"),
        }
    };
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
    assert!(refused.message.contains("kubectl create token"), "{}", refused.message);
}

#[tokio::test]
async fn a_watch_ends_when_its_caller_may_no_longer_watch() {
    let world = world(|_| {}).await;
    let token = world.token("viewer", AUDIENCE).await;
    let mut caller = world.caller(Some(&token)).await;
    let mut watch =
        caller.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().expect("the initial state ends with a bookmark");
    sleep(REMEMBERED * 3).await;
    world.remove_account("viewer", &token).await;
    let ended = tokio::time::timeout(PATIENCE, watch.message()).await.expect("it ends").unwrap_err();
    assert_eq!((ended.code(), told(&ended).reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
}

#[tokio::test]
async fn forged_tokens_neither_flood_the_cluster_nor_block_known_callers() {
    let world = world(|access| access.tokens.as_mut().unwrap().life = PATIENCE).await;
    let token = world.token("viewer", AUDIENCE).await;
    list_as(&world, &token).await.unwrap_or_else(|told| panic!("{}", told.message));
    let channel = world.channel().await;
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..400 {
        let mut stranger = client(channel.clone(), Some(&format!("made-up-{number}")));
        let refused = stranger.get_vault(GetVaultRequest::default()).await.unwrap_err();
        *codes.entry(told(&refused).reason).or_default() += 1;
    }
    assert!(codes["TOO_MANY_UNKNOWN_TOKENS"] > 100, "{codes:?}");
    list_as(&world, &token).await.unwrap_or_else(|told| panic!("{}", told.message));
}

#[tokio::test]
async fn a_right_on_one_synced_secret_is_no_right_on_another() {
    let world = world(|_| {}).await;
    world.account("line-1", &["syncedsecrets"], &["get", "update"], &["line1"]).await;
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    for id in ["line1", "line2"] {
        editor.create_synced_secret(create(id, vec![created("a", id, "canary-line")])).await.unwrap();
    }
    let mut line = world.caller(Some(&world.token("line-1", AUDIENCE).await)).await;
    line.get_synced_secret(get("line1")).await.unwrap();
    let refused = told(&line.get_synced_secret(get("line2")).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    for part in ["get", "syncedSecrets/line2", "syncedsecrets.secret-service.iotoperations", &world.namespace]
    {
        assert!(refused.message.contains(part), "{part} in {}", refused.message);
    }
    let all = line.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap_err();
    assert_eq!(all.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_caller_that_brings_a_value_needs_the_right_to_create_vault_secrets() {
    let world = world(|_| {}).await;
    world.account("linker", &["syncedsecrets"], &EVERYTHING, &[]).await;
    world.seed("there", "canary-there").await;
    let mut linker = world.caller(Some(&world.token("linker", AUDIENCE).await)).await;
    let refused = linker.create_synced_secret(create("s", vec![created("a", "new", "canary-new")])).await;
    let refused = told(&refused.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    assert!(
        refused.message.contains("vaultSecrets/new") && !refused.message.contains("canary"),
        "{}",
        refused.message
    );
    // What it did not bring is asked for too, and by the verb for that.
    world.account("linker", &["vaultsecrets"], &["reference"], &["there"]).await;
    sleep(REMEMBERED * 2).await;
    linker.create_synced_secret(create("s", vec![existing("a", "there")])).await.unwrap();
}

#[tokio::test]
async fn a_rule_narrows_what_callers_may_name_whatever_the_cluster_grants() {
    let world = world(|access| {
        let rules = ["deny * vaultSecrets/prod-*", "allow * syncedSecrets/line*"];
        access.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    })
    .await;
    for name in ["prod-password", "test-password"] {
        world.seed(name, "canary-rule").await;
    }
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    let request = create("line1", vec![existing("a", "test-password"), existing("b", "PROD-password")]);
    let refused = told(&editor.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "NAME_NOT_ALLOWED"));
    assert!(refused.message.contains("deny * vaultSecrets/prod-*"), "{}", refused.message);
    let elsewhere = editor.create_synced_secret(create("other", vec![existing("a", "test-password")])).await;
    assert_eq!(told(&elsewhere.unwrap_err()).reason, "NAME_NOT_ALLOWED");
    editor.create_synced_secret(create("line1", vec![existing("a", "test-password")])).await.unwrap();
    let updated = SyncedSecret {
        name: name("line1"),
        references: vec![existing("a", "prod-password")],
        ..SyncedSecret::default()
    };
    let refused = editor.update_synced_secret(update(updated, &["references"])).await.unwrap_err();
    assert_eq!(told(&refused).reason, "NAME_NOT_ALLOWED");
}

#[tokio::test]
async fn while_the_cluster_is_down_only_cached_tokens_are_accepted() {
    needs!(the_double);
    let world = world(|_| {}).await;
    let (viewer, editor) = (world.token("viewer", AUDIENCE).await, world.token("editor", AUDIENCE).await);
    for review in ["tokenreviews", "subjectaccessreviews"] {
        list_as(&world, &viewer).await.unwrap_or_else(|told| panic!("{}", told.message));
        let away = Fault::status(503, "ServiceUnavailable");
        world.cluster().faults().add(FaultRule::new(away).resource(review));
        list_as(&world, &viewer).await.unwrap_or_else(|told| panic!("{}", told.message));
        sleep(REMEMBERED * 2).await;
        for token in [&viewer, &editor] {
            let refused = list_as(&world, token).await.unwrap_err();
            assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "ACCESS_UNDECIDED"));
            assert!(refused.details.retry_info().is_some());
        }
        world.cluster().faults().clear();
    }
    list_as(&world, &editor).await.unwrap_or_else(|told| panic!("{}", told.message));
}

#[tokio::test]
async fn every_denial_is_in_the_audit_with_who_what_and_why() {
    let world = world(|_| {}).await;
    let viewer = world.token("viewer", AUDIENCE).await;
    let mut caller = world.caller(Some(&viewer)).await;
    caller.delete_synced_secret(delete("pump")).await.unwrap_err();
    world.caller(None).await.get_vault(GetVaultRequest::default()).await.unwrap_err();
    let events = caller.list_audit_events(ListAuditEventsRequest::default()).await.unwrap().into_inner();
    let told: Vec<_> = events
        .audit_events
        .iter()
        .map(|event| {
            (event.actor.as_str(), event.action.as_str(), event.resource.as_str(), event.outcome.as_str())
        })
        .collect();
    let user = world.user("viewer");
    assert!(
        told.contains(&(&user, "DeleteSyncedSecret", "syncedSecrets/pump", "PERMISSION_DENIED")),
        "{told:?}"
    );
    assert!(told.contains(&("anonymous@127.0.0.1", "GetVault", "", "UNAUTHENTICATED")), "{told:?}");
}

#[tokio::test]
async fn a_flood_of_denials_is_two_events_in_the_audit() {
    let world = world(|_| {}).await;
    let viewer = world.token("viewer", AUDIENCE).await;
    let mut caller = world.caller(Some(&viewer)).await;
    for _ in 0..50 {
        caller.delete_synced_secret(delete("pump")).await.unwrap_err();
    }
    let request = ListAuditEventsRequest { resource: name("pump"), ..Default::default() };
    let events = caller.list_audit_events(request).await.unwrap().into_inner().audit_events;
    let details: Vec<_> = events.iter().map(|event| event.detail.as_str()).collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert_eq!(details[0], "49 more times since");
}

#[tokio::test]
async fn denials_of_one_caller_use_no_budget_of_another() {
    let world = world(|_| {}).await;
    world.account("noise", &["vaultsecrets"], &["get"], &[]).await;
    let noise = world.caller(Some(&world.token("noise", AUDIENCE).await)).await;
    let refused = (0..1_200).map(|number| {
        let mut noise = noise.clone();
        async move { noise.get_synced_secret(get(&format!("n{number}"))).await.unwrap_err() }
    });
    futures::stream::iter(refused).buffer_unordered(100).collect::<Vec<_>>().await;
    let mut viewer = world.caller(Some(&world.token("viewer", AUDIENCE).await)).await;
    viewer.delete_synced_secret(delete("quiet")).await.unwrap_err();

    let request = ListAuditEventsRequest { resource: name("quiet"), ..Default::default() };
    let events = viewer.list_audit_events(request).await.unwrap().into_inner().audit_events;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].actor, world.user("viewer"));
    let all = ListAuditEventsRequest { page_size: 1_000, ..Default::default() };
    let events = viewer.list_audit_events(all).await.unwrap().into_inner().audit_events;
    let noise = world.user("noise");
    let told = events.iter().filter(|event| event.actor == noise).count();
    assert!((2..100).contains(&told), "{told} events for 1,200 names");
    assert!(events.iter().all(|event| event.actor != "others"), "{events:?}");
}

#[tokio::test]
async fn a_flood_of_denials_removes_no_change_from_the_audit() {
    let options = Options {
        access: locked(),
        secrets: secrets::Options {
            denials: DenialOptions { kinds_per_actor: 1_000, ring: Ring { rows: 20, bytes: 1_000_000 } },
            ..secrets::Options::default()
        },
        ..Options::default()
    };
    let world = world_with(options).await;
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    editor.create_synced_secret(create("mine", vec![created("a", "mine", "canary-mine")])).await.unwrap();
    let mut viewer = world.caller(Some(&world.token("viewer", AUDIENCE).await)).await;
    for number in 0..100 {
        viewer.delete_synced_secret(delete(&format!("n{number}"))).await.unwrap_err();
    }
    let all = ListAuditEventsRequest { page_size: 1_000, ..Default::default() };
    let events = viewer.list_audit_events(all).await.unwrap().into_inner().audit_events;
    assert!(events.iter().any(|event| event.action == "CreateSyncedSecret"), "{events:?}");
    let denials: Vec<_> = events.iter().filter(|event| event.outcome == "PERMISSION_DENIED").collect();
    assert!((10..=20).contains(&denials.len()), "{}", denials.len());
    assert_eq!(denials[0].resource, "syncedSecrets/n99", "the newest are there");
    assert!(events.iter().any(|event| event.action == "AuditPruned"), "{events:?}");
}

#[tokio::test]
async fn the_audit_names_the_caller_as_the_cluster_authenticated_it() {
    let world = world(|_| {}).await;
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    editor.create_synced_secret(create("mine", vec![created("a", "mine", "canary-mine")])).await.unwrap();
    let request = ListAuditEventsRequest { resource: name("mine"), ..Default::default() };
    let events = editor.list_audit_events(request).await.unwrap().into_inner().audit_events;
    let created = events.iter().find(|event| event.action == "CreateSyncedSecret").expect("it is recorded");
    assert_eq!(created.actor, world.user("editor"));
}

#[tokio::test]
async fn a_rule_applies_to_the_references_of_an_adoption() {
    let world =
        world(|access| access.rules = ["deny * vaultSecrets/prod-*".parse().unwrap()].into_iter().collect())
            .await;
    world.account("adopter", &BOTH, &["adopt", "get", "reference"], &[]).await;
    world.seed("prod-password", "canary-adopt").await;
    let mut adopter = world.caller(Some(&world.token("adopter", AUDIENCE).await)).await;
    let request = AdoptSyncedSecretRequest {
        name: name("theirs"),
        references: vec![existing("a", "prod-password")],
        ..Default::default()
    };
    assert_eq!(told(&adopter.adopt_synced_secret(request).await.unwrap_err()).reason, "NAME_NOT_ALLOWED");
}

#[tokio::test]
async fn health_and_reflection_are_open_to_everybody() {
    let world = world(|_| {}).await;
    let mut health = HealthClient::new(world.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
}
