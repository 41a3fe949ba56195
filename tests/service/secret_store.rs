//! The Secret Store engine: the service writes a class and a SecretSync, the extension copies the values.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Secret, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use key_vault_double::Operation;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use kubernetes_double::{Fault, FaultRule};
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

use crate::support::{Options, World, needs_the_double, requests::*, until as until_secret};

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
    for _ in 0..400 {
        if world.edge(id).await.is_some_and(|edge| edge.get(key).is_some_and(|held| held == value)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} never came to hold it: {:?}", world.edge(id).await);
}

#[tokio::test]
async fn create_new_reaches_the_edge_by_a_class_and_a_secretsync_of_its_own() {
    let mut world = World::start_with(engine()).await;
    let references =
        vec![created("username", "pump-user", "operator"), created("password", "pump-pass", "7")];
    let made = world.client.create_synced_secret(create("edp1", references)).await.unwrap().into_inner();

    assert_eq!((made.state(), made.synced_generation), (State::Synced, 1), "{made:?}");
    let edge = world.edge("edp1").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("operator", "7"));
    assert!(made.references.iter().all(|reference| reference.synced_version.len() == 32), "{made:?}");

    let sync = world.syncs().get("edp1").await.unwrap();
    assert_eq!(sync.spec.secret_provider_class_name, "edp1");
    assert_eq!(sync.spec.service_account_name, "aio-ssc-sa");
    let class = world.classes().get("edp1").await.unwrap();
    assert_eq!(class.spec.provider, "azure");
    assert_eq!(class.spec.parameters["keyvaultName"], "contoso-aio");
    assert!(class.spec.parameters["objects"].contains("objectName: pump-pass"));
    let secret = world.secrets().get("edp1").await.unwrap();
    for (what, owned) in [("class", &class.metadata), ("Secret", &secret.metadata)] {
        let owner = &owned.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            Some(&owner.uid),
            sync.metadata.uid.as_ref(),
            "whoever deletes the SecretSync deletes the {what}"
        );
    }
    let vault =
        world.client.get_vault(GetVaultRequest { name: "vault".to_owned() }).await.unwrap().into_inner();
    assert_eq!(vault.engine(), Engine::SecretStore);
}

