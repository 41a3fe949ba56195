//! What other tools made: listed as it is, and taken over without the Secret ever being away or another.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::FieldsV1};
use key_vault_double::{Action, Operation, Rule};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::watcher,
};
use secret_service::{
    edge::secret_store::{SecretProviderClass, SecretSync},
    model::SyncEngine,
    proto::{
        AdoptSyncedSecretRequest, SecretReference, SyncedSecret, UpdateSyncedSecretRequest,
        synced_secret::{Origin, State},
    },
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Options, Site, World, requests::*};

const PORTAL: &str = include_str!("../../examples/made-by-the-portal.yaml");

fn engine(engine: SyncEngine) -> Options {
    Options { engine, ..Options::default() }
}

/// What the portal made, synced by the extension, before the service starts.
pub async fn made_by_the_portal(engine: SyncEngine) -> World {
    made_by_the_portal_for(self::engine(engine)).await
}

pub async fn made_by_the_portal_for(options: Options) -> World {
    let mut site = Site::start().await;
    site.install_extension().await;
    for (name, value) in [("opc-username", "operator"), ("opc-password", "7")] {
        site.seed(name, value).await;
    }
    let client = site.kube.clone();
    for document in serde_yaml_ng::Deserializer::from_str(PORTAL) {
        let object = serde_json::Value::deserialize(document).unwrap();
        // The vault of the test has no such version.
        match object["kind"].as_str().unwrap() {
            "SecretProviderClass" => {
                let text = object.to_string().replace("objectVersion: 0123456789abcdef0123456789abcdef", "");
                create_as::<SecretProviderClass>(
                    &client,
                    &site.namespace,
                    serde_json::from_str(&text).unwrap(),
                )
                .await;
            }
            _ => create_as::<SecretSync>(&client, &site.namespace, object).await,
        }
    }
    site.seed("eventhub-connection", "Endpoint=x").await;
    until(|| async { site.edge("edp1secrets").await.is_some_and(|edge| edge.len() == 2) }).await;
    World::start_on(site, options).await
}

async fn create_as<K>(client: &kube::Client, namespace: &str, object: serde_json::Value)
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + serde::Serialize
        + std::fmt::Debug,
{
    let mut object: K = serde_json::from_value(object).unwrap();
    object.meta_mut().namespace = Some(namespace.to_owned());
    let objects: kube::Api<K> = kube::Api::namespaced(client.clone(), namespace);
    let portal = PostParams { field_manager: Some("portal".to_owned()), ..PostParams::default() };
    objects.create(&portal, &object).await.unwrap();
}

async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    for _ in 0..1_200 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to be so");
}

pub fn adopt(id: &str, references: Vec<SecretReference>) -> AdoptSyncedSecretRequest {
    AdoptSyncedSecretRequest { name: name(id), references, ..Default::default() }
}

/// Sees every moment of a Secret.
struct Witness {
    task: tokio::task::JoinHandle<()>,
    seen: std::sync::Arc<std::sync::Mutex<Vec<Option<Secret>>>>,
}

impl Witness {
    fn of(world: &World, id: &str) -> Self {
        let seen = std::sync::Arc::<std::sync::Mutex<Vec<Option<Secret>>>>::default();
        let config = watcher::Config::default().fields(&format!("metadata.name={id}"));
        let events = watcher(world.secrets(), config).boxed();
        let noted = seen.clone();
        let task = tokio::spawn(async move {
            let mut events = events;
            while let Ok(Some(event)) = events.try_next().await {
                let moment = match event {
                    watcher::Event::Apply(secret) | watcher::Event::InitApply(secret) => Some(secret),
                    watcher::Event::Delete(_) => None,
                    watcher::Event::Init | watcher::Event::InitDone => continue,
                };
                noted.lock().unwrap().push(moment);
            }
        });
        Self { task, seen }
    }

    /// There was the same Secret all the time, with the same values.
    fn saw_no_gap(self, uid: &str, data: &std::collections::BTreeMap<String, String>) {
        self.task.abort();
        let seen = self.seen.lock().unwrap();
        assert!(!seen.is_empty(), "the witness slept");
        for moment in seen.iter() {
            let secret = moment.as_ref().expect("there was a moment without the Secret");
            assert_eq!(secret.uid().as_deref(), Some(uid));
            let held = secret.data.clone().unwrap_or_default();
            let held =
                held.into_iter().map(|(key, ByteString(bytes))| (key, String::from_utf8(bytes).unwrap()));
            assert_eq!(&held.collect::<std::collections::BTreeMap<_, _>>(), data);
        }
    }
}

