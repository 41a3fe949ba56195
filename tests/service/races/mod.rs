//! Races with others at the edge and in the vault, a cluster that fails between two writes, and calls at the wrong moment: nothing of
//! somebody else's is touched, nothing that was deleted comes back, and no state is told that nobody has seen.

mod contested;
mod deletions;
mod freshness;
mod ownership;
mod retries;

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use key_vault_double::{OnOperation, Operation, VaultFault};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource, ResourceMatch};
use secret_service::{
    edge::{
        FIELD_MANAGER, UID_LABEL,
        secret_store::{SecretProviderClass, SecretSync},
    },
    model::SyncEngine,
    proto::{
        AdoptSyncedSecretRequest, CreateSyncedSecretRequest, DeleteSyncedSecretRequest,
        GetVaultSecretRequest, SyncedSecret, UpdateSyncedSecretRequest, synced_secret::State,
    },
};
use secret_store_extension_double::{self as extension, Extension};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio::{task::JoinHandle, time::sleep};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Options, PATIENCE, World, needs, requests::*, until_so};

/// The kinds that the Secret Store extension brings.
pub(super) const PAIR: [&str; 2] = ["secretsyncs", "secretproviderclasses"];

pub(super) fn direct() -> Options {
    Options { engine: SyncEngine::Direct, ..Options::default() }
}

pub(super) fn secret_store() -> Options {
    Options { engine: SyncEngine::SecretStore, ..Options::default() }
}

/// A world on the double, where the tests run in the engine that the race is about: each race runs once.
pub(super) async fn world(options: Options) -> Option<World> {
    let is_its_engine = match options.engine {
        SyncEngine::Direct => needs::the_direct_engine(),
        SyncEngine::SecretStore => needs::the_secret_store_engine(),
    };
    match is_its_engine && needs::the_double() {
        true => Some(World::start_with(options).await),
        false => None,
    }
}

/// The same with a synced secret `a`, whose key `k` is `value`, from the vault secret `v`.
pub(super) async fn world_with_one(options: Options) -> Option<World> {
    Some(world(options).await?.with_synced(&["a"], "value").await)
}

pub(super) fn of_v(id: &str) -> CreateSyncedSecretRequest {
    create(id, vec![existing("k", "v")])
}

/// What must not happen may happen late: it is watched for a while.
pub(super) async fn stays(seconds: u64, what: &str, is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        assert!(is_so().await, "no longer so after {:?}: {what}", begun.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the vault is asked so often from now on.
pub(super) async fn until_asked(world: &World, operation: Operation, times: u64) {
    let wanted = world.vault.requests().of(operation) + times;
    let what = format!("the vault was asked for {operation:?}");
    until_so(&what, async || world.vault.requests().of(operation) >= wanted).await;
}

async fn until_edge_is_empty(world: &World, id: &str) {
    until_so("the SecretSync is gone", async || world.syncs().get_opt(id).await.unwrap().is_none()).await;
    until_so("the class is gone", async || world.classes().get_opt(id).await.unwrap().is_none()).await;
    until_so("the Secret is gone", async || world.edge(id).await.is_none()).await;
}

/// An update that is under way while the vault takes two seconds to store `fresh`, and its request for another time.
pub(super) fn slow_update(world: &World) -> (JoinHandle<Answer<SyncedSecret>>, UpdateSyncedSecretRequest) {
    slow(world, Operation::SecretSet, "fresh", Duration::from_secs(2));
    let asked = UpdateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..with_references("a", vec![existing("k", "v"), created("new", "fresh", "x")])
    };
    let (mut first, again) = (world.client.clone(), asked.clone());
    let call = tokio::spawn(async move { first.update_synced_secret(asked).await });
    (call, again)
}

/// Whether a key at the edge has this value.
pub(super) async fn holds(world: &World, id: &str, key: &str, value: &str) -> bool {
    world.edge(id).await.is_some_and(|edge| edge.get(key).is_some_and(|held| held == value))
}

/// The vault is slow with one secret, once.
pub(super) fn slow(world: &World, operation: Operation, vault_secret: &str, duration: Duration) {
    world
        .vault
        .faults()
        .add(FaultRule::new(Fault::latency(duration)).on(operation).named(vault_secret).times(1));
}

pub(super) fn status(code: u16, reason: &str) -> FaultRule<ResourceMatch> {
    FaultRule::new(Fault::status(code, reason))
}

/// The API server answers nobody, and its watches tell nothing.
pub(super) fn takes_down(world: &World) {
    world
        .cluster()
        .faults()
        .replace(vec![FaultRule::new(ClusterFault::WatchSilent), status(503, "ServiceUnavailable")]);
}

/// The API server does not serve the extension's kinds for these verbs.
fn serves_no_pairs(world: &World, verbs: &[&str]) {
    for kind in PAIR {
        for verb in verbs {
            world.cluster().faults().add(status(404, "NotFound").resource(kind).verb(verb));
        }
    }
}

pub(super) fn kubectl() -> PostParams {
    PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() }
}

fn named(id: &str) -> ObjectMeta {
    ObjectMeta { name: Some(id.to_owned()), ..ObjectMeta::default() }
}

pub(super) async fn makes_a_secret(world: &World, id: &str, key: &str, value: &str) {
    let data = [(key.to_owned(), value.to_owned())].into();
    let secret = Secret { metadata: named(id), string_data: Some(data), ..Secret::default() };
    world.secrets().create(&kubectl(), &secret).await.unwrap();
}

/// A SecretSync and a class as somebody else makes them who wants the same as ours of that name, the class under a name of its own.
pub(super) async fn a_strangers_like(
    world: &World,
    ours: &str,
    id: &str,
) -> (SecretProviderClass, SecretSync) {
    let mut class = world.classes().get(ours).await.unwrap();
    let mut sync = world.syncs().get(ours).await.unwrap();
    (class.metadata, sync.metadata, sync.status) = (named("of-a-stranger"), named(id), None);
    sync.spec.secret_provider_class_name = "of-a-stranger".to_owned();
    sync.spec.secret_object.labels.clear();
    (class, sync)
}

/// Another controller, which puts its own back whenever it is gone.
fn argocd_wants<K>(api: Api<K>, is_there: impl Fn(&K) -> bool + Send + 'static, own: Value) -> JoinHandle<()>
where
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let manager = PatchParams { field_manager: Some("argocd".to_owned()), ..PatchParams::default() };
    tokio::spawn(async move {
        loop {
            if api.get_opt("a").await.unwrap().is_some_and(|found| !is_there(&found)) {
                // It may be gone by now: then there is nothing to put back.
                let _ = api.patch("a", &manager, &Patch::Merge(&own)).await;
            }
            sleep(Duration::from_millis(5)).await;
        }
    })
}

/// A fight is told, and from then on neither what is written in it nor what the audit says of it grows as it goes on.
async fn is_reported_and_backs_off(world: &mut World) -> SyncedSecret {
    let told = world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    assert_eq!(told.state(), State::Degraded, "{told:?}");
    let writes = || world.cluster().requests().of("patch", "secretsyncs");
    let before = writes();
    sleep(Duration::from_secs(5)).await;
    let written = writes() - before;
    assert!(written <= 3, "{written} writes of the SecretSync in 5 s");
    let actions = world.actions("a").await;
    let repairs = actions.iter().filter(|action| *action == "DriftRepaired").count();
    assert!(repairs <= 4, "{repairs} repairs in the audit: {actions:?}");
    told
}