#[tokio::test]
async fn the_service_itself_reads_no_value() {
    let mut world = World::start_with(engine()).await;
    world.stop_extension().await;
    world.seed("pump-user", "operator").await;
    let request =
        create("edp1", vec![existing("username", "pump-user"), created("password", "pump-pass", "7")]);
    let request = secret_service::proto::CreateSyncedSecretRequest { wait: None, ..request };
    world.client.create_synced_secret(request).await.unwrap();
    for _ in 0..400 {
        if world.syncs().get_opt("edp1").await.unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.syncs().get("edp1").await.unwrap();
    assert_eq!(world.vault.requests().of(Operation::SecretGet), 0);
}

#[tokio::test]
async fn the_check_reads_no_value_where_the_vault_holds_more_than_is_worth_listing() {
    let mut world = with_one(often()).await;
    // Two pages before the one that is followed.
    for number in 0..50 {
        world.seed(&format!("a-{number}"), "x").await;
    }
    world.stop_extension().await;
    let before = world.vault.requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = world.vault.requests();
    assert!(after.of(Operation::SecretListVersions) > before.of(Operation::SecretListVersions), "it asks");
    assert_eq!(after.of(Operation::SecretGet), before.of(Operation::SecretGet));

    let _extension = Extension::start(world.extension_options()).await.unwrap();
    world.somebody.sets("pump-user", "new").await;
    until_edge(&world, "edp1", "username", "new").await;
}

#[tokio::test]
async fn an_update_changes_the_keys_in_place() {
    let mut world = with_one(engine()).await;
    world.seed("pump-pass", "7").await;
    let before = uid(&world, "edp1").await;
    let mut secret = world.get("edp1").await;
    secret.references = vec![existing("login", "pump-user"), existing("password", "pump-pass")];
    let told = world.client.update_synced_secret(update(secret, &["references"])).await.unwrap().into_inner();
    assert_eq!((told.state(), told.synced_generation), (State::Synced, 2), "{told:?}");
    let edge = world.edge("edp1").await.unwrap();
    assert_eq!(edge.keys().collect::<Vec<_>>(), ["login", "password"]);
    assert_eq!(uid(&world, "edp1").await, before);
}

#[tokio::test]
async fn delete_removes_all_three_and_nothing_from_the_vault() {
    let mut world = with_one(engine()).await;
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    assert!(world.secrets().get_opt("edp1").await.unwrap().is_none());
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
    assert_eq!(world.somebody.reads("pump-user").await, "operator");
}

#[tokio::test]
async fn what_the_vault_lists_as_changed_is_forced_long_before_the_extensions_own_poll() {
    let mut world = with_one(often()).await;
    let before = world.get("edp1").await.references[0].synced_version.clone();
    world.somebody.sets("pump-user", "new").await;
    let after = world.until("edp1", |secret| secret.references[0].synced_version != before).await;
    assert_eq!((after.state(), after.generation), (State::Synced, 1));
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn a_version_added_here_reaches_everybody_who_follows_it_and_nobody_who_does_not() {
    let mut world = with_one(engine()).await;
    let first = world.get("edp1").await.references[0].synced_version.clone();
    world.client.create_synced_secret(create("edp2", vec![existing("login", "pump-user")])).await.unwrap();
    let pinned = SecretReference { version: first.clone(), ..existing("username", "pump-user") };
    world.client.create_synced_secret(create("pinned", vec![pinned])).await.unwrap();
    let told = world.client.get_vault_secret(GetVaultSecretRequest { name: vault_name("pump-user") }).await;
    assert_eq!(told.unwrap().into_inner().synced_secrets, [name("edp1"), name("edp2"), name("pinned")]);

    let added = world.client.add_vault_secret_version(add_version("pump-user", "new")).await;
    let added = added.unwrap().into_inner().name;
    until_edge(&world, "edp1", "username", "new").await;
    until_edge(&world, "edp2", "login", "new").await;
    for id in ["edp1", "edp2"] {
        let is_told = |secret: &SyncedSecret| added.ends_with(&secret.references[0].synced_version);
        assert_eq!(world.until(id, is_told).await.state(), State::Synced);
    }
    assert_eq!(world.get("pinned").await.references[0].synced_version, first);
    assert_eq!(world.edge("pinned").await.unwrap()["username"], "operator");
}

#[tokio::test]
async fn without_a_change_nothing_is_forced() {
    let mut world = with_one(often()).await;
    // What was stored within the same seconds is looked at once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before);
    assert_eq!(world.get("edp1").await.state(), State::Synced);
}

#[tokio::test]
async fn sync_now_makes_the_extension_sync_now() {
    let mut world = with_one(engine()).await;
    world.somebody.sets("pump-user", "new").await;
    let told = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced);
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn a_secret_that_was_deleted_by_hand_comes_back() {
    let world = with_one(engine()).await;
    world.secrets().delete("edp1", &DeleteParams::default()).await.unwrap();
    until_edge(&world, "edp1", "username", "operator").await;
}

#[tokio::test]
async fn a_secret_that_was_edited_by_hand_is_put_back_without_a_gap() {
    let mut world = with_one(engine()).await;
    let before = uid(&world, "edp1").await;
    let edit = json!({
        "stringData": { "username": "mallory", "extra": "x" },
        "metadata": { "labels": { "app.kubernetes.io/managed-by": "mallory" } },
    });
    let kubectl = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    world.secrets().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    until_edge(&world, "edp1", "username", "operator").await;
    assert_eq!(uid(&world, "edp1").await, before);
    assert!(!world.edge("edp1").await.unwrap().contains_key("extra"));
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn a_label_that_was_taken_off_is_put_back() {
    let world = with_one(engine()).await;
    let edit = json!({ "metadata": { "labels": { "secret-service.iotoperations/uid": null } } });
    world.secrets().patch("edp1", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    until(&world, "the label is there again", async |world: &World| {
        let labels = world.secrets().get("edp1").await.unwrap().metadata.labels.unwrap();
        labels.contains_key("secret-service.iotoperations/uid")
    })
    .await;
}

#[tokio::test]
async fn what_somebody_did_to_the_secretsync_or_the_class_is_undone() {
    let world = with_one(engine()).await;
    world.seed("other", "x").await;
    let kubectl = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let edit = json!({ "spec": { "secretProviderClassName": "another" } });
    world.syncs().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    let edit = json!({ "spec": { "parameters": { "keyvaultName": "another" } } });
    world.classes().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    until(&world, "both are as they were", async |world: &World| {
        let sync = world.syncs().get("edp1").await.unwrap();
        // A collector that has just learned of the resource may take a class away; it comes back.
        let class = world.classes().get_opt("edp1").await.unwrap();
        sync.spec.secret_provider_class_name == "edp1"
            && class.is_some_and(|class| class.spec.parameters["keyvaultName"] == "contoso-aio")
    })
    .await;

    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    // The collector may be faster.
    let _ = world.classes().delete("edp1", &DeleteParams::background()).await;
    until_edge(&world, "edp1", "username", "operator").await;
    until(&world, "the pair is there again", async |world: &World| {
        let owner = world.syncs().get_opt("edp1").await.unwrap().and_then(|sync| sync.metadata.uid);
        let class = world.classes().get_opt("edp1").await.unwrap();
        owner.is_some() && class.is_some_and(|class| owner_of(&class) == owner)
    })
    .await;
}

fn owner_of(class: &SecretProviderClass) -> Option<String> {
    Some(class.metadata.owner_references.as_ref()?.first()?.uid.clone())
}

/// Longer than the garbage collector of a real cluster takes to learn of new custom resources: 30 seconds.
async fn until(world: &World, what: &str, is_so: impl AsyncFn(&World) -> bool) {
    for _ in 0..1_200 {
        if is_so(world).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_version_that_goes_bad_leaves_the_last_complete_set_and_is_named() {
    let mut world = with_one(often()).await;
    world.somebody.enables("pump-user", false).await;
    let degraded = world.until_state("edp1", State::Degraded).await;
    assert_eq!(degraded.references[0].problem.as_ref().unwrap().reason, "VaultSecretDisabled");
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "operator");
    world.somebody.sets("pump-user", "new").await;
    world.until_state("edp1", State::Synced).await;
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn an_extension_that_does_not_act_is_told_with_a_remedy_and_recovers_by_itself() {
    let mut world = World::start_with(Options { patience: Duration::from_millis(500), ..often() }).await;
    world.stop_extension().await;
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Failed);
    assert_eq!(told.conditions[0].reason, "EngineNotResponding");
    assert!(told.conditions[0].message.contains("azure-secret-store"), "{told:?}");

    let options = world.extension_options();
    let _extension = Extension::start(options).await.unwrap();
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn a_secret_that_the_cluster_refuses_is_told_also_where_the_check_comes_often_and_is_made_when_it_may_be()
 {
    if !needs_the_double("a cluster that refuses the extension's Secret") {
        return;
    }
    let mut world = World::start_with(often()).await;
    world.seed("pump-user", "operator").await;
    let forbidden = Fault::Status { code: 403, reason: "Forbidden".to_owned(), retry_after: None };
    world.cluster().faults().add(FaultRule::new(forbidden).verb("patch").resource("secrets"));
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Failed, "{told:?}");
    assert!(told.conditions[0].message.contains("ControllerPatchError"), "{told:?}");

    world.cluster().faults().clear();
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn what_somebody_else_made_under_the_name_is_not_touched() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let theirs = SecretProviderClass::new("edp1", Default::default());
    world.classes().create(&Default::default(), &theirs).await.unwrap();
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::AlreadyExists, "EDGE_CONFLICT"));
    assert!(refused.message.contains("SecretProviderClass"), "{}", refused.message);
    assert_eq!(world.classes().get("edp1").await.unwrap().spec, theirs.spec);
}

#[tokio::test]
async fn keys_and_labels_that_the_extension_does_not_accept_are_refused_each_by_its_field() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let mut request = create(
        "edp1",
        vec![
            existing("_user", "pump-user"),
            existing("good.key", "pump-user"),
            existing("a__b", "pump-user"),
        ],
    );
    let long = "x".repeat(63);
    request.synced_secret.as_mut().unwrap().labels.insert("line".to_owned(), long);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(
        refused.fields,
        ["synced_secret.references[0].key", "synced_secret.references[2].key", "synced_secret.labels"]
    );
}

#[tokio::test]
async fn validate_only_asks_the_api_server_and_leaves_nothing() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let mut request = create("edp1", vec![existing("username", "pump-user")]);
    request.validate_only = true;
    world.client.create_synced_secret(request).await.unwrap();
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
}

/// Lists of a resource come late, so that others are there first.
fn late(resource: &str) -> FaultRule {
    FaultRule::new(Fault::Delay { millis: 700 }).verb("list").resource(resource)
}

#[tokio::test]
async fn a_restart_writes_nothing_before_it_has_seen_both_lists() {
    if !needs_the_double("lists that come late") {
        return;
    }
    let mut world = with_one(engine()).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    for resource in ["secretproviderclasses", "secretsyncs"] {
        world.cluster().faults().add(late(resource));
        world.restart().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before, "{resource}");
        world.cluster().faults().clear();
    }
}

