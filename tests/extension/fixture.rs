//! A vault, a cluster with the extension's custom resources, and the extension's double between them.

use std::{collections::BTreeMap, time::Duration};

use key_vault_double::Operation;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use secret_store_extension_double::{Extension, Options, VaultAccess, install};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{NAMESPACE, PATIENCE, Site};

pub const CREATED: &str = "SecretCreated";
pub const UPDATED: &str = "SecretUpdated";
/// The account that the extension comes to the vault as, as `az iot ops` makes it.
const ACCOUNT: &str = "aio-ssc-sa";
const VAULT: &str = "contoso-aio";

pub struct Fixture {
    pub site: Site,
    pub extension: Extension,
    pub options: Options,
    pub syncs: Api<DynamicObject>,
    pub classes: Api<DynamicObject>,
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub status: String,
    pub reason: String,
    pub message: String,
}

// === impl Fixture ===

impl Fixture {
    /// As upstream is: all or nothing.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(choose: impl FnOnce(&mut Options)) -> Self {
        let site = Site::start().await;
        install(&site.kube).await.unwrap();
        let access = VaultAccess {
            vaults: BTreeMap::from([(VAULT.to_owned(), site.vault.uri())]),
            authority_host: site.vault.authority_host(),
            credential: site.vault.credential().clone(),
            ca_file: site.ca.clone(),
            proxy: None,
        };
        let mut options = Options::new(&site.admin_kubeconfig.clone(), access);
        // On the real control plane, others work in other namespaces.
        options.namespaces = Some(vec![site.namespace.clone()]);
        options.partial_sync = false;
        choose(&mut options);
        let extension = Extension::start(options.clone()).await.unwrap();
        let api = |group, version, kind, plural| {
            let resource =
                ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
            Api::namespaced_with(site.kube.clone(), &site.namespace, &resource)
        };
        let syncs = api("secret-sync.x-k8s.io", "v1alpha1", "SecretSync", "secretsyncs");
        let classes = api("secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass", "secretproviderclasses");
        let fixture = Self { site, extension, options, syncs, classes };
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}});
        let accounts = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ServiceAccount"));
        let accounts = Api::namespaced_with(fixture.site.kube.clone(), &fixture.site.namespace, &accounts);
        apply(&accounts, &account).await;
        fixture
    }

    /// Applies what the portal leaves, as `examples/made-by-the-portal.yaml` has it.
    pub async fn apply_the_portals(&self) {
        let text = include_str!("../../examples/made-by-the-portal.yaml");
        for document in serde_yaml_ng::Deserializer::from_str(text) {
            let mut object = Value::deserialize(document).unwrap();
            assert_eq!(object["metadata"]["namespace"], NAMESPACE);
            object["metadata"]["namespace"] = json!(self.site.namespace);
            let api = if object["kind"] == "SecretSync" { &self.syncs } else { &self.classes };
            apply(api, &object).await;
        }
    }

    /// A class of secrets, each named as in the vault.
    pub async fn class(&self, name: &str, secrets: &[&str]) {
        let objects: Vec<String> =
            secrets.iter().map(|secret| format!("objectName: {secret}\nobjectType: secret\n")).collect();
        self.class_of(name, &objects).await;
    }

    /// A class of objects, each a YAML text.
    pub async fn class_of(&self, name: &str, objects: &[String]) {
        let objects = serde_yaml_ng::to_string(&json!({"array": objects})).unwrap();
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
            "metadata": {"name": name},
            "spec": {"provider": "azure", "parameters": {
                "clientID": "c", "tenantID": "t", "keyvaultName": VAULT, "objects": objects,
            }},
        });
        apply(&self.classes, &class).await;
    }

    /// A SecretSync of `(sourcePath, targetKey)` pairs.
    pub async fn sync(&self, name: &str, class: &str, data: &[(&str, &str)]) {
        self.sync_of(name, class, "Opaque", data).await;
    }

    pub async fn sync_of(&self, name: &str, class: &str, kind: &str, data: &[(&str, &str)]) {
        let data: Vec<Value> =
            data.iter().map(|(path, key)| json!({"sourcePath": path, "targetKey": key})).collect();
        let sync = json!({
            "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": {"name": name},
            "spec": {
                "secretProviderClassName": class, "serviceAccountName": ACCOUNT,
                "secretObject": {"type": kind, "data": data},
            },
        });
        apply(&self.syncs, &sync).await;
    }

    /// A vault secret, its class, and a SecretSync of it that is in sync, all of one name.
    pub async fn synced(&self, name: &str, value: &str) {
        self.site.seed(name, value).await;
        self.class(name, &[name]).await;
        self.sync(name, name, &[(name, "password")]).await;
        self.until_edge(name, "password", value).await;
        self.until(name, UPDATED, "SecretUpToDate").await;
    }

    /// Sets `forceSynchronization` to what it never was.
    pub async fn force(&self, name: &str) {
        self.change(name, json!({"forceSynchronization": uuid::Uuid::new_v4()})).await;
    }

    /// Changes the spec of a SecretSync.
    pub async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.syncs.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    pub async fn status(&self, name: &str) -> Value {
        let sync = self.syncs.get(name).await.unwrap();
        sync.data.get("status").cloned().unwrap_or_default()
    }

    pub async fn condition(&self, name: &str, kind: &str) -> Option<Condition> {
        let status = self.status(name).await;
        let found = status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
    }

    /// Waits until a condition has a reason.
    pub async fn until(&self, name: &str, kind: &str, reason: &str) -> Condition {
        let begun = Instant::now();
        loop {
            let condition = self.condition(name, kind).await;
            match condition {
                Some(condition) if condition.reason == reason => return condition,
                other => assert!(begun.elapsed() < PATIENCE, "{name} {kind} {reason}: {other:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the edge holds a value.
    pub async fn until_edge(&self, name: &str, key: &str, value: &str) {
        let holds =
            async || self.site.edge(name).await.is_some_and(|data| data.get(key).is_some_and(|v| v == value));
        eventually(
            &format!("{name} has {key}={value} (SecretSync: {:?})", self.syncs.get_opt(name).await),
            holds,
        )
        .await;
    }

    /// Tokens that were asked for.
    pub fn tokens(&self) -> u64 {
        self.site.vault.requests().of(Operation::Token)
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    within(PATIENCE, what, holds).await;
}

/// Waits until the garbage collector has done something. It looks for new kinds of objects every 30 seconds only.
pub async fn collected(what: &str, holds: impl AsyncFn() -> bool) {
    within(PATIENCE.max(Duration::from_secs(90)), what, holds).await;
}

async fn within(patience: Duration, what: &str, holds: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < patience, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// As the portal does.
async fn apply(api: &Api<DynamicObject>, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap();
    api.patch(name, &PatchParams::apply("portal").force(), &Patch::Apply(object)).await.unwrap();
}
