//! From one engine to the other at a bad moment: what is left over goes, nothing gets lost, and there is one writer at the end.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use key_vault_double::{OnOperation, Operation, VaultFault};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams},
};
use kubernetes_double::{Fault, FaultRule, OnResource, ResourceMatch};
use secret_service::{
    edge::{
        FIELD_MANAGER,
        secret_store::{SecretProviderClass, SecretSync},
    },
    model::SyncEngine,
    proto::{
        CreateSyncedSecretRequest, DeleteSyncedSecretRequest, SyncedSecret, UpdateSyncedSecretRequest,
        synced_secret::State,
    },
};
use secret_store_extension_double::{self as extension, Extension};
use serde_json::json;

use crate::support::{Options, PATIENCE, World, kubectl, requests::*, until_so, until_so_within};

const LABEL: &str = "line";

fn options(engine: SyncEngine) -> Options {
    Options { engine, ..Options::default() }
}

/// From the next start on, nobody waits for the extension for long.
fn has_little_patience(world: &mut World) {
    world.options.patience = Duration::from_secs(2);
}

fn fails() -> FaultRule<ResourceMatch> {
    FaultRule::new(Fault::status(503, "ServiceUnavailable"))
}

/// A synced secret `a` with the keys `kept` and `dropped` and a label.
async fn with_two_keys(options: Options) -> World {
    let mut world = World::start_with(options).await;
    world.seed("v", "value").await;
    let mut request = create("a", vec![existing("kept", "v"), existing("dropped", "v")]);
    request.synced_secret.as_mut().unwrap().labels.insert(LABEL.to_owned(), "1".to_owned());
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:?}");
    world
}

/// Drops a key and the label, and does not wait for the edge.
async fn drops_one(world: &mut World) {
    let wanted =
        SyncedSecret { name: name("a"), references: vec![existing("kept", "v")], ..SyncedSecret::default() };
    let request = UpdateSyncedSecretRequest { wait: None, ..update(wanted, &["references", "labels"]) };
    world.client.update_synced_secret(request).await.unwrap();
}

/// Waits until what was asked for last is told as synced; the keys and whether there is the label then.
async fn synced_with(world: &mut World) -> (Vec<String>, bool) {
    world.until("a", |told| told.state() == State::Synced && told.synced_generation == 2).await;
    let secret = world.secrets().get("a").await.unwrap();
    let has_label = secret.labels().contains_key(LABEL);
    (secret.data.unwrap_or_default().into_keys().collect(), has_label)
}

#[tokio::test]
async fn a_key_dropped_by_an_unsynced_update_is_removed_when_the_extension_takes_over() {
    let mut world = with_two_keys(options(SyncEngine::Direct)).await;
    let team = json!({ "metadata": { "labels": { "example.com/team": "pumps" } } });
    world.secrets().patch("a", &kubectl(), &Patch::Merge(team)).await.unwrap();
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet));
    drops_one(&mut world).await;
    world.until_state("a", State::Degraded).await;
    world.switch_engine(SyncEngine::SecretStore).await;
    until_so("it is handed over", async || world.syncs().get_opt("a").await.unwrap().is_some()).await;
    world.vault.faults().clear();

    assert_eq!(synced_with(&mut world).await, (vec!["kept".to_owned()], false));
    let labels = world.secrets().get("a").await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels.get("example.com/team").map(String::as_str), Some("pumps"), "a label of others stays");
}

#[tokio::test]
async fn a_key_dropped_by_an_unsynced_update_is_removed_when_the_service_takes_over() {
    let mut world = with_two_keys(options(SyncEngine::SecretStore)).await;
    world.stop_extension().await;
    drops_one(&mut world).await;
    has_little_patience(&mut world);
    world.switch_engine(SyncEngine::Direct).await;
    assert_eq!(synced_with(&mut world).await, (vec!["kept".to_owned()], false));
}

#[tokio::test]
async fn a_key_returned_to_the_extension_and_then_dropped_is_removed() {
    let mut world = with_two_keys(options(SyncEngine::SecretStore)).await;
    world.stop_extension().await;
    let edit = json!({ "stringData": { "dropped": "edited" } });
    world.secrets().patch("a", &kubectl(), &Patch::Merge(edit)).await.unwrap();
    // It is taken out of the editor's hands, and the extension would write it now.
    until_so("the key is no longer the editor's", async || {
        let managers = world.secrets().get("a").await.unwrap().metadata.managed_fields.unwrap_or_default();
        managers.iter().all(|entry| entry.manager.as_deref() != Some("kubectl-patch"))
    })
    .await;
    assert_eq!(world.edge("a").await.unwrap()["dropped"], "edited");
    drops_one(&mut world).await;
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    assert_eq!(synced_with(&mut world).await, (vec!["kept".to_owned()], false));
}

/// `a` was asked for, and the extension has made its Secret while nobody looked; the service is stopped.
async fn with_one_unobserved_secret() -> (World, Extension) {
    let mut world = World::start_with(options(SyncEngine::SecretStore)).await;
    world.seed("v", "value").await;
    world.stop_extension().await;
    let request = CreateSyncedSecretRequest { wait: None, ..create("a", vec![existing("k", "v")]) };
    world.client.create_synced_secret(request).await.unwrap();
    until_so("there is a SecretSync", async || world.syncs().get_opt("a").await.unwrap().is_some()).await;
    world.stop_service().await;
    let extension = Extension::start(world.extension_options()).await.unwrap();
    until_so("the extension has made it", async || {
        let sync = world.syncs().get("a").await.unwrap();
        sync.status.is_some_and(|status| !status.sync_hash.is_empty())
    })
    .await;
    (world, extension)
}