#[tokio::test]
async fn a_pair_that_went_while_the_service_was_away_comes_back_also_where_its_list_comes_late() {
    if !needs_the_double("lists that come late") {
        return;
    }
    let mut world = with_one(engine()).await;
    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    world.classes().delete("edp1", &DeleteParams::background()).await.ok();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    world.cluster().faults().add(late("secretsyncs"));
    world.start_service().await;
    until_edge(&world, "edp1", "username", "operator").await;
}

#[tokio::test]
async fn a_restart_finds_everything_as_it_was_and_repairs_what_happened_meanwhile() {
    let mut world = with_one(engine()).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    world.restart().await;
    assert_eq!(world.get("edp1").await.state(), State::Synced);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before, "nothing was written");

    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    world.start_service().await;
    until_edge(&world, "edp1", "username", "operator").await;
    until_secret(&mut world.client, "edp1", |secret| secret.state() == State::Synced).await;
}

// === What is not ours ===

/// Asks for it, and does not wait for the edge.
async fn ask_for(world: &mut World, id: &str) {
    let request = create(id, vec![existing("username", "pump-user")]);
    let request = CreateSyncedSecretRequest { wait: None, ..request };
    world.client.create_synced_secret(request).await.unwrap();
}

/// As `kubectl create secret generic` makes it.
fn by_hand(id: &str, key: &str) -> Secret {
    let mut secret = Secret { type_: Some("Opaque".to_owned()), ..Secret::default() };
    secret.metadata.name = Some(id.to_owned());
    secret.metadata.labels = Some([("app".to_owned(), "theirs".to_owned())].into());
    secret.string_data = Some([(key.to_owned(), "theirs".to_owned())].into());
    secret
}

