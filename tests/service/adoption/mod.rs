//! What other tools made: listed as it is, and taken over without the Secret ever being away or another.

mod calls;
mod encodings;
mod exactness;
mod in_place;
mod listing;
mod owned;

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::FieldsV1};
use key_vault_double::{Fault, FaultRule, OnOperation, Operation};
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

use crate::support::{Options, PATIENCE, Site, World, kubectl, requests::*, until_so_within};

const PORTAL: &str = include_str!("../../../examples/made-by-the-portal.yaml");

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

/// Longer than the garbage collector takes to learn of new custom resources.
async fn until(is_so: impl AsyncFnMut() -> bool) {
    until_so_within(3 * PATIENCE, "what the adoption waits for", is_so).await;
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

fn told_of(status: &tonic::Status) -> (Code, String) {
    let told = told(status);
    (told.code, told.reason)
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

/// What is wrong with each field of a request.
pub fn violations(status: &tonic::Status) -> Vec<(String, String)> {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
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

async fn make_another(world: &World, name: &str) {
    let mut sync = world.syncs().get("kafka1secrets").await.unwrap();
    sync.metadata = kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
    world.syncs().create(&PostParams::default(), &sync).await.unwrap();
}
