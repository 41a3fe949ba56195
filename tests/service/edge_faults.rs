//! A cluster that is down, slow or forbidding, and hands that change what is ours.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubernetes_double::{AnyFault, ClusterFault, Fault, FaultRule, OnResource, ResourceMatch};
use secret_service::proto::{CreateSyncedSecretRequest, ListAuditEventsRequest, synced_secret::State};
use serde_json::json;

use crate::support::{Options, PATIENCE, World, requests::*, written};

fn on(verb: &str, fault: impl Into<AnyFault<ClusterFault>>) -> FaultRule<ResourceMatch> {
    let resource = if verb == "patch" { written() } else { "secrets" };
    FaultRule::new(fault).verb(verb).resource(resource)
}

fn status(code: u16, reason: &str) -> Fault {
    Fault::status(code, reason)
}

async fn synced() -> World {
    synced_with(Options::default()).await
}

async fn synced_with(options: Options) -> World {
    World::start_with(options).await.with_synced(&["a"], "value").await
}

/// Waits until the edge holds just what it should again.
async fn repaired(world: &World) {
    let begun = tokio::time::Instant::now();
    loop {
        let data = world.edge("a").await;
        if data.as_ref().is_some_and(|data| data.len() == 1 && data["k"] == "value") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "never repaired: {data:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_edit_by_hand_is_repaired_and_recorded() {
    let mut world = synced().await;
    let uid = world.secrets().get("a").await.unwrap().metadata.uid;
    // Foreign keys, foreign values and a label that is ours.
    let edit = json!({ "stringData": { "k": "edited", "extra": "x" }, "metadata": { "labels": { "app.kubernetes.io/managed-by": "me" } } });
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();

    repaired(&world).await;

    let secret = world.secrets().get("a").await.unwrap();
    assert_eq!(secret.metadata.uid, uid, "repaired in place");
    assert_eq!(secret.metadata.labels.unwrap()["app.kubernetes.io/managed-by"], "secret-service");
    // The edge is mended a moment before that is recorded.
    let begun = tokio::time::Instant::now();
    loop {
        let request = ListAuditEventsRequest { resource: name("a"), ..Default::default() };
        let events = world.client.list_audit_events(request).await.unwrap().into_inner().audit_events;
        if events.iter().any(|event| event.action == "DriftRepaired" && event.actor == "sync") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{events:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn a_removed_label_is_restored() {
    needs!(the_direct_engine);
    let world = synced().await;
    let edit = json!({ "metadata": { "labels": null } });
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    let begun = tokio::time::Instant::now();
    while world.secrets().get("a").await.unwrap().metadata.labels.is_none_or(|labels| labels.len() < 2) {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_deleted_secret_is_recreated_even_if_it_was_deleted_during_downtime() {
    let mut world = synced().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    repaired(&world).await;

    world.until_state("a", State::Synced).await;
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    world.start_service().await;
    repaired(&world).await;
}

#[tokio::test]
async fn a_secret_replaced_by_another_client_is_a_conflict_and_never_overwritten() {
    let mut world = synced().await;
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    let theirs = Secret {
        metadata: ObjectMeta { name: Some("a".to_owned()), ..Default::default() },
        string_data: Some([("k".to_owned(), "theirs".to_owned())].into()),
        ..Default::default()
    };
    world.secrets().create(&PostParams::default(), &theirs).await.unwrap();
    world.start_service().await;

    let secret = world.until_state("a", State::Degraded).await;
    assert_eq!(synced_reason(&secret), "EdgeConflict");
    assert_eq!(world.edge("a").await.unwrap()["k"], "theirs");

    world.client.delete_synced_secret(delete("a")).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap()["k"], "theirs", "what isn't ours is not deleted");
}

#[tokio::test]
async fn a_refused_or_failed_write_sets_a_reason_and_is_retried() {
    needs!(the_double);
    let mut world =
        World::start_with(Options { interval: Duration::from_secs(1), ..Options::default() }).await;
    world.seed("v", "value").await;
    let cases = [
        (status(403, "Forbidden"), "EdgeForbidden"),
        (status(500, "InternalError"), "EdgeUnreachable"),
        (status(429, "TooManyRequests"), "EdgeUnreachable"),
        (status(422, "Invalid"), "EdgeRejected"),
        (Fault::Reset, "EdgeUnreachable"),
    ];
    for (number, (fault, reason)) in cases.into_iter().enumerate() {
        world.cluster().faults().add(on("patch", fault));
        let id = format!("x{number}");
        let secret = world.create(&id, vec![existing("k", "v")]).await;
        assert_eq!((secret.state(), synced_reason(&secret)), (State::Failed, reason));
        let condition = &secret.conditions[0];
        assert!(condition.message.len() > 40, "the condition says what to do: {}", condition.message);
        world.cluster().faults().clear();
        world.until_state(&id, State::Synced).await;
    }
}

#[tokio::test]
async fn a_missing_namespace_is_reported_and_syncing_resumes_when_it_exists() {
    needs!(the_double);
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.cluster().faults().add(on("patch", ClusterFault::NamespaceGone));
    let request = create("a", vec![existing("k", "v")]);
    let secret = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((secret.state(), synced_reason(&secret)), (State::Failed, "EdgeRejected"), "{secret:?}");
    let message = &secret.conditions[0].message;
    assert!(message.contains("Create the namespace") && message.contains(&world.namespace), "{message}");

    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["k"], "value");
}

#[tokio::test]
async fn a_write_with_a_lost_response_is_recognized_and_not_a_conflict() {
    needs!(the_double);
    let mut world =
        World::start_with(Options { edge_timeout: Duration::from_millis(700), ..Options::default() }).await;
    world.seed("v", "value").await;
    world.cluster().faults().add(on("patch", Fault::Hang).times(1).after());
    let request = CreateSyncedSecretRequest { wait: None, ..create("a", vec![existing("k", "v")]) };
    world.client.create_synced_secret(request).await.unwrap();
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["k"], "value");
}

#[tokio::test]
async fn a_deletion_waits_until_the_finalizer_of_the_secret_is_removed() {
    let mut world = synced_with(Options { interval: Duration::from_secs(1), ..Options::default() }).await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(hold)).await.unwrap();
    let mut request = delete("a");
    request.wait = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let held = world.client.delete_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(held.state(), State::Deleting);
    assert!(held.conditions[0].message.contains("finalizer"), "{}", held.conditions[0].message);

    let release = json!({ "metadata": { "finalizers": null } });
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(release)).await.unwrap();
    let begun = tokio::time::Instant::now();
    while world.client.get_synced_secret(get("a")).await.is_ok() {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_watch_that_expires_or_breaks_is_resumed_and_drift_is_still_noticed() {
    needs!(the_double);
    let world = synced().await;
    for fault in [ClusterFault::WatchExpired, ClusterFault::WatchDrop] {
        world.cluster().faults().add(on("watch", fault).times(1));
        tokio::time::sleep(Duration::from_millis(300)).await;
        world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
        repaired(&world).await;
    }
}

#[tokio::test]
async fn values_that_together_exceed_a_kubernetes_secret_are_refused_before_anything_is_written() {
    needs!(the_direct_engine);
    let mut world = World::start().await;
    let large = "x".repeat(25_000);
    let mut references = Vec::new();
    for number in 0..45 {
        world.seed(&format!("large-{number}"), &large).await;
        references.push(existing(&format!("k{number}"), &format!("large-{number}")));
    }
    let told = told(&world.client.create_synced_secret(create("a", references)).await.unwrap_err());
    assert_eq!(told.code, tonic::Code::InvalidArgument);
    assert_eq!(told.fields, ["synced_secret.references"]);
    assert!(world.client.get_synced_secret(get("a")).await.is_err());
}