async fn make_by_hand(world: &World, id: &str, key: &str) -> String {
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    world.secrets().create(&kubectl, &by_hand(id, key)).await.unwrap().uid().unwrap()
}

/// Whether a Secret is as somebody made it, with nothing of ours in it.
async fn is_untouched(world: &World, id: &str, uid: &str, key: &str) -> bool {
    let secret = world.secrets().get(id).await.unwrap();
    let data = secret.data.unwrap_or_default();
    let labels = secret.metadata.labels.unwrap_or_default();
    assert_eq!(
        data.get(key).map(|value| value.0.as_slice()),
        Some(b"theirs".as_slice()),
        "{id} lost its key"
    );
    secret.metadata.uid.as_deref() == Some(uid)
        && data.len() == 1
        && labels.len() == 1
        && secret.metadata.owner_references.is_none()
}

#[tokio::test]
async fn secrets_that_somebody_makes_before_the_extension_does_lose_nothing_and_outlive_the_synced_secrets() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.stop_extension().await;
    let ids: Vec<String> = (0..20).map(|number| format!("edp{number}")).collect();
    let mut made = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        ask_for(&mut world, id).await;
        until(&world, "there is a SecretSync", async |world: &World| {
            world.syncs().get_opt(id).await.unwrap().is_some()
        })
        .await;
        // Every other one has a key in the way of the extension; into the rest it merges its own.
        let key = if number % 2 == 0 { "theirs" } else { "username" };
        made.push((id.as_str(), make_by_hand(&world, id, key).await, key));
    }
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    for (id, uid, key) in &made {
        let told = world.until(id, |secret| secret.state() != State::Pending).await;
        assert_eq!(
            (told.state(), told.conditions[0].reason.as_str()),
            (State::Failed, "EdgeConflict"),
            "{told:?}"
        );
        until(&world, "nothing of ours is in it", async |world: &World| {
            is_untouched(world, id, uid, key).await
        })
        .await;
    }
    for (id, ..) in &made[2..] {
        world.client.delete_synced_secret(delete(id)).await.unwrap();
        assert!(world.syncs().get_opt(id).await.unwrap().is_none());
        assert!(world.classes().get_opt(id).await.unwrap().is_none());
    }
    // Garbage collection would have come by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (id, uid, key) in &made {
        assert!(is_untouched(&world, id, uid, key).await, "{id}");
    }
    for (id, ..) in &made[..2] {
        assert_eq!(world.get(id).await.state(), State::Failed);
        world.secrets().delete(id, &DeleteParams::default()).await.unwrap();
        world.until_state(id, State::Synced).await;
        assert_eq!(world.edge(id).await.unwrap()["username"], "operator");
    }
}

