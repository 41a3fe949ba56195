//! Races with others at the edge and in the vault, a cluster that fails between two writes, and calls at the wrong moment: nothing of
//! somebody else's is touched, nothing that was deleted comes back, and no state is told that nobody has seen.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use key_vault_double::{Action, Operation, Rule};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use kubernetes_double::{Fault, FaultRule};
use secret_service::{
    edge::{
        FIELD_MANAGER, UID_LABEL,
        secret_store::{SecretProviderClass, SecretSync},
    },
    model::SyncEngine,
    proto::{
        AdoptSyncedSecretRequest, CreateSyncedSecretRequest, DeleteSyncedSecretRequest,
        GetVaultSecretRequest, ListAuditEventsRequest, SecretReference, SyncedSecret,
        UpdateSyncedSecretRequest, synced_secret::State,
    },
};
use secret_store_extension_double::{self as extension, Extension};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use tokio::{task::JoinHandle, time::sleep};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Options, PATIENCE, World, engine, needs_the_double, requests::*, script::say, until_so,
};

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
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a race");
    if engine() != options.engine {
        say(&format!("{test}: SKIPPED, it is about the other engine"));
        return None;
    }
    if !needs_the_double(test) {
        return None;
    }
    Some(World::start_with(options).await)
}

/// The same with a synced secret `a`, whose key `k` is `value`, from the vault secret `v`.
pub(super) async fn world_with_one(options: Options) -> Option<World> {
    let mut world = world(options).await?;
    world.seed("v", "value").await;
    let made = world.client.create_synced_secret(of_v("a")).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:?}");
    Some(world)
}

pub(super) fn of_v(id: &str) -> CreateSyncedSecretRequest {
    create(id, vec![existing("k", "v")])
}

pub(super) fn with_references(id: &str, references: Vec<SecretReference>) -> UpdateSyncedSecretRequest {
    let wanted = SyncedSecret { name: name(id), references, ..SyncedSecret::default() };
    update(wanted, &["references"])
}

pub(super) fn with_description(id: &str, description: &str) -> UpdateSyncedSecretRequest {
    let wanted =
        SyncedSecret { name: name(id), description: description.to_owned(), ..SyncedSecret::default() };
    UpdateSyncedSecretRequest { wait: None, ..update(wanted, &["description"]) }
}

pub(super) async fn actions(world: &World, id: &str) -> Vec<String> {
    let request = ListAuditEventsRequest { resource: name(id), page_size: 500, ..Default::default() };
    let events = world.client.clone().list_audit_events(request).await.unwrap().into_inner().audit_events;
    events.into_iter().map(|event| event.action).collect()
}

// === waiting ===

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

/// Whether a key at the edge has this value.
pub(super) async fn holds(world: &World, id: &str, key: &str, value: &str) -> bool {
    world.edge(id).await.is_some_and(|edge| edge.get(key).is_some_and(|held| held == value))
}

// === faults ===

/// The vault is slow with one secret, once.
pub(super) fn slow(world: &World, operation: Operation, vault_secret: &str, duration: Duration) {
    world
        .vault
        .faults()
        .add(Rule::new(Action::Delay { duration }).on(operation).named(vault_secret).times(1));
}

pub(super) fn status(code: u16, reason: &str) -> FaultRule {
    FaultRule::new(Fault::Status { code, reason: reason.to_owned(), retry_after: None })
}

/// The API server answers nobody, and its watches tell nothing.
pub(super) fn takes_down(world: &World) {
    world
        .cluster()
        .faults()
        .replace(vec![FaultRule::new(Fault::WatchSilent), status(503, "ServiceUnavailable")]);
}

/// The API server does not serve the extension's kinds for these verbs.
fn serves_no_pairs(world: &World, verbs: &[&str]) {
    for kind in PAIR {
        for verb in verbs {
            world.cluster().faults().add(status(404, "NotFound").resource(kind).verb(verb));
        }
    }
}

// === others ===

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
async fn is_told_and_damped(world: &mut World) -> SyncedSecret {
    let told = world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    assert_eq!(told.state(), State::Degraded, "{told:?}");
    let writes = || world.cluster().requests().of("patch", "secretsyncs");
    let before = writes();
    sleep(Duration::from_secs(5)).await;
    let written = writes() - before;
    assert!(written <= 3, "{written} writes of the SecretSync in 5 s");
    let actions = actions(world, "a").await;
    let repairs = actions.iter().filter(|action| *action == "DriftRepaired").count();
    assert!(repairs <= 4, "{repairs} repairs in the audit: {actions:?}");
    told
}

