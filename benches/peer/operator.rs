//! External Secrets Operator in a process of its own, and the thousand ExternalSecrets that it is given.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use doubles_common::proxy::{Options, Proxy};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use key_vault_double::public_host;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::sleep,
};

use crate::{
    ground::{KEYS, SECRETS, synced_secret, vault_secret},
    support::{PATIENCE, Site, control_plane},
};

/// Creations in flight.
const IN_FLIGHT: usize = 16;
/// The SecretStore, and by which name the operator knows the vault.
const STORE: &str = "vault";
const VAULT: &str = "contoso-aio";
/// A synced state that is not there by then won't be.
const PATIENCE_WITH_SYNC: Duration = Duration::from_secs(600);

/// A running operator. Dropped, it is killed.
pub struct Operator {
    child: Child,
    /// The way to the vault: the operator checks that a vault's challenge is of the vault's own domain, so it comes by Azure's name.
    _proxy: Proxy,
}

/// Applies the operator's custom resource definitions, and waits until they are served.
pub async fn define(site: &Site, directory: &Path) {
    let definitions: Api<CustomResourceDefinition> = Api::all(site.kube.clone());
    for entry in std::fs::read_dir(directory.join("crds")).expect("scripts/peer puts them there") {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let definition: Value = serde_yaml_ng::from_str(&text).expect("it is YAML");
        let name = definition["metadata"]["name"].as_str().expect("it has a name").to_owned();
        let parameters = PatchParams::apply("bench").force();
        let applied = definitions.patch(&name, &parameters, &Patch::Apply(&definition)).await;
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
        until(&name, || async {
            let served = definitions.get(&name).await.expect("it is there").status;
            has(served.map(|status| json!(status.conditions)).as_ref(), "Established")
        })
        .await;
    }
}

// === impl Operator ===

impl Operator {
    /// Starts it for the site's namespace, and waits until it has found the vault usable.
    pub async fn start(site: &Site, directory: &Path, flags: &[&str]) -> Self {
        let routes = BTreeMap::from([(public_host(VAULT), site.vault.address())]);
        let proxy = Proxy::start(Options { port: 0, routes }).await.expect("the proxy starts");
        let kubeconfig = control_plane::shared().await.admin_kubeconfig();
        let child = process(site, &proxy, kubeconfig, directory, flags);
        let operator = Self { child, _proxy: proxy };
        let stores = resources(site, "SecretStore");
        let new = serde_json::from_value(store()).expect("an object");
        stores.create(&PostParams::default(), &new).await.expect("the API server takes the store");
        until("the store is ready", || async {
            let store = stores.get(STORE).await.expect("it is there");
            has(store.data.pointer("/status/conditions"), "Ready")
        })
        .await;
        operator
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Creates all ExternalSecrets, and waits until a watch has told that every one is synced.
    pub async fn create_all(&self, site: &Site) {
        let secrets = resources(site, "ExternalSecret");
        let synced = tokio::spawn(all_synced(secrets.clone()));
        futures::stream::iter(0..SECRETS)
            .map(|number| {
                let (secrets, new) = (secrets.clone(), external_secret(number));
                let new = serde_json::from_value(new).expect("an object");
                async move { secrets.create(&PostParams::default(), &new).await.map(drop) }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<Vec<_>>()
            .await
            .expect("the API server takes them");
        let all = tokio::time::timeout(PATIENCE_WITH_SYNC, synced).await;
        all.expect("all are synced in time").expect("the watch goes on until all are synced");
    }
}

fn process(site: &Site, proxy: &Proxy, kubeconfig: &Path, directory: &Path, flags: &[&str]) -> Child {
    let log = std::fs::File::create(site.directory().join("operator.log")).expect("a log");
    Command::new(directory.join("external-secrets"))
        .args(["--metrics-addr=0", "--live-addr=0", &format!("--namespace={}", site.namespace)])
        .args(flags)
        .env_clear()
        .env("KUBECONFIG", kubeconfig)
        .env("HTTPS_PROXY", proxy.url().as_str())
        .env("SSL_CERT_FILE", &site.ca)
        .env("IDENTITY_ENDPOINT", site.vault.identity_endpoint().as_str())
        .env("IDENTITY_HEADER", site.vault.credential().secret.expose_secret())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("it starts")
}

/// A vault on the operator's newer SDK, as whom the machine is.
fn store() -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": { "name": STORE },
        "spec": { "provider": { "azurekv": {
            "authType": "ManagedIdentity",
            "useAzureSDK": true,
            "vaultUrl": format!("https://{}", public_host(VAULT)),
        } } },
    })
}

fn external_secret(number: usize) -> Value {
    let data = KEYS.map(|key| json!({ "secretKey": key, "remoteRef": { "key": vault_secret(number, key) } }));
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": { "name": synced_secret(number) },
        "spec": { "refreshInterval": "1h", "secretStoreRef": { "name": STORE, "kind": "SecretStore" }, "data": data },
    })
}

async fn all_synced(secrets: Api<DynamicObject>) {
    let mut synced = HashSet::new();
    let mut events =
        std::pin::pin!(watcher(secrets, watcher::Config::default()).default_backoff().applied_objects());
    while synced.len() < SECRETS {
        let secret = events.next().await.expect("a watch has no end").expect("the watch goes on");
        if has(secret.data.pointer("/status/conditions"), "Ready") {
            synced.insert(secret.metadata.name);
        }
    }
}

fn resources(site: &Site, kind: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("external-secrets.io", "v1", kind));
    Api::namespaced_with(site.kube.clone(), &site.namespace, &kind)
}

/// Whether one of these conditions is true.
fn has(conditions: Option<&Value>, kind: &str) -> bool {
    let mut conditions = conditions.and_then(Value::as_array).into_iter().flatten();
    conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
}

async fn until(what: &str, mut asked: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !asked().await {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