#[tokio::test]
async fn a_secret_that_the_extension_has_merged_into_survives_a_deletion_at_any_moment() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let extension = world.extension_options();
    world.stop_extension().await;
    let ids: Vec<String> = (0..12).map(|number| format!("edp{number}")).collect();
    let mut made = Vec::new();
    for id in &ids {
        ask_for(&mut world, id).await;
        until(&world, "there is a SecretSync", async |world: &World| {
            world.syncs().get_opt(id).await.unwrap().is_some()
        })
        .await;
        made.push((id.as_str(), make_by_hand(&world, id, "theirs").await));
    }
    let _extension = Extension::start(extension).await.unwrap();
    for (number, (id, _)) in (0..).zip(&made) {
        tokio::time::sleep(Duration::from_millis(number * 7 % 60)).await;
        let _ = world.client.delete_synced_secret(delete(id)).await;
    }
    for (id, _) in &made {
        world.until_gone(id).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (id, uid) in &made {
        assert!(is_untouched(&world, id, uid, "theirs").await, "{id}");
    }
}

#[tokio::test]
async fn a_secret_that_is_given_back_half_way_is_given_back_after_a_restart() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.stop_extension().await;
    ask_for(&mut world, "edp1").await;
    until(&world, "there is a SecretSync", async |world: &World| {
        world.syncs().get_opt("edp1").await.unwrap().is_some()
    })
    .await;
    world.stop_service().await;
    let made = make_by_hand(&world, "edp1", "theirs").await;
    let extension = Extension::start(world.extension_options()).await.unwrap();
    until(&world, "the extension has merged into it", async |world: &World| {
        world.secrets().get("edp1").await.unwrap().metadata.owner_references.is_some()
    })
    .await;
    until(&world, "and said so", async |world: &World| {
        world.syncs().get("edp1").await.unwrap().status.is_some_and(|status| !status.sync_hash.is_empty())
    })
    .await;
    extension.stop().await;
    // Now nobody notices that the extension is told to stop.
    world.start_service().await;
    let told = world.until_state("edp1", State::Failed).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    until(&world, "the extension is told to stop", async |world: &World| {
        world.syncs().get("edp1").await.unwrap().spec.secret_provider_class_name != "edp1"
    })
    .await;
    world.restart().await;
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    until(&world, "nothing of ours is in it", async |world: &World| {
        is_untouched(world, "edp1", &made, "theirs").await
    })
    .await;
    until(&world, "the pair is gone", async |world: &World| {
        world.syncs().get_opt("edp1").await.unwrap().is_none()
            && world.classes().get_opt("edp1").await.unwrap().is_none()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_untouched(&world, "edp1", &made, "theirs").await);
}