pub async fn listed(world: &mut World, id: &str) -> SyncedSecret {
    until_listed(world, id).await;
    world.get(id).await
}

async fn until_listed(world: &World, id: &str) {
    let client = &world.client;
    until(|| async { client.clone().get_synced_secret(get(id)).await.is_ok() }).await;
}

#[tokio::test]
async fn what_the_portal_made_is_listed_with_the_references_that_its_class_tells() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = made_by_the_portal(engine).await;
        let secret = listed(&mut world, "edp1secrets").await;
        assert_eq!((secret.origin(), secret.state()), (Origin::Unmanaged, State::Synced), "{secret:?}");
        let told: Vec<_> =
            secret.references.iter().map(|held| (held.key.as_str(), held.vault_secret.as_str())).collect();
        assert_eq!(
            told,
            [("opc-username", "vaultSecrets/opc-username"), ("opc-password", "vaultSecrets/opc-password")]
        );
        let kafka = listed(&mut world, "kafka1secrets").await;
        assert_eq!(kafka.references[0].vault_secret, "vaultSecrets/eventhub-connection");

        let mut changed = secret.clone();
        changed.description = "mine".to_owned();
        for refused in [
            world.client.update_synced_secret(update(changed, &["description"])).await.unwrap_err(),
            world.client.delete_synced_secret(delete("edp1secrets")).await.unwrap_err(),
            world.client.sync_synced_secret(sync("edp1secrets")).await.unwrap_err(),
        ] {
            let refused = told_of(&refused);
            assert_eq!(refused, (Code::FailedPrecondition, "SYNCED_SECRET_UNMANAGED".to_owned()));
        }
        let taken = create("edp1secrets", vec![existing("k", "opc-username")]);
        let taken = world.client.create_synced_secret(taken).await.unwrap_err();
        assert_eq!(told_of(&taken), (Code::AlreadyExists, "EDGE_CONFLICT".to_owned()));
    }
}

fn told_of(status: &tonic::Status) -> (Code, String) {
    let told = told(status);
    (told.code, told.reason)
}

#[tokio::test]
async fn what_others_change_or_remove_is_seen() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    listed(&mut world, "edp1secrets").await;
    world.syncs().delete("edp1secrets", &Default::default()).await.unwrap();
    let client = world.client.clone();
    until(|| async { client.clone().get_synced_secret(get("edp1secrets")).await.is_err() }).await;
    assert!(world.client.get_synced_secret(get("kafka1secrets")).await.is_ok());
}

#[tokio::test]
async fn a_secretsync_is_adopted_in_place_by_either_engine_without_a_gap() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = made_by_the_portal(engine).await;
        listed(&mut world, "edp1secrets").await;
        let before = world.secrets().get("edp1secrets").await.unwrap();
        let held = world.edge("edp1secrets").await.unwrap();
        let witness = Witness::of(&world, "edp1secrets");
        let sync_before = world.syncs().get("edp1secrets").await.unwrap();

        world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap();
        let ours = world.until_state("edp1secrets", State::Synced).await;
        let settled = until_settled(&world, engine).await;

        assert_eq!(ours.origin(), Origin::Managed);
        witness.saw_no_gap(&before.uid().unwrap(), &held);
        match settled {
            Some(sync) => {
                assert_eq!(sync.uid(), sync_before.uid(), "{engine:?}: the SecretSync is the same, too");
                assert_eq!(sync.spec.secret_provider_class_name, "edp1secrets");
            }
            None => assert_eq!(engine, SyncEngine::Direct),
        }
        // The shared class is not ours.
        let shared = world.classes().get("spc-ops-1a2b3c4").await.unwrap();
        assert!(shared.spec.parameters["objects"].contains("eventhub-connection"));
        // From now on it is like any other.
        world.somebody.sets("opc-password", "8").await;
        world.client.sync_synced_secret(sync("edp1secrets")).await.unwrap();
        assert_eq!(world.edge("edp1secrets").await.unwrap()["opc-password"], "8", "{engine:?}");
        let mut fewer = world.get("edp1secrets").await;
        fewer.references.retain(|reference| reference.key == "opc-password");
        let told =
            world.client.update_synced_secret(update(fewer, &["references"])).await.unwrap().into_inner();
        assert_eq!(told.state(), State::Synced, "{engine:?}: {told:?}");
        assert_eq!(world.edge("edp1secrets").await.unwrap().keys().collect::<Vec<_>>(), ["opc-password"]);
        world.client.delete_synced_secret(delete("edp1secrets")).await.unwrap();
        assert!(world.edge("edp1secrets").await.is_none());
        assert!(world.edge("kafka1secrets").await.is_some());
    }
}