// === what was deleted stays deleted ===

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_not_done_while_the_extensions_kinds_are_not_served() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    serves_no_pairs(&world, &["get", "list", "watch", "create", "update", "patch", "delete"]);

    let asked = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(asked).await.unwrap();
    stays(2, "DELETING", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.is_ok_and(|now| now.get_ref().state() == State::Deleting)
    })
    .await;
    world.cluster().faults().clear();

    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_not_back_at_the_extensions_next_poll() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    world.stop_extension().await;
    let often =
        extension::Options { rotation_poll_interval: Duration::from_secs(1), ..world.extension_options() };
    let _extension = Extension::start(often).await.unwrap();
    // The watches still tell what they did before.
    serves_no_pairs(&world, &["get", "patch", "delete"]);

    let asked = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(asked).await.unwrap();
    stays(1, "there is a synced secret", async || {
        world.client.clone().get_synced_secret(get("a")).await.is_ok()
    })
    .await;
    world.cluster().faults().clear();
    world.until_gone("a").await;
    world.somebody.sets("v", "rotated").await;

    until_edge_is_empty(&world, "a").await;
    stays(3, "the deleted Secret is gone", async || world.edge("a").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_written_after_its_deletion_is_removed_again_and_its_name_is_free() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let (mut class, mut sync) =
        (world.classes().get("a").await.unwrap(), world.syncs().get("a").await.unwrap());
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;

    // What an API server does with requests that their client has given up.
    for metadata in [&mut class.metadata, &mut sync.metadata] {
        let (labels, annotations) = (metadata.labels.take(), metadata.annotations.take());
        *metadata = ObjectMeta { labels, annotations, ..named("a") };
    }
    sync.status = None;
    let late = PatchParams::apply(FIELD_MANAGER);
    world.classes().patch("a", &late, &Patch::Apply(&class)).await.unwrap();
    world.syncs().patch("a", &late, &Patch::Apply(&sync)).await.unwrap();

    until_so("the orphan is told of", async || {
        actions(&world, "a").await.iter().any(|action| action == "OrphanRemoved")
    })
    .await;
    until_edge_is_empty(&world, "a").await;
    world.client.create_synced_secret(of_v("a")).await.unwrap();
    // The extension may have been at its last look, and what it makes then goes, too.
    world.until_state("a", State::Synced).await;
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_does_not_keep_its_name_from_the_next_of_that_name() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    let uid = world.get("a").await.uid;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    // The next one of that name is asked for, and its first write fails.
    let fails = status(503, "ServiceUnavailable").verb("patch").resource("secrets").times(1);
    world.cluster().faults().add(fails);
    let next = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    let next = world.client.create_synced_secret(next).await.unwrap().into_inner();
    world.until_state("a", State::Failed).await;

    let late = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "a", "labels": { UID_LABEL: uid } },
        "stringData": { "k": "late" },
    });
    world.secrets().patch("a", &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(late)).await.unwrap();

    world.until_state("a", State::Synced).await;
    until_so("the Secret is the next one's", async || {
        let secret = world.secrets().get_opt("a").await.unwrap();
        let is_of_next = secret.is_some_and(|secret| secret.labels().get(UID_LABEL) == Some(&next.uid));
        is_of_next && holds(&world, "a", "k", "value").await
    })
    .await;
}