#[tokio::test]
async fn a_key_that_was_taken_out_by_hand_comes_back_as_does_the_extensions_own_label() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let request = create("edp1", vec![existing("username", "pump-user"), existing("password", "pump-pass")]);
    world.client.create_synced_secret(request).await.unwrap();
    let before = uid(&world, "edp1").await;
    let removed = json!([{ "op": "remove", "path": "/data/password" }]);
    let removed = Patch::<Secret>::Json(serde_json::from_value(removed).unwrap());
    let kubectl = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    world.secrets().patch("edp1", &kubectl, &removed).await.unwrap();
    until_edge(&world, "edp1", "password", "7").await;
    assert_eq!(uid(&world, "edp1").await, before);
    world.until_state("edp1", State::Synced).await;

    let label = json!({ "metadata": { "labels": { "secrets-store.sync.x-k8s.io": null } } });
    world.secrets().patch("edp1", &kubectl, &Patch::Merge(label)).await.unwrap();
    until(&world, "the label is there again", async |world: &World| {
        let labels = world.secrets().get("edp1").await.unwrap().metadata.labels.unwrap();
        labels.contains_key("secrets-store.sync.x-k8s.io")
    })
    .await;
}

fn audit() -> ListAuditEventsRequest {
    ListAuditEventsRequest { resource: name("edp1"), page_size: 100, ..Default::default() }
}

/// Takes our labels off both.
async fn take_labels_off(world: &World, id: &str) {
    let nothing = json!({ "metadata": { "labels": null } });
    let kubectl = PatchParams { field_manager: Some("kubectl-label".to_owned()), ..PatchParams::default() };
    world.syncs().patch(id, &kubectl, &Patch::Merge(&nothing)).await.unwrap();
    world.classes().patch(id, &kubectl, &Patch::Merge(&nothing)).await.unwrap();
}

async fn is_labelled(world: &World, id: &str) -> bool {
    let label = "secret-service.iotoperations/uid";
    let (sync, class) = (world.syncs().get(id).await.unwrap(), world.classes().get(id).await.unwrap());
    sync.labels().contains_key(label) && class.labels().contains_key(label)
}

#[tokio::test]
async fn a_pair_without_its_labels_is_still_ours_and_gets_them_back() {
    let mut world = with_one(engine()).await;
    take_labels_off(&world, "edp1").await;
    until(&world, "the labels are there again", async |world: &World| is_labelled(world, "edp1").await).await;
    world.until_state("edp1", State::Synced).await;

    world.stop_service().await;
    take_labels_off(&world, "edp1").await;
    world.start_service().await;
    until(&world, "the labels are there again", async |world: &World| is_labelled(world, "edp1").await).await;
    world.until_state("edp1", State::Synced).await;
    assert!(
        world
            .client
            .list_audit_events(audit())
            .await
            .unwrap()
            .into_inner()
            .audit_events
            .iter()
            .any(|event| event.action == "DriftRepaired")
    );

    take_labels_off(&world, "edp1").await;
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
}

#[tokio::test]
async fn a_secretsync_that_somebody_made_in_the_place_of_ours_is_a_conflict_and_stays_as_it_is() {
    let mut world = with_one(engine()).await;
    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    let theirs: SecretSync = serde_json::from_value(json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": { "name": "edp1" },
        "spec": {
            "secretProviderClassName": "theirs", "serviceAccountName": "aio-ssc-sa",
            "secretObject": { "type": "Opaque", "data": [{ "sourcePath": "theirs", "targetKey": "theirs" }] },
        },
    }))
    .unwrap();
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = world.syncs().create(&kubectl, &theirs).await.unwrap();
    world.start_service().await;
    let told = world.until_state("edp1", State::Degraded).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    assert!(told.conditions[0].message.contains("SecretSync"), "{told:?}");
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    let left = world.syncs().get("edp1").await.unwrap();
    assert_eq!((left.uid(), left.spec, left.metadata.labels), (made.uid(), made.spec, None));
}