/// Waits until what adoption brings to the edge is there: the SecretSync as ours, or none.
async fn until_settled(world: &World, engine: SyncEngine) -> Option<SecretSync> {
    let is_settled = || async {
        let sync = world.syncs().get_opt("edp1secrets").await.unwrap();
        match engine {
            SyncEngine::SecretStore => {
                sync.is_some_and(|sync| sync.spec.secret_provider_class_name == "edp1secrets")
            }
            SyncEngine::Direct => sync.is_none(),
        }
    };
    until(is_settled).await;
    world.syncs().get_opt("edp1secrets").await.unwrap()
}

#[tokio::test]
async fn a_secret_made_by_hand_is_adopted_by_either_engine_once_its_keys_are_told() {
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let mut world = World::start_with(self::engine(engine)).await;
        world.seed("pump-user", "operator").await;
        let mut secret = Secret { metadata: Default::default(), ..Default::default() };
        secret.metadata.name = Some("by-hand".to_owned());
        secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
        let kubectl =
            PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
        let before = world.secrets().create(&kubectl, &secret).await.unwrap();
        let held = world.edge("by-hand").await.unwrap();

        let untold = told(&world.client.adopt_synced_secret(adopt("by-hand", vec![])).await.unwrap_err());
        assert_eq!((untold.code, untold.fields), (Code::InvalidArgument, vec!["references".to_owned()]));
        assert!(untold.message.contains("username"), "{}", untold.message);

        let witness = Witness::of(&world, "by-hand");
        world
            .client
            .adopt_synced_secret(adopt("by-hand", vec![existing("username", "pump-user")]))
            .await
            .unwrap();
        let ours = world.until_state("by-hand", State::Synced).await;
        if engine == SyncEngine::SecretStore {
            let owned = || async {
                let secret = world.secrets().get("by-hand").await.unwrap();
                secret.metadata.owner_references.is_some_and(|owners| owners[0].kind == "SecretSync")
            };
            until(owned).await;
        }
        assert_eq!(ours.origin(), Origin::Managed);
        witness.saw_no_gap(&before.uid().unwrap(), &held);
    }
}

#[tokio::test]
async fn what_is_not_there_or_owned_by_another_controller_is_not_adopted() {
    let mut world = World::start().await;
    world.seed("pump-user", "operator").await;
    let references = || vec![existing("username", "pump-user")];
    let missing = world.client.adopt_synced_secret(adopt("nobody", references())).await.unwrap_err();
    assert_eq!(told_of(&missing), (Code::NotFound, "SYNCED_SECRET_NOT_FOUND".to_owned()));

    let owner = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owner" }
    });
    create_as::<k8s_openapi::api::core::v1::ConfigMap>(&world.kube, &world.namespace, owner).await;
    let configs: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(world.kube.clone(), &world.namespace);
    let owner = configs.get("owner").await.unwrap();
    let mut secret = Secret::default();
    secret.metadata.name = Some("owned".to_owned());
    secret.metadata.owner_references = Some(vec![owner.owner_ref(&()).unwrap()]);
    secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("owned", references())).await.unwrap_err();
    assert_eq!(told_of(&refused), (Code::FailedPrecondition, "SECRET_OWNED".to_owned()));
    assert!(refused.message().contains("ConfigMap owner"), "{refused}");
}

