//! The doubles of the vault, of the cluster and of the Secret Store extension, in memory; the ledger is told of all that changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use doubles_common::tls::Authority;
use key_vault_double::{Happened, KeyVault, Options};
use kubernetes_double::Cluster;
use secrecy::ExposeSecret;
use secret_service::{edge::UID_LABEL, model::SyncEngine};
use secret_store_extension_double::{self as extension, Extension};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    model::{EdgeSecret, Ledger, VaultChange, Version},
    world::{NAMESPACE, VAULT},
};

/// Who else than the service writes a Secret right now.
#[derive(Clone, Default)]
pub struct Hands(Arc<Mutex<HashMap<String, usize>>>);

/// While it lives, somebody else writes a Secret.
pub struct Hand {
    hands: Hands,
    name: String,
}

impl Hands {
    /// Says that somebody else is about to write a Secret, until the guard is dropped.
    pub fn at(&self, name: &str) -> Hand {
        *self.0.lock().expect("a lock").entry(name.to_owned()).or_default() += 1;
        Hand { hands: self.clone(), name: name.to_owned() }
    }

    fn are_at(&self, name: &str) -> bool {
        self.0.lock().expect("a lock").get(name).is_some_and(|hands| *hands > 0)
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        *self.hands.0.lock().expect("a lock").entry(self.name.clone()).or_default() -= 1;
    }
}

/// A vault that tells the ledger of every change.
pub async fn vault(directory: &TempDir, authority: &Authority, ledger: &Arc<Ledger>) -> KeyVault {
    let options = Options { directory: directory.path().to_owned(), port: 0, latency: Duration::ZERO };
    let vault = KeyVault::start_in_memory(options, authority).await.expect("the vault starts");
    let ledger = ledger.clone();
    vault.witness(move |happened| {
        let change = match happened {
            Happened::Version(version) => VaultChange::Version(Version {
                name: version.name.clone(),
                id: version.id.to_owned(),
                sequence: version.sequence,
                value: version.value.expose_secret().to_owned(),
                tag: version.tags.and_then(|tags| tags.get("secret-service").cloned()),
                enabled: version.enabled,
            }),
            Happened::Deleted(name) => VaultChange::Deleted(name.to_owned()),
            Happened::Recovered(name) => VaultChange::Recovered(name.to_owned()),
            Happened::Purged(name) => VaultChange::Purged(name.to_owned()),
        };
        ledger.vault_changed(change);
    });
    vault
}

/// A cluster that tells the ledger of every change in the namespace.
pub async fn cluster(
    directory: &TempDir,
    authority: &Authority,
    ledger: &Arc<Ledger>,
    hands: &Hands,
) -> Cluster {
    use kubernetes_double::Options;
    let options =
        Options { directory: directory.path().to_owned(), port: 0, namespace: NAMESPACE.to_owned() };
    let cluster = Cluster::start_in_memory(options, authority).await.expect("the cluster starts");
    let (ledger, hands) = (ledger.clone(), hands.clone());
    let syncs: Mutex<HashSet<String>> = Mutex::default();
    cluster.witness(move |happened| {
        if happened.namespace != NAMESPACE {
            return;
        }
        if !happened.resource.ends_with("/secrets") {
            if happened.resource.contains("secretsync") {
                let (mut syncs, uid) = (syncs.lock().expect("a lock"), uid(&happened.object["metadata"]));
                if happened.removed {
                    syncs.remove(&uid)
                } else {
                    syncs.insert(uid)
                };
                let what = if happened.removed { "removed" } else { "is" };
                ledger.say(format!(
                    "the edge: {} {} {what} {}",
                    happened.resource, happened.name, happened.object["metadata"]["generation"]
                ));
            }
            return;
        }
        let by_others = hands.are_at(happened.name);
        let mut secret = edge_secret(happened.name, happened.object);
        (secret.removed, secret.by_others) = (happened.removed, by_others);
        let owners = happened.object["metadata"]["ownerReferences"].as_array();
        let (owners, syncs) = (owners.map(Vec::as_slice).unwrap_or_default(), syncs.lock().expect("a lock"));
        secret.owners_are_gone =
            !owners.is_empty() && !owners.iter().any(|owner| syncs.contains(&uid(owner)));
        drop(syncs);
        ledger.edge_changed(secret);
    });
    cluster
}

fn uid(of: &Value) -> String {
    of["uid"].as_str().unwrap_or_default().to_owned()
}

fn edge_secret(name: &str, object: &Value) -> EdgeSecret {
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let map = |value: &Value| -> BTreeMap<String, String> {
        value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
    };
    let labels = map(&metadata["labels"]);
    EdgeSecret {
        name: name.to_owned(),
        uid: text(&metadata["uid"]),
        ours: labels.get(UID_LABEL).cloned(),
        data: map(&object["data"])
            .into_iter()
            .map(|(key, value)| (key, STANDARD.decode(value).unwrap_or_default()))
            .collect(),
        annotations: map(&metadata["annotations"]),
        finalizers: metadata["finalizers"].as_array().into_iter().flatten().map(text).collect(),
        labels,
        removed: false,
        by_others: false,
        owners_are_gone: false,
    }
}

/// Somebody who may do everything in a cluster.
pub async fn client(kubeconfig: &Path) -> kube::Client {
    use kube::config::{Config, KubeConfigOptions, Kubeconfig};
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a kubeconfig");
    config.default_retry = false;
    kube::Client::try_from(config).expect("a client")
}

/// The double of the Secret Store extension, with the Secret Store engine.
pub async fn extension(
    engine: SyncEngine,
    vault: &KeyVault,
    cluster: &Cluster,
    kube: &kube::Client,
    ca: &Path,
) -> Option<Extension> {
    if engine != SyncEngine::SecretStore {
        return None;
    }
    extension::install(kube).await.expect("the extension's kinds");
    let identity = &vault.credential().client_id;
    extension::enable(kube, NAMESPACE, identity).await.expect("the extension's account");
    let access = extension::VaultAccess {
        vaults: BTreeMap::from([(VAULT.to_owned(), vault.uri())]),
        authority_host: vault.authority_host(),
        credential: vault.credential().clone(),
        ca_file: ca.to_owned(),
        proxy: None,
    };
    let namespaces = Some(vec![NAMESPACE.to_owned()]);
    // Half of the time of a run would be that of the hash.
    let hash_iterations = std::num::NonZeroU32::MIN;
    let options = extension::Options {
        namespaces,
        hash_iterations,
        ..extension::Options::new(cluster.kubeconfig(), access)
    };
    Some(Extension::start(options).await.expect("the extension starts"))
}