#[tokio::test]
async fn what_somebody_adds_to_the_pair_is_taken_out_again_and_told_in_the_audit() {
    let mut world = with_one(engine()).await;
    let kubectl = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    let key = json!([{
        "op": "add", "path": "/spec/secretObject/data/-",
        "value": { "sourcePath": "nowhere", "targetKey": "extra" },
    }]);
    let key = Patch::<SecretSync>::Json(serde_json::from_value(key).unwrap());
    world.syncs().patch("edp1", &kubectl, &key).await.unwrap();
    let parameter = json!({ "spec": { "parameters": { "usePodIdentity": "true" } } });
    world.classes().patch("edp1", &kubectl, &Patch::Merge(parameter)).await.unwrap();
    until(&world, "both are as they were", async |world: &World| {
        let sync = world.syncs().get("edp1").await.unwrap();
        let class = world.classes().get("edp1").await.unwrap();
        sync.spec.secret_object.data.len() == 1 && !class.spec.parameters.contains_key("usePodIdentity")
    })
    .await;
    for what in ["the key extra", "the parameter usePodIdentity"] {
        until(&world, "it is told", async |world: &World| {
            let events = world.client.clone().list_audit_events(audit()).await.unwrap().into_inner();
            let mut events = events.audit_events.iter();
            events.any(|event| event.action == "DriftRepaired" && event.detail.contains(what))
        })
        .await;
    }
    // What is ours is as before, also for the extension.
    world.somebody.sets("pump-user", "new").await;
    world.client.sync_synced_secret(sync("edp1")).await.unwrap();
    assert_eq!(world.edge("edp1").await.unwrap(), [("username".to_owned(), "new".to_owned())].into());
}

#[tokio::test]
async fn a_class_that_somebody_makes_at_the_same_moment_is_a_conflict_and_keeps_nothing_of_ours() {
    if !needs_the_double("a write that comes late") {
        return;
    }
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let late = FaultRule::new(Fault::Delay { millis: 700 }).verb("patch");
    world.cluster().faults().add(late.resource("secretproviderclasses"));
    ask_for(&mut world, "edp1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut theirs = SecretProviderClass::new("edp1", Default::default());
    theirs.spec.provider = "azure".to_owned();
    theirs.spec.parameters.insert("theirs".to_owned(), "x".to_owned());
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = world.classes().create(&kubectl, &theirs).await.unwrap();
    let told = world.until_state("edp1", State::Failed).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    assert!(told.conditions[0].message.contains("SecretProviderClass"), "{told:?}");

    world.client.sync_synced_secret(sync("edp1")).await.unwrap();
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    let left = world.classes().get("edp1").await.unwrap();
    assert_eq!((left.uid(), left.spec, left.metadata.labels), (made.uid(), made.spec, None));
}

// === What the extension says, and what it does not say ===

#[tokio::test]
async fn an_immutable_secret_is_told_as_one_with_what_to_do() {
    let mut world = with_one(engine()).await;
    let frozen = json!({ "immutable": true });
    let kubectl = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    world.secrets().patch("edp1", &kubectl, &Patch::Merge(frozen)).await.unwrap();
    world.somebody.sets("pump-user", "new").await;
    let told = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    assert_eq!(
        (told.state(), told.conditions[0].reason.as_str()),
        (State::Degraded, "EdgeRejected"),
        "{told:?}"
    );
    assert!(told.conditions[0].message.contains("immutable"), "{told:?}");
    assert!(told.conditions[0].message.contains("delete the Secret"), "{told:?}");
    world.secrets().delete("edp1", &DeleteParams::default()).await.unwrap();
    until_edge(&world, "edp1", "username", "new").await;
}

#[tokio::test]
async fn a_key_that_the_type_wants_and_a_bad_encoding_are_each_told_as_what_they_are() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "no base64!").await;
    let mut request = create("edp1", vec![existing("username", "pump-user")]);
    request.synced_secret.as_mut().unwrap().secret_type = "kubernetes.io/ssh-auth".to_owned();
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(
        (told.state(), told.conditions[0].reason.as_str()),
        (State::Failed, "EdgeRejected"),
        "{told:?}"
    );
    let message = &told.conditions[0].message;
    assert!(message.contains("data[ssh-privatekey]") && message.contains("add references"), "{message}");

    let mut encoded = existing("username", "pump-user");
    encoded.set_encoding(secret_service::proto::secret_reference::Encoding::Base64);
    let request = create("edp2", vec![encoded]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(
        (told.state(), told.conditions[0].reason.as_str()),
        (State::Failed, "InvalidEncoding"),
        "{told:?}"
    );
    let problem = told.references[0].problem.as_ref().unwrap();
    assert!(problem.message.contains("illegal base64 data at input byte 2"), "{problem:?}");
}