#[tokio::test]
async fn another_engine_takes_over_what_the_one_before_it_synced_and_back_without_a_gap() {
    let mut world = World::start_with(engine(SyncEngine::Direct)).await;
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    world.client.create_synced_secret(request).await.unwrap();
    let (uid, held) =
        (world.secrets().get("edp1").await.unwrap().uid().unwrap(), world.edge("edp1").await.unwrap());
    let witness = Witness::of(&world, "edp1");

    world.switch_engine(SyncEngine::SecretStore).await;
    let owned = || async {
        let secret = world.secrets().get("edp1").await.unwrap();
        secret.metadata.owner_references.is_some_and(|owners| owners[0].kind == "SecretSync")
    };
    until(owned).await;
    world.until_state("edp1", State::Synced).await;
    assert_eq!(
        writers(&world, "edp1").await,
        ["secrets-store-sync-controller"],
        "or its next rotation is a conflict"
    );

    world.switch_engine(SyncEngine::Direct).await;
    let alone = || async {
        let secret = world.secrets().get("edp1").await.unwrap();
        let is_gone = world.syncs().get_opt("edp1").await.unwrap().is_none();
        is_gone
            && world.classes().get_opt("edp1").await.unwrap().is_none()
            && secret.metadata.owner_references.is_none()
    };
    until(alone).await;
    world.until_state("edp1", State::Synced).await;
    until(|| async { writers(&world, "edp1").await == ["secret-service"] }).await;
    // Garbage collection would have come by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    witness.saw_no_gap(&uid, &held);
}

#[tokio::test]
async fn the_extension_can_write_at_once_what_has_changed_in_the_vault_since() {
    let mut world = World::start_with(engine(SyncEngine::Direct)).await;
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    world.client.create_synced_secret(request).await.unwrap();
    let uid = world.secrets().get("edp1").await.unwrap().uid();

    world.stop_service().await;
    world.somebody.sets("pump-user", "new").await;
    world.start_service_with(SyncEngine::SecretStore).await;
    until(|| async { world.edge("edp1").await.is_some_and(|edge| edge["username"] == "new") }).await;
    assert_eq!(world.secrets().get("edp1").await.unwrap().uid(), uid);
}

/// In whose hands the keys are.
async fn writers(world: &World, id: &str) -> Vec<String> {
    let managers = world.secrets().get(id).await.unwrap().metadata.managed_fields.unwrap_or_default();
    let is_data = |fields: &FieldsV1| fields.0.get("f:data").is_some();
    let of_data = managers.into_iter().filter(|entry| entry.fields_v1.as_ref().is_some_and(is_data));
    of_data.filter_map(|entry| entry.manager).collect()
}

#[tokio::test]
async fn an_adoption_that_is_only_tried_changes_nothing_and_one_that_is_repeated_is_the_same() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    let before = listed(&mut world, "edp1secrets").await;
    let mut trial = adopt("edp1secrets", vec![]);
    trial.validate_only = true;
    world.client.adopt_synced_secret(trial).await.unwrap();
    assert_eq!(world.get("edp1secrets").await.origin(), before.origin());

    let mut request = adopt("edp1secrets", vec![]);
    request.request_id = uuid::Uuid::new_v4().to_string();
    let first = world.client.adopt_synced_secret(request.clone()).await.unwrap().into_inner();
    let again = world.client.adopt_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((first.uid, first.generation), (again.uid, again.generation));
    world.until_state("edp1secrets", State::Synced).await;
}

#[tokio::test]
async fn a_rule_against_a_vault_secret_is_a_rule_against_the_adoption_of_what_holds_it() {
    let mut options = engine(SyncEngine::SecretStore);
    options.access.rules = ["deny * vaultSecrets/opc-*".parse().unwrap()].into_iter().collect();
    let mut world = made_by_the_portal_for(options).await;
    listed(&mut world, "edp1secrets").await;
    // The request names no vault secret: the edge does.
    let refused =
        told(&world.client.adopt_synced_secret(adopt("edp1secrets", Vec::new())).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "NAME_NOT_ALLOWED"));
    assert_eq!(world.get("edp1secrets").await.origin(), Origin::Unmanaged);
}