// === what is a stranger's stays as it is ===

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_strangers_secretsync_keeps_its_keys() {
    let Some(mut world) = world(secret_store()).await else { return };
    world.seed("v", "value").await;
    world.seed("w", "theirs").await;
    let model = create("model", vec![existing("theirs", "w")]);
    world.client.create_synced_secret(model).await.unwrap();
    let (class, stranger) = a_strangers_like(&world, "model", "a").await;
    world.classes().create(&kubectl(), &class).await.unwrap();

    // Theirs comes between the look whether the name is free and the first write.
    let first = FaultRule::new(Fault::Delay { millis: 1_000 }).verb("patch").resource(PAIR[1]).times(1);
    world.cluster().faults().add(first);
    let writes = || world.cluster().requests().of("patch", PAIR[1]);
    let before = writes();
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.clone().create_synced_secret(asked).await.unwrap();
    until_so("our first write is under way", async || writes() > before).await;
    world.syncs().create(&kubectl(), &stranger).await.unwrap();

    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    until_so("the extension made theirs", async || holds(&world, "a", "theirs", "theirs").await).await;
    stays(2, "theirs has its key", async || holds(&world, "a", "theirs", "theirs").await).await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    stays(1, "theirs has its key", async || holds(&world, "a", "theirs", "theirs").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_secretsync_in_the_place_of_ours_keeps_its_secret_through_a_start_and_a_deletion() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let (class, stranger) = a_strangers_like(&world, "a", "a").await;
    world.stop_service().await;
    world.syncs().delete("a", &DeleteParams::default()).await.unwrap();
    until_so("the Secret went with its SecretSync", async || world.edge("a").await.is_none()).await;
    world.classes().create(&kubectl(), &class).await.unwrap();
    world.syncs().create(&kubectl(), &stranger).await.unwrap();
    until_so("the extension made theirs", async || holds(&world, "a", "k", "value").await).await;

    world.start_service().await;
    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    stays(2, "theirs has its key", async || holds(&world, "a", "k", "value").await).await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    stays(1, "theirs has its key", async || holds(&world, "a", "k", "value").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_while_the_extensions_kinds_are_not_served_leaves_no_second_writer() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    world.stop_service().await;
    serves_no_pairs(&world, &["get", "list", "watch", "patch", "delete"]);
    world.start_service_with(SyncEngine::Direct).await;
    stays(2, "nobody switched what can't be seen", async || {
        !actions(&world, "a").await.iter().any(|action| action == "EngineSwitched")
    })
    .await;
    world.cluster().faults().clear();

    until_so("it is switched", async || {
        actions(&world, "a").await.iter().any(|action| action == "EngineSwitched")
    })
    .await;
    world.until_state("a", State::Synced).await;
    assert!(world.syncs().get_opt("a").await.unwrap().is_none(), "the extension still writes, too");
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;
}

// === fights ===

#[tokio::test(flavor = "multi_thread")]
async fn a_fight_about_a_secretsync_is_told_by_name_and_damped() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let label = "app.kubernetes.io/managed-by";
    let is_there = move |sync: &SecretSync| sync.labels().get(label).is_some_and(|held| held == "argocd");
    let own = json!({ "metadata": { "labels": { label: "argocd" } } });
    let opponent = argocd_wants(world.syncs(), is_there, own);
    let told = is_told_and_damped(&mut world).await;
    assert!(format!("{told:?}").contains("argocd"), "it does not say who fights: {told:?}");
    opponent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fight_about_a_label_that_somebody_takes_off_a_secretsync_is_damped_although_nothing_names_them() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let label = "app.kubernetes.io/managed-by";
    let is_there = move |sync: &SecretSync| !sync.labels().contains_key(label);
    let opponent =
        argocd_wants(world.syncs(), is_there, json!({ "metadata": { "labels": { label: null } } }));
    is_told_and_damped(&mut world).await;
    opponent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fight_about_a_key_of_a_secret_of_the_extension_is_told_by_name_and_damped() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let opponent = argocd_wants_the_key(&world);
    // Each round of it waits for the extension.
    let begun = Instant::now();
    while synced_reason(&world.get("a").await) != "EdgeContested" {
        assert!(begun.elapsed() < 3 * PATIENCE, "nobody tells of the fight");
        sleep(Duration::from_millis(50)).await;
    }
    let told = is_told_and_damped(&mut world).await;
    assert!(format!("{told:?}").contains("argocd"), "it does not say who fights: {told:?}");
    opponent.abort();
}

fn argocd_wants_the_key(world: &World) -> JoinHandle<()> {
    let is_there = |secret: &Secret| {
        secret.data.as_ref().and_then(|data| data.get("k")).is_none_or(|held| held.0 == b"theirs")
    };
    argocd_wants(world.secrets(), is_there, json!({ "stringData": { "k": "theirs" } }))
}

// === retries ===

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_given_back_is_used_without_another_call() {
    let Some(mut world) = world(direct()).await else { return };
    world.seed("v", "value").await;
    world.cluster().faults().add(status(403, "Forbidden").verb("patch").resource("secrets"));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.create_synced_secret(asked).await.unwrap();
    let told = world.until_state("a", State::Failed).await;
    assert_eq!(synced_reason(&told), "EdgeForbidden", "{told:?}");
    stays(2, "FAILED", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.is_ok_and(|now| now.get_ref().state() == State::Failed)
    })
    .await;

    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_of_a_century_stops_nothing() {
    let Some(mut world) = world(direct()).await else { return };
    world.seed("v", "value").await;
    let busy = Fault::Status { code: 429, reason: "TooManyRequests".to_owned(), retry_after: Some(u32::MAX) };
    world.cluster().faults().add(FaultRule::new(busy).verb("patch").resource("secrets").times(1));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.create_synced_secret(asked).await.unwrap();
    world.until_state("a", State::Failed).await;

    let other = world.client.create_synced_secret(of_v("b")).await.unwrap().into_inner();
    assert_eq!(other.state(), State::Synced, "{other:?}");
    let asked = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(asked.state(), State::Synced, "whoever asks is not made to wait: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_after_it_took_effect_is_tried_again_ever_more_rarely() {
    let Some(world) = world_with_one(secret_store()).await else { return };
    let writes = || world.cluster().requests().of("patch", "secretsyncs");
    let broken = status(500, "InternalError").verb("patch").resource("secretsyncs").after();
    world.cluster().faults().add(broken);
    let before = writes();
    world.client.clone().update_synced_secret(with_description("a", "x")).await.unwrap();

    // The pause before the next one is at least four seconds, whatever the events that the write itself makes.
    until_so("it was tried six times", async || writes() >= before + 6).await;
    let before = writes();
    sleep(Duration::from_secs(6)).await;
    let tried = writes() - before;
    assert!(tried <= 2, "{tried} attempts in 6 s, after it had failed six times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_can_not_take_back_what_it_recorded_leaves_it_to_the_reconciler() {
    let Some(world) = world(direct()).await else { return };
    slow(&world, Operation::SecretSet, "fresh", Duration::from_secs(1));
    let mut first = world.client.clone();
    let call = tokio::spawn(async move {
        first.create_synced_secret(create("a", vec![created("k", "fresh", "x")])).await
    });
    until_asked(&world, Operation::SecretSet, 1).await;
    // The vault will refuse the value, and somebody else holds the database when the call wants to take its record back.
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let path = world.directory().join("secret-service.db");
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "DATABASE_BUSY", "{refusal:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    until_so("somebody has looked at what was recorded", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.map_or(true, |now| now.get_ref().state() != State::Pending)
    })
    .await;
}

// === one request id, one call ===

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_failed_beside_another_is_not_answered_ok_when_it_comes_again() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    slow(&world, Operation::SecretSet, "fresh", Duration::from_secs(2));
    let asked = UpdateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..with_references("a", vec![existing("k", "v"), created("new", "fresh", "x")])
    };
    let (mut first, again) = (world.client.clone(), asked.clone());
    let call = tokio::spawn(async move { first.update_synced_secret(asked).await });
    until_asked(&world, Operation::SecretSet, 1).await;
    world.client.update_synced_secret(with_description("a", "theirs")).await.unwrap();
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "VAULT_SECRET_SOFT_DELETED", "{refusal:?}");

    let again = world.client.update_synced_secret(again).await;
    assert!(again.is_err(), "one request id, two answers: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_comes_again_stores_nothing_for_a_key_that_is_anothers_by_now() {
    let options = Options { vault_timeout: Duration::from_secs(2), ..direct() };
    let Some(mut world) = world(options).await else { return };
    // Stored or not: the caller can't tell.
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretSet).named("first"));
    let asked = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![created("k", "first", "one")])
    };
    world.client.create_synced_secret(asked.clone()).await.unwrap_err();
    world.vault.faults().clear();
    slow(&world, Operation::SecretSet, "second", Duration::from_secs(1));
    let changed = with_references("a", vec![created("k", "second", "two")]);
    let mut other = world.client.clone();
    let call = tokio::spawn(async move { other.update_synced_secret(changed).await });
    until_asked(&world, Operation::SecretSet, 1).await;

    // Whatever it is answered.
    let _ = world.client.create_synced_secret(asked).await;
    let changed = call.await.unwrap().unwrap().into_inner();
    assert_eq!(changed.state(), State::Synced, "{changed:?}");
    assert!(holds(&world, "a", "k", "two").await, "SYNCED, and the edge lacks it");
    let first = GetVaultSecretRequest { name: vault_name("first") };
    let first = world.client.get_vault_secret(first).await;
    let refusal = first.expect_err("the vault holds a secret to which nothing refers");
    assert_eq!(refusal.code(), Code::NotFound, "{refusal:?}");
}

