//! The watch over SecretSyncs is behind what we wrote ourselves: what it still shows is neither believed nor repaired. And a deletion that
//! a finalizer holds is not done.

use std::time::Duration;

use kube::api::{ObjectMeta, Patch, PatchParams};
use kubernetes_double::{ClusterFault, FaultRule, OnResource};
use secret_service::{
    edge::FIELD_MANAGER,
    model::SyncEngine,
    proto::{
        CreateSyncedSecretRequest, DeleteSyncedSecretRequest, SyncSyncedSecretRequest, synced_secret::State,
    },
};
use secret_store_extension_double::Extension;
use serde_json::json;

use crate::support::{Options, World, kubectl, requests::*, until_so};

async fn with_one(options: Options) -> World {
    let options = Options { engine: SyncEngine::SecretStore, ..options };
    World::start_with(options).await.with_synced(&["a"], "one").await
}

#[tokio::test]
async fn a_secretsync_not_yet_in_the_watch_does_not_count_as_removed() {
    needs!(the_double);
    let mut world = with_one(Options::default()).await;
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secretsyncs"));
    let writes = |world: &World| world.cluster().requests().of("patch", "secretsyncs");
    let before = writes(&world);
    let request = CreateSyncedSecretRequest { wait: None, ..create("b", vec![existing("k", "v")]) };
    world.client.clone().create_synced_secret(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(writes(&world) - before, 1, "it is written once");
    let told = world.client.clone().get_synced_secret(get("b")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Pending, "Pending"), "{told:?}");
    assert!(!world.actions("b").await.contains(&"DriftRepaired".to_owned()));

    world.cluster().faults().clear();
    world.until_state("b", State::Synced).await;
    assert_eq!(writes(&world) - before, 1, "it is written once");
}

#[tokio::test]
async fn a_secretsync_deleted_while_the_watch_lags_is_recreated() {
    needs!(the_double);
    let mut world = with_one(Options::default()).await;
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secretsyncs"));
    let request = CreateSyncedSecretRequest { wait: None, ..create("b", vec![existing("k", "v")]) };
    world.client.create_synced_secret(request).await.unwrap();
    until_so("it is written", async || world.syncs().get_opt("b").await.unwrap().is_some()).await;
    world.syncs().delete("b", &Default::default()).await.unwrap();
    world.cluster().faults().clear();
    world.until_state("b", State::Synced).await;
    assert_eq!(world.edge("b").await.unwrap()["k"], "one");
}

#[tokio::test]
async fn a_status_older_than_the_trigger_does_not_complete_the_sync() {
    needs!(the_double);
    let mut world = with_one(Options { patience: Duration::from_secs(60), ..Options::default() }).await;
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secretsyncs"));
    let hash = async || world.syncs().get("a").await.unwrap().status.unwrap().sync_hash;
    let before = hash().await;
    // What the extension does now, the watch does not tell.
    world.somebody.sets("v", "two").await;
    world.extension.as_ref().unwrap().poll().await;
    assert_ne!(hash().await, before);
    world.stop_extension().await;
    world.somebody.sets("v", "three").await;
    let wait = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let request = SyncSyncedSecretRequest { wait, ..sync("a") };
    let told = world.client.sync_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Pending, "the edge holds {:?}: {told:?}", world.edge("a").await);

    world.cluster().faults().clear();
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["k"], "three");
}

// === finalizers ===

async fn holds(world: &World, id: &str, finalizers: Option<&str>) {
    let patch = json!({ "metadata": { "finalizers": finalizers.map(|finalizer| vec![finalizer]) } });
    world.syncs().patch(id, &kubectl(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test]
async fn a_deletion_completes_only_after_the_finalizers_of_the_secretsync_are_removed() {
    let mut world = with_one(Options::default()).await;
    holds(&world, "a", Some("example.com/hold")).await;
    let request = DeleteSyncedSecretRequest { wait: None, force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    until_so("it is being deleted", async || {
        world.syncs().get("a").await.unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let told = world.get("a").await;
    assert_eq!(told.state(), State::Deleting, "{told:?}");
    let message = &told.conditions[0].message;
    assert!(message.contains("SecretSync") && message.contains("finalizer"), "{told:?}");

    holds(&world, "a", None).await;
    world.until_gone("a").await;
    assert!(world.syncs().get_opt("a").await.unwrap().is_none());
    until_so("nothing is left", async || {
        world.edge("a").await.is_none() && world.classes().get_opt("a").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn an_orphan_with_a_finalizer_is_not_reported_as_removed_while_it_exists() {
    let options = Options { interval: Duration::from_millis(300), ..Options::default() };
    let mut world = with_one(options).await;
    let mut sync = world.syncs().get("a").await.unwrap();
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    let (name, labels) = (sync.metadata.name.take(), sync.metadata.labels.take());
    let finalizers = Some(vec!["example.com/hold".to_owned()]);
    sync.metadata = ObjectMeta { name, labels, finalizers, ..ObjectMeta::default() };
    sync.status = None;
    // A class beside it would be an orphan of its own.
    let late = PatchParams::apply(FIELD_MANAGER);
    world.syncs().patch("a", &late, &Patch::Apply(&sync)).await.unwrap();
    until_so("it is being deleted", async || {
        world.syncs().get("a").await.unwrap().metadata.deletion_timestamp.is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!world.actions("a").await.contains(&"OrphanRemoved".to_owned()), "it is still there");

    holds(&world, "a", None).await;
    until_so("nothing is left", async || {
        world.edge("a").await.is_none()
            && world.classes().get_opt("a").await.unwrap().is_none()
            && world.syncs().get_opt("a").await.unwrap().is_none()
    })
    .await;
}