#[tokio::test]
async fn what_is_adopted_while_its_secretsync_goes_from_the_edge_stays_recorded() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    listed(&mut world, "edp1secrets").await;
    // While somebody else holds the database, the adoption waits to be recorded, and the mirror to record that the SecretSync is gone.
    let mut database = SqliteConnection::connect_with(
        &SqliteConnectOptions::new().filename(world.directory().join("secret-service.db")),
    )
    .await
    .unwrap();
    let held = database.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut client = world.client.clone();
    let adopting =
        tokio::spawn(async move { client.adopt_synced_secret(adopt("edp1secrets", vec![])).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.syncs().delete("edp1secrets", &Default::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    held.rollback().await.unwrap();

    adopting.await.unwrap().expect("it was there when it was looked at");
    // Later than the mirror: it takes in whatever is new at the edge.
    make_another(&world, "after").await;
    until_listed(&world, "after").await;
    assert_eq!(world.get("edp1secrets").await.origin(), Origin::Managed);
}

async fn make_another(world: &World, name: &str) {
    let mut sync = world.syncs().get("kafka1secrets").await.unwrap();
    sync.metadata = kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
    world.syncs().create(&PostParams::default(), &sync).await.unwrap();
}

/// A class and a SecretSync of somebody else, by the objects of the class, each a YAML text, and its keys.
async fn made_by_somebody(site: &Site, name: &str, objects: &[&str], keys: &[(&str, &str)]) {
    let objects = serde_yaml_ng::to_string(&json!({ "array": objects })).unwrap();
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
        "metadata": { "name": format!("class-of-{name}") },
        "spec": { "provider": "azure", "parameters": {
            "clientID": "c", "tenantID": "t", "keyvaultName": "contoso-aio", "objects": objects,
        }},
    });
    create_as::<SecretProviderClass>(&site.kube, &site.namespace, class).await;
    let data: Vec<_> =
        keys.iter().map(|(path, key)| json!({ "sourcePath": path, "targetKey": key })).collect();
    let sync = json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": { "name": name },
        "spec": {
            "secretProviderClassName": format!("class-of-{name}"), "serviceAccountName": "aio-ssc-sa",
            "secretObject": { "type": "Opaque", "data": data },
        },
    });
    create_as::<SecretSync>(&site.kube, &site.namespace, sync).await;
}

/// What is wrong with each field of a request.
pub fn violations(status: &tonic::Status) -> Vec<(String, String)> {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

#[tokio::test]
async fn keys_that_no_reference_can_ask_for_are_all_listed_and_their_adoption_is_refused_key_by_key() {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.seed("db", "v").await;
    let objects = [
        "objectName: db\nobjectType: secret\n",
        "objectName: db\nobjectType: secret\nobjectAlias: old\nobjectVersionHistory: 2\n",
        "objectName: db\nobjectType: cert\nobjectAlias: cert\n",
        "objectName: db\nobjectType: secret\nobjectAlias: pfx\nobjectFormat: pfx\n",
    ];
    let keys = [
        ("db", "plain"),
        ("old/0", "newest"),
        ("old/1", "older"),
        ("cert", "certificate"),
        ("pfx", "store"),
        ("nowhere", "lost"),
    ];
    made_by_somebody(&site, "mixed", &objects, &keys).await;
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = World::start_on(site, self::engine(engine)).await;
        let told = listed(&mut world, "mixed").await;
        let shown: Vec<_> =
            told.references.iter().map(|held| (held.key.as_str(), held.problem.is_some())).collect();
        let all = ["plain", "newest", "older", "certificate", "store", "lost"];
        assert_eq!(shown, all.map(|key| (key, key != "plain")), "{told:?}");
        let before = world.syncs().get("mixed").await.unwrap();

        let refused = world.client.adopt_synced_secret(adopt("mixed", vec![])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let said = violations(&refused);
        assert_eq!(said.len(), 5, "{said:?}");
        for (key, (field, why)) in all[1..].iter().zip(said) {
            assert_eq!(field, "references");
            assert!(why.contains(&format!("{key:?}")) && why.contains("AdoptSyncedSecret"), "{why}");
        }
        let partly = vec![existing("plain", "db"), existing("newest", "db")];
        let refused = world.client.adopt_synced_secret(adopt("mixed", partly)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "the keys that are left would be lost");
        assert_eq!(world.syncs().get("mixed").await.unwrap().spec, before.spec);
        assert_eq!(world.get("mixed").await.origin(), Origin::Unmanaged);
        world.stop_service().await;
        site = world.into_site();
        std::fs::remove_file(site.directory().join("secret-service.db")).unwrap();
    }
}

#[tokio::test]
async fn a_history_is_adopted_once_its_keys_are_told_and_the_secret_loses_none() {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.seed("db", "v").await;
    let objects = ["objectName: db\nobjectType: secret\nobjectVersionHistory: 2\n"];
    made_by_somebody(&site, "history", &objects, &[("db/0", "password")]).await;
    until(|| async { site.edge("history").await.is_some() }).await;
    let mut world = World::start_on(site, engine(SyncEngine::SecretStore)).await;
    until_listed(&world, "history").await;
    let refused = world.client.adopt_synced_secret(adopt("history", vec![])).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("objectVersionHistory"), "{refused:?}");

    let (before, held) =
        (world.secrets().get("history").await.unwrap(), world.edge("history").await.unwrap());
    let witness = Witness::of(&world, "history");
    let references = vec![existing("password", "db")];
    world.client.adopt_synced_secret(adopt("history", references)).await.unwrap();
    world.until_state("history", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
}

#[tokio::test]
async fn a_key_that_only_the_secret_has_is_not_lost_by_the_adoption_of_its_secretsync() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    until_listed(&world, "edp1secrets").await;
    let edit = json!({ "stringData": { "by-hand": "x" } });
    let kubectl = PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() };
    world.secrets().patch("edp1secrets", &kubectl, &Patch::Merge(edit)).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap_err();
    let said = violations(&refused);
    assert!(said.len() == 1 && said[0].1.contains("\"by-hand\""), "{said:?}");

    world.seed("by-hand", "x").await;
    let references = vec![
        existing("opc-username", "opc-username"),
        existing("opc-password", "opc-password"),
        existing("by-hand", "by-hand"),
    ];
    let (before, held) =
        (world.secrets().get("edp1secrets").await.unwrap(), world.edge("edp1secrets").await.unwrap());
    let witness = Witness::of(&world, "edp1secrets");
    world.client.adopt_synced_secret(adopt("edp1secrets", references)).await.unwrap();
    world.until_state("edp1secrets", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
}