#[tokio::test]
async fn what_a_partial_sync_left_behind_has_its_own_reason() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let references = vec![existing("username", "pump-user"), existing("password", "pump-pass")];
    world.client.create_synced_secret(create("edp1", references)).await.unwrap();
    world.somebody.sets("pump-user", "new").await;
    world.somebody.enables("pump-pass", false).await;
    world.extension.as_ref().unwrap().poll().await;
    let told = world.until_state("edp1", State::Degraded).await;
    // A look at the vault right after it finds the same.
    let reasons = ["PartiallySynced", "VaultSecretDisabled"];
    assert!(reasons.contains(&told.conditions[0].reason.as_str()), "{told:?}");
    assert!(told.references[0].problem.is_none(), "{told:?}");
    let problem = told.references[1].problem.as_ref().unwrap();
    assert_eq!(problem.reason, "VaultSecretDisabled");
    assert!(
        problem.message.contains("Enable the vault secret") && problem.message.len() < 400,
        "{problem:?}"
    );
}

#[tokio::test]
async fn an_extension_that_is_not_installed_is_told_as_missing() {
    if !needs_the_double("custom resources that go away") {
        return;
    }
    let mut world = with_one(engine()).await;
    let definitions: kube::Api<CustomResourceDefinition> = kube::Api::all(world.kube.clone());
    for name in ["secretsyncs.secret-sync.x-k8s.io", "secretproviderclasses.secrets-store.csi.x-k8s.io"] {
        definitions.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let request = create("edp2", vec![existing("username", "pump-user")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "EDGE_RESOURCE_MISSING"));
    let message = refused.message;
    assert!(message.contains("does not serve") && message.contains("Install"), "{message}");
    let synced = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    let (state, reason) = (synced.state(), synced.conditions[0].reason.as_str());
    assert_eq!((state, reason), (State::Degraded, "ExtensionFailed"), "{synced:?}");
    assert!(synced.conditions[0].message.contains("Install"), "{synced:?}");
}

#[tokio::test]
async fn a_busy_extension_is_waited_for_and_told_with_how_many_wait() {
    if !needs_the_double("an extension that is slow to write") {
        return;
    }
    let mut world = World::start_with(Options { patience: Duration::from_secs(5), ..engine() }).await;
    world.seed("pump-user", "operator").await;
    // One after the other: the last one has to wait for many times the patience.
    let slow = FaultRule::new(Fault::Delay { millis: 350 }).verb("patch").resource("secrets");
    world.cluster().faults().add(slow);
    let ids: Vec<String> = (0..40).map(|number| format!("edp{number}")).collect();
    for id in &ids {
        ask_for(&mut world, id).await;
    }
    let mut messages = std::collections::BTreeSet::new();
    let mut synced = 0;
    for _ in 0..2_000 {
        synced = 0;
        for id in &ids {
            let told = world.get(id).await;
            assert!([State::Pending, State::Synced].contains(&told.state()), "{told:?}");
            synced += usize::from(told.state() == State::Synced);
            messages.insert(told.conditions[0].message.clone());
        }
        if synced == ids.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(synced, ids.len());
    assert!(messages.iter().any(|said| said.contains("synced secrets wait for it")), "{messages:?}");
}

#[tokio::test]
async fn what_the_extension_leaves_alone_it_is_told_again_ever_more_rarely() {
    let mut world = World::start_with(Options { patience: Duration::from_millis(300), ..engine() }).await;
    world.seed("pump-user", "operator").await;
    world.stop_extension().await;
    ask_for(&mut world, "edp1").await;
    until(&world, "there is a SecretSync", async |world: &World| {
        world.syncs().get_opt("edp1").await.unwrap().is_some()
    })
    .await;
    let mut told = Vec::new();
    let begun = std::time::Instant::now();
    while told.len() < 4 {
        let force = world.syncs().get("edp1").await.unwrap().spec.force_synchronization;
        if told.last().is_none_or(|(last, _)| *last != force) {
            told.push((force, begun.elapsed()));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pauses: Vec<_> = told.windows(2).map(|two| two[1].1 - two[0].1).collect();
    // A machine under load shows a nudge late, and the pause after it as shorter than it was.
    assert!(
        pauses[1] >= Duration::from_millis(900) && pauses[2] >= Duration::from_millis(1_900),
        "{pauses:?}"
    );
    assert_eq!(world.get("edp1").await.conditions[0].reason, "EngineNotResponding");
}