#[tokio::test]
async fn an_unobserved_secret_stays_ours_if_its_hand_over_is_interrupted() {
    needs!(the_double);
    let (mut world, _extension) = with_one_unobserved_secret().await;
    let uid = world.secrets().get("a").await.unwrap().uid();
    has_little_patience(&mut world);
    // The SecretSync goes, and the class can't be looked at.
    world.cluster().faults().add(fails().verb("get").resource("secretproviderclasses"));
    world.start_service_with(SyncEngine::Direct).await;
    until_so("the SecretSync is gone", async || world.syncs().get_opt("a").await.unwrap().is_none()).await;
    world.until_state("a", State::Failed).await;
    world.cluster().faults().clear();

    world.until_state("a", State::Synced).await;
    let secret = world.secrets().get("a").await.unwrap();
    assert_eq!(secret.uid(), uid);
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    assert!(world.edge("a").await.is_none(), "its value is left behind");
}

#[tokio::test]
async fn an_interrupted_deletion_of_an_unobserved_secret_resumes() {
    needs!(the_double);
    let (mut world, _extension) = with_one_unobserved_secret().await;
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    world.secrets().patch("a", &kubectl(), &Patch::Merge(hold)).await.unwrap();
    world.cluster().faults().add(fails().verb("get").resource("secrets"));
    world.start_service().await;
    let request = DeleteSyncedSecretRequest { wait: None, force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.cluster().faults().clear();
    // Tried again and again: what is held stays what it was, and the synced secret with it.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(world.get("a").await.state(), State::Deleting);
    assert_eq!(world.edge("a").await.unwrap()["k"], "value");

    let free = json!({ "metadata": { "finalizers": null } });
    world.secrets().patch("a", &kubectl(), &Patch::Merge(free)).await.unwrap();
    world.until_gone("a").await;
    until_so("nothing is left", async || world.edge("a").await.is_none()).await;
}

// === the extension's kinds are gone ===

/// Takes the extension and its kinds out of the cluster, with all of them that there are.
async fn uninstalls(world: &mut World) {
    world.stop_extension().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.kube.clone());
    for name in ["secretsyncs.secret-sync.x-k8s.io", "secretproviderclasses.secrets-store.csi.x-k8s.io"] {
        definitions.delete(name, &DeleteParams::default()).await.unwrap();
        until_so("the kind is gone", async || definitions.get_opt(name).await.unwrap().is_none()).await;
    }
}

async fn with_one(options: Options) -> World {
    World::start_with(options).await.with_synced(&["a"], "value").await
}

/// Puts a pair back as it was.
async fn puts_back(world: &World, mut class: SecretProviderClass, mut sync: SecretSync) {
    for metadata in [&mut class.metadata, &mut sync.metadata] {
        let (name, labels) = (metadata.name.take(), metadata.labels.take());
        *metadata = ObjectMeta { name, labels, ..ObjectMeta::default() };
    }
    sync.status = None;
    extension::install(&world.kube).await.unwrap();
    let late = PatchParams::apply(FIELD_MANAGER);
    world.classes().patch("a", &late, &Patch::Apply(&class)).await.unwrap();
    world.syncs().patch("a", &late, &Patch::Apply(&sync)).await.unwrap();
}

#[tokio::test]
async fn a_secret_of_the_extension_is_taken_over_once_its_kinds_are_uninstalled() {
    needs!(the_double);
    let mut world = with_one(options(SyncEngine::SecretStore)).await;
    let (class, sync) = (world.classes().get("a").await.unwrap(), world.syncs().get("a").await.unwrap());
    world.stop_service().await;
    has_little_patience(&mut world);
    uninstalls(&mut world).await;
    world.somebody.sets("v", "new").await;
    world.start_service_with(SyncEngine::Direct).await;
    until_so("the service writes it itself", async || world.edge("a").await.unwrap()["k"] == "new").await;
    world.until_state("a", State::Synced).await;

    // Should they come back with what they had, there is one writer all the same. That they are served is not asked often by then.
    puts_back(&world, class, sync).await;
    until_so_within(3 * PATIENCE, "the pair is removed again", async || {
        world.syncs().get_opt("a").await.unwrap().is_none()
            && world.classes().get_opt("a").await.unwrap().is_none()
    })
    .await;
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["k"], "new");
}

#[tokio::test]
async fn a_secret_of_the_extension_can_be_deleted_once_its_kinds_are_uninstalled() {
    needs!(the_double);
    let mut world = with_one(options(SyncEngine::SecretStore)).await;
    let (class, sync) = (world.classes().get("a").await.unwrap(), world.syncs().get("a").await.unwrap());
    has_little_patience(&mut world);
    world.restart().await;
    uninstalls(&mut world).await;
    let told = world.client.delete_synced_secret(delete("a")).await;
    told.unwrap();
    assert!(world.edge("a").await.is_none(), "its value is left behind");

    world.stop_service().await;
    puts_back(&world, class, sync).await;
    world.start_service().await;
    until_so("the pair is removed again", async || {
        world.syncs().get_opt("a").await.unwrap().is_none()
            && world.classes().get_opt("a").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn the_service_waits_for_kinds_that_are_briefly_not_served() {
    needs!(the_double);
    let mut world = with_one(options(SyncEngine::SecretStore)).await;
    uninstalls(&mut world).await;
    let request = DeleteSyncedSecretRequest { wait: None, force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.get("a").await.state(), State::Deleting);
    extension::install(&world.kube).await.unwrap();
    world.until_gone("a").await;
    until_so("nothing is left", async || world.edge("a").await.is_none()).await;
}