/// A Secret as somebody makes it by hand.
pub async fn make_by_hand(world: &World, id: &str, secret_type: &str, immutable: Option<bool>) -> Secret {
    let mut secret = Secret { type_: Some(secret_type.to_owned()), immutable, ..Secret::default() };
    secret.metadata.name = Some(id.to_owned());
    let data = [("username", "operator"), ("password", "7")];
    secret.string_data = Some(data.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    world.secrets().create(&kubectl, &secret).await.unwrap()
}

pub fn both() -> Vec<SecretReference> {
    vec![existing("username", "pump-user"), existing("password", "pump-pass")]
}

#[tokio::test]
async fn a_secret_of_another_type_keeps_its_type_and_no_value_is_read_for_it() {
    let mut world = World::start_with(engine(SyncEngine::SecretStore)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let before = make_by_hand(&world, "by-hand", "kubernetes.io/basic-auth", None).await;
    let held = world.edge("by-hand").await.unwrap();
    let witness = Witness::of(&world, "by-hand");
    let adopted = world.client.adopt_synced_secret(adopt("by-hand", both())).await.unwrap().into_inner();
    assert_eq!(adopted.secret_type, "kubernetes.io/basic-auth");
    let owned = || async {
        let secret = world.secrets().get("by-hand").await.unwrap();
        secret.metadata.owner_references.is_some()
    };
    until(owned).await;
    world.until_state("by-hand", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
    let after = world.secrets().get("by-hand").await.unwrap();
    assert_eq!(after.type_.as_deref(), Some("kubernetes.io/basic-auth"));
}

#[tokio::test]
async fn a_secret_that_can_not_be_taken_over_is_refused_with_the_reason_and_stays_as_it_is() {
    let mut world = World::start_with(engine(SyncEngine::SecretStore)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let before = make_by_hand(&world, "frozen", "Opaque", Some(true)).await;
    let refused = world.client.adopt_synced_secret(adopt("frozen", both())).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("immutable"), "{refused:?}");
    assert_eq!(world.secrets().get("frozen").await.unwrap(), before);

    // Nobody is on record as the writer of its keys.
    make_by_hand(&world, "unsigned", "Opaque", None).await;
    let unsigned = json!({ "metadata": { "managedFields": [{}] } });
    world.secrets().patch("unsigned", &PatchParams::default(), &Patch::Merge(unsigned)).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("unsigned", both())).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("2 of the keys"), "{refused:?}");
}

#[tokio::test]
async fn what_came_in_the_way_of_a_synced_secret_can_be_adopted_as_it() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = World::start_with(self::engine(engine)).await;
        world.seed("pump-user", "operator").await;
        world.seed("pump-pass", "7").await;
        let request = create("edp1", vec![existing("username", "pump-user")]);
        world.client.create_synced_secret(request).await.unwrap();
        world.stop_service().await;
        world.secrets().delete("edp1", &Default::default()).await.unwrap();
        let theirs = make_by_hand(&world, "edp1", "kubernetes.io/basic-auth", None).await;
        world.start_service().await;
        let told = world.until_state("edp1", State::Degraded).await;
        assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");

        let other_keys = world.client.adopt_synced_secret(adopt("edp1", vec![])).await.unwrap_err();
        assert_eq!(other_keys.code(), Code::InvalidArgument, "{engine:?}: it has a password, too");
        let (held, witness) = (world.edge("edp1").await.unwrap(), Witness::of(&world, "edp1"));
        let adopted = world.client.adopt_synced_secret(adopt("edp1", both())).await.unwrap().into_inner();
        assert_eq!((adopted.uid, adopted.generation), (told.uid, told.generation + 1), "{engine:?}");
        world.until_state("edp1", State::Synced).await;
        witness.saw_no_gap(&theirs.uid().unwrap(), &held);
        let secret = world.secrets().get("edp1").await.unwrap();
        assert_eq!(secret.uid(), theirs.uid(), "{engine:?}");
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/basic-auth"));
        world.somebody.sets("pump-pass", "8").await;
        world.client.sync_synced_secret(sync("edp1")).await.unwrap();
        assert_eq!(world.edge("edp1").await.unwrap()["password"], "8", "{engine:?}");
    }
}

