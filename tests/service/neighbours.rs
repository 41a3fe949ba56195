//! The neighbour who acts between two of our lines: a rival at the edge, an owner in the vault, a caller beside a caller.

use std::time::Duration;

use key_vault_double::{OnOperation, Operation};
use kube::api::{Patch, PatchParams};
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    edge::UID_LABEL,
    model::SyncEngine,
    proto::{
        CreateSyncedSecretRequest, DeleteSyncedSecretRequest, SyncSyncedSecretRequest,
        UpdateSyncedSecretRequest, synced_secret::State,
    },
};
use serde_json::json;
use tonic::Code;
use uuid::Uuid;

use super::races::{
    PAIR, a_strangers_like, direct, holds, kubectl, makes_a_secret, of_v, secret_store, slow, slow_update,
    status, stays, takes_down, until_asked, world, world_with_one,
};
use crate::support::{Options, World, requests::*, until_so};

fn argocd() -> PatchParams {
    PatchParams { field_manager: Some("argocd".to_owned()), ..PatchParams::default() }
}

async fn edge_writes(world: &World) -> u64 {
    world.cluster().requests().of("patch", "secrets")
}

// === at the edge ===

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_during_the_removal_of_a_foreign_key_does_not_empty_our_secret() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    // The write that puts ours back is let through; the one that takes theirs out meets a change.
    let faults = [
        FaultRule::new(Fault::latency(Duration::from_millis(1)))
            .named("a")
            .verb("patch")
            .resource("secrets")
            .times(2),
        status(409, "Conflict").named("a").verb("patch").resource("secrets").times(1),
    ];
    faults.into_iter().for_each(|fault| _ = world.cluster().faults().add(fault));
    // From here on a read of the vault takes a while: what is lost now stays lost long enough to be seen.
    let theirs = json!({ "data": { "theirs": "dGhlaXJz" } });
    world.secrets().patch("a", &argocd(), &Patch::Merge(&theirs)).await.unwrap();
    let slowly = FaultRule::new(Fault::latency(Duration::from_secs(1)));
    world.vault.faults().add(slowly.on(Operation::SecretGet).named("v"));

    stays(3, "ours holds its key", async || holds(&world, "a", "k", "value").await).await;
    until_so("theirs is taken out", async || !holds(&world, "a", "theirs", "theirs").await).await;
    world.until("a", |secret| secret.state() == State::Synced).await;
    assert!(holds(&world, "a", "k", "value").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_write_merged_into_a_foreign_secret_does_not_make_it_ours_at_a_hand_over() {
    let Some(mut world) = world(direct()).await else { return };
    world.seed("v", "value").await;
    let first = || {
        FaultRule::new(Fault::latency(Duration::from_millis(1_000)))
            .named("a")
            .verb("patch")
            .resource("secrets")
    };
    world.cluster().faults().add(first().times(1));
    // Its answer never comes.
    let mut lost = first().after();
    lost.fault = Fault::Hang.into();
    world.cluster().faults().add(lost);
    let before = edge_writes(&world).await;
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.create_synced_secret(asked).await.unwrap();
    until_so("our first write is under way", async || edge_writes(&world).await > before).await;
    makes_a_secret(&world, "a", "theirs", "theirs").await;
    until_so("it was merged", async || holds(&world, "a", "k", "value").await).await;
    // Nothing more is done about it before the service stops.
    takes_down(&world);
    world.stop_service().await;
    world.cluster().faults().clear();
    let label = async || world.secrets().get("a").await.unwrap().metadata.labels;
    assert!(
        label().await.is_some_and(|labels| labels.contains_key(UID_LABEL)),
        "merged, and not yet taken out"
    );

    world.start_service_with(SyncEngine::SecretStore).await;
    world.until("a", |secret| secret.conditions[0].reason == "EdgeConflict").await;
    stays(1, "theirs has its key", async || holds(&world, "a", "theirs", "theirs").await).await;
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    world.until_gone("a").await;
    stays(1, "theirs has its key", async || holds(&world, "a", "theirs", "theirs").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secretsync_with_our_label_is_not_deleted() {
    let Some(mut world) = world(secret_store()).await else { return };
    world.seed("w", "theirs").await;
    world.create("model", vec![existing("theirs", "w")]).await;
    let (class, stranger) = a_strangers_like(&world, "model", "a").await;
    world.classes().create(&kubectl(), &class).await.unwrap();
    world.syncs().create(&kubectl(), &stranger).await.unwrap();
    until_so("the extension made theirs", async || holds(&world, "a", "theirs", "theirs").await).await;
    let told = world.until("a", |secret| !secret.uid.is_empty()).await;

    // As after the restore of a backup that is older than its adoption.
    let label = json!({ "metadata": { "labels": { UID_LABEL: told.uid } } });
    world.syncs().patch("a", &argocd(), &Patch::Merge(&label)).await.unwrap();
    world.until_gone("a").await;
    let note = json!({ "metadata": { "annotations": { "a": "b" } } });
    world.syncs().patch("a", &argocd(), &Patch::Merge(&note)).await.unwrap();
    stays(5, "theirs is there", async || {
        world.syncs().get_opt("a").await.unwrap().is_some() && holds(&world, "a", "theirs", "theirs").await
    })
    .await;
    assert!(!world.actions("a").await.iter().any(|action| action == "OrphanRemoved"));
    assert!(world.cluster().requests().of("delete", PAIR[0]) == 0);
}

// === in the vault ===

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_value_stored_after_a_race_stays_the_latest() {
    let Some(world) = world(direct()).await else { return };
    // Somebody is first, ours is the second version, and while we find out, they store a third one.
    slow(&world, Operation::SecretSet, "fresh", Duration::from_millis(1_500));
    let mut client = world.client.clone();
    let asked = create("a", vec![created("k", "fresh", "ours")]);
    let call = tokio::spawn(async move { client.create_synced_secret(asked).await });
    until_asked(&world, Operation::SecretSet, 1).await;
    slow(&world, Operation::SecretListVersions, "fresh", Duration::from_millis(2_500));
    world.somebody.sets("fresh", "first").await;
    until_asked(&world, Operation::SecretListVersions, 1).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    world.somebody.sets("fresh", "third").await;

    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "VAULT_SECRET_EXISTS", "{refusal:?}");
    assert_eq!(world.somebody.reads("fresh").await, "third", "the owner's latest value is the latest");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_one_second_are_synced_once_and_not_again_at_each_check() {
    let options = Options { interval: Duration::from_millis(500), ..secret_store() };
    let Some(mut world) = world(options).await else { return };
    // From the beginning of a second, both are of that one; then the later one is touched, and its `updated` is another.
    let now = jiff::Timestamp::now().subsec_nanosecond();
    tokio::time::sleep(Duration::from_nanos(1_000_000_000 - u64::try_from(now).unwrap())).await;
    world.somebody.sets("v", "first").await;
    world.somebody.sets("v", "second").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.somebody.enables("v", true).await;
    for id in ["a", "b"] {
        world.client.create_synced_secret(of_v(id)).await.unwrap();
    }
    // While another version might still come in the same second, nothing is settled.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let writes = || world.cluster().requests().of("patch", PAIR[0]);
    let before = writes();
    until_asked(&world, Operation::SecretList, 8).await;
    assert_eq!(writes() - before, 0, "the extension is told again and again");
    for id in ["a", "b"] {
        assert_eq!(world.edge(id).await.unwrap()["k"], "second");
    }
    // In the two seconds that are open, each of the four checks may hand the other version; after them none does.
    let rotated = world.actions("a").await.iter().filter(|action| *action == "Rotated").count();
    assert!(rotated <= 5, "{rotated} rotations of what nobody rotated");
}

// === a caller beside a caller ===

/// While a call stores `fresh`, somebody else takes that name in the vault, so that the call is refused, and `a` is deleted.
async fn taken_and_deleted_meanwhile(world: &mut World) {
    until_asked(world, Operation::SecretSet, 1).await;
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    world.until_gone("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_create_refused_during_a_deletion_does_not_return_ok() {
    let Some(mut world) = world(direct()).await else { return };
    slow(&world, Operation::SecretSet, "fresh", Duration::from_secs(2));
    let asked = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![created("k", "fresh", "x")])
    };
    let (mut first, again) = (world.client.clone(), asked.clone());
    let call = tokio::spawn(async move { first.create_synced_secret(asked).await });
    taken_and_deleted_meanwhile(&mut world).await;
    let refusal = call.await.unwrap().unwrap_err();

    let again = world.client.create_synced_secret(again).await;
    let again = again.expect_err("one request id, two answers");
    assert_eq!(told(&again).reason, told(&refusal).reason);
    let gone = world.client.get_synced_secret(get("a")).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_an_update_refused_during_a_deletion_does_not_return_ok() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    let (call, again) = slow_update(&world);
    taken_and_deleted_meanwhile(&mut world).await;
    call.await.unwrap().unwrap_err();

    let again = world.client.update_synced_secret(again).await;
    again.expect_err("one request id, two answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_began_before_sync_now_does_not_complete_it() {
    let Some(world) = world_with_one(direct()).await else { return };
    slow(&world, Operation::SecretGet, "v", Duration::from_secs(1));
    let asked = |seconds| SyncSyncedSecretRequest {
        wait: Some(prost_types::Duration { seconds, nanos: 0 }),
        ..sync("a")
    };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let call = tokio::spawn(async move { first.sync_synced_secret(asked(3)).await });
    until_asked(&world, Operation::SecretGet, 1).await;
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretGet).named("v"));
    for told in [second.sync_synced_secret(asked(2)).await, call.await.unwrap()] {
        let told = told.unwrap().into_inner();
        assert_eq!(told.state(), State::Pending, "nobody has looked since: {told:?}");
    }
    world.vault.faults().clear();
    let mut world = world;
    world.until("a", |secret| secret.state() == State::Synced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_list_is_reported_and_syncing_continues_when_it_is_allowed() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    world.stop_extension().await;
    let asked = UpdateSyncedSecretRequest { wait: None, ..with_description("a", "waits") };
    world.client.update_synced_secret(asked).await.unwrap();
    world.until("a", |secret| secret.state() == State::Pending).await;
    world.stop_service().await;
    for verb in ["list", "watch"] {
        world.cluster().faults().add(status(403, "Forbidden").verb(verb).resource(PAIR[1]));
    }
    world.start_service().await;
    let told = world.until("a", |secret| secret.conditions[0].reason == "EdgeForbidden").await;
    assert!(told.conditions[0].message.contains("deploy/manifests"), "{told:?}");
    world.cluster().faults().clear();
    world.until("a", |secret| secret.conditions[0].reason != "EdgeForbidden").await;
}