// === what is told was looked at ===

#[tokio::test(flavor = "multi_thread")]
async fn sync_time_does_not_move_while_nobody_can_look_at_the_edge() {
    let options = Options { interval: Duration::from_millis(500), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    let before = world.get("a").await.sync_time;
    takes_down(&world);
    until_asked(&world, Operation::SecretList, 5).await;
    assert_eq!(world.get("a").await.sync_time, before, "nobody has looked at the edge since");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_synced_only_when_the_edge_holds_what_it_asked_for() {
    let Some(mut world) = world_while_the_extension_reads_v().await else { return };
    slow(&world, Operation::SecretGet, "w", Duration::from_secs(3));
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(holds(&world, "a", "k", "other").await, "SYNCED, and the edge holds what was asked for before");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_extension_fails_at_the_update_the_value_before_is_not_told_as_synced() {
    let Some(mut world) = world_while_the_extension_reads_v().await else { return };
    world.vault.faults().add(Rule::new(Action::ForbiddenByRbac).on(Operation::SecretGet).named("w"));
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert_ne!(told.state(), State::Synced, "{told:?}");
    world.until("a", |secret| matches!(secret.state(), State::Degraded | State::Failed)).await;
    stays(2, "not SYNCED", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await.unwrap();
        now.get_ref().state() != State::Synced
    })
    .await;
}

/// `a` is asked for, and the extension reads `v` for it, slowly; `w` is there, too.
async fn world_while_the_extension_reads_v() -> Option<World> {
    let world = world(secret_store()).await?;
    world.seed("v", "value").await;
    world.seed("w", "other").await;
    slow(&world, Operation::SecretGet, "v", Duration::from_secs(2));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    let mut client = world.client.clone();
    let call = tokio::spawn(async move { client.create_synced_secret(asked).await });
    until_asked(&world, Operation::SecretGet, 1).await;
    call.await.unwrap().unwrap();
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_read_is_not_told_as_not_compared() {
    let begun = Instant::now();
    let options = Options { interval: Duration::from_millis(500), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    world.seed("w", "value").await;
    // Knowledge younger than ten seconds never counts as old, and what was never compared is as old as the process.
    sleep(Duration::from_secs(11).saturating_sub(begun.elapsed())).await;
    let slowly = Rule::new(Action::Delay { duration: Duration::from_secs(2) });
    world.vault.faults().add(slowly.on(Operation::SecretList));
    // A check has begun that does not know of `b`.
    until_asked(&world, Operation::SecretList, 1).await;
    world.client.create_synced_secret(create("b", vec![existing("k", "w")])).await.unwrap();
    stays(3, "`b` was just read from the vault", async || {
        let now = world.client.clone().get_synced_secret(get("b")).await.unwrap().into_inner();
        now.conditions.iter().all(|condition| condition.reason != "NotCompared")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_takes_back_no_sync_now_and_the_next_one_looks() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    makes_a_secret(&world, "a", "k", "theirs").await;
    world.start_service().await;
    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    // An adoption is slow to check what the vault holds; somebody else asks for a sync meanwhile, whose look takes longer still.
    slow(&world, Operation::SecretGet, "v", Duration::from_secs(1));
    let (mut adopter, mut syncer) = (world.client.clone(), world.client.clone());
    let adopt = AdoptSyncedSecretRequest { name: name("a"), ..Default::default() };
    let adoption = tokio::spawn(async move { adopter.adopt_synced_secret(adopt).await });
    until_asked(&world, Operation::SecretGet, 1).await;
    let look = FaultRule::new(Fault::Delay { millis: 2_000 }).verb("get").resource("secrets").times(1);
    world.cluster().faults().add(look);
    syncer.sync_synced_secret(sync("a")).await.unwrap();
    adoption.await.unwrap().unwrap();
    world.until_state("a", State::Synced).await;

    takes_down(&world);
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeUnreachable"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_points_a_key_elsewhere_does_not_wait_for_the_vault_secret_that_hangs() {
    let options = Options { vault_timeout: Duration::from_secs(15), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    world.seed("w", "other").await;
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretGet).named("v"));
    let edit = json!({ "stringData": { "k": "edited" } });
    let before = world.vault.requests().of(Operation::SecretGet);
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    until_so("a look hangs", async || world.vault.requests().of(Operation::SecretGet) > before).await;

    let begun = Instant::now();
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for {:?}", begun.elapsed());
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(holds(&world, "a", "k", "other").await, "SYNCED, and the edge lacks it");
}