#[tokio::test]
async fn an_adoption_that_a_change_has_overtaken_is_refused_as_stale_and_the_change_stands() {
    let mut world = World::start_with(engine(SyncEngine::Direct)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    world.client.create_synced_secret(create("edp1", vec![existing("username", "pump-user")])).await.unwrap();
    world.stop_service().await;
    world.secrets().delete("edp1", &Default::default()).await.unwrap();
    make_by_hand(&world, "edp1", "Opaque", None).await;
    world.start_service().await;
    world.until_state("edp1", State::Degraded).await;

    let delay = Action::Delay { duration: Duration::from_secs(1) };
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        world.vault.faults().add(Rule::new(delay.clone()).on(read).named("pump-pass"));
    }
    let described =
        SyncedSecret { name: name("edp1"), description: "pump".to_owned(), ..SyncedSecret::default() };
    let described = UpdateSyncedSecretRequest { wait: None, ..update(described, &["description"]) };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (adopted, described) = tokio::join!(first.adopt_synced_secret(adopt("edp1", both())), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        second.update_synced_secret(described).await
    });
    described.unwrap();
    assert_eq!(adopted.unwrap_err().code(), Code::Aborted);
    let now = world.get("edp1").await;
    assert_eq!((now.description.as_str(), now.references.len()), ("pump", 1));
}

#[tokio::test]
async fn the_labels_of_a_secretsync_stay_with_its_adoption_but_for_those_that_the_service_sets_itself() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    let labels = json!({ "line": "4", "app.kubernetes.io/managed-by": "portal" });
    let labels = json!({ "spec": { "secretObject": { "labels": labels } } });
    let portal = PatchParams { field_manager: Some("portal".to_owned()), ..PatchParams::default() };
    world.syncs().patch("edp1secrets", &portal, &Patch::Merge(labels)).await.unwrap();
    until_listed(&world, "edp1secrets").await;
    world.until("edp1secrets", |secret| secret.labels.contains_key("line")).await;

    let adopted = world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap().into_inner();
    assert_eq!(adopted.labels, [("line".to_owned(), "4".to_owned())].into());
    assert_eq!(world.until_state("edp1secrets", State::Synced).await.labels, adopted.labels);
}
