//! The Secret Store engine: the service writes a class and a SecretSync, the extension copies the values.

mod conditions;
mod drift;
mod ownership;
mod restarts;
mod syncing;

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Secret, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use key_vault_double::Operation;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use kubernetes_double::{Fault, FaultRule, OnResource, ResourceMatch};
use secret_service::{
    edge::secret_store::{SecretProviderClass, SecretSync},
    model::SyncEngine,
    proto::{
        CreateSyncedSecretRequest, GetVaultRequest, GetVaultSecretRequest, ListAuditEventsRequest,
        SecretReference, SyncEngine as Engine, SyncedSecret, synced_secret::State,
    },
};
use secret_store_extension_double::Extension;
use serde_json::json;
use tonic::Code;

use crate::support::{
    Options, PATIENCE, World, kubectl, requests::*, until as until_secret, until_so, until_so_within,
};

fn engine() -> Options {
    Options { engine: SyncEngine::SecretStore, ..Options::default() }
}

fn often() -> Options {
    Options { interval: Duration::from_millis(300), ..engine() }
}

async fn with_one(options: Options) -> World {
    let mut world = World::start_with(options).await;
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:?}");
    world
}

async fn uid(world: &World, id: &str) -> String {
    world.secrets().get(id).await.unwrap().metadata.uid.unwrap()
}

async fn until_edge(world: &World, id: &str, key: &str, value: &str) {
    let holds =
        async || world.edge(id).await.is_some_and(|edge| edge.get(key).is_some_and(|held| held == value));
    until_so(&format!("{id} holds it"), holds).await;
}

/// Longer than the garbage collector of a real cluster takes to learn of new custom resources: 30 seconds.
async fn until(world: &World, what: &str, is_so: impl AsyncFn(&World) -> bool) {
    until_so_within(3 * PATIENCE, what, async || is_so(world).await).await;
}

fn audit() -> ListAuditEventsRequest {
    ListAuditEventsRequest { resource: name("edp1"), page_size: 100, ..Default::default() }
}

/// `edp1` was asked for and has its SecretSync, and the extension is stopped.
async fn asked_for_without_extension(options: Options) -> World {
    let mut world = World::start_with(options).await;
    world.seed("pump-user", "operator").await;
    world.stop_extension().await;
    ask_for(&mut world, "edp1").await;
    until(&world, "there is a SecretSync", async |world: &World| {
        world.syncs().get_opt("edp1").await.unwrap().is_some()
    })
    .await;
    world
}

/// Asks for it, and does not wait for the edge.
async fn ask_for(world: &mut World, id: &str) {
    let request = create(id, vec![existing("username", "pump-user")]);
    let request = CreateSyncedSecretRequest { wait: None, ..request };
    world.client.create_synced_secret(request).await.unwrap();
}
