//! The Secret of a SecretSync: its content from the provider's files, and its one write.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};
use zeroize::{Zeroize, Zeroizing};

use super::{
    FIELD_MANAGER, LABEL,
    conditions::Reason,
    failure::Failure,
    provider::{File, Files},
    resources::{Mapping, SECRET_SYNC_KIND, SECRET_SYNC_VERSION, SecretSync},
    tls,
};

/// What goes into the Secret.
pub(super) struct Content {
    data: BTreeMap<String, Zeroizing<Vec<u8>>>,
    /// By key: why it could not be fetched. It has its old value, or none.
    pub missing: BTreeMap<String, String>,
}

/// The Secrets of a namespace, under the controller's hands.
pub(super) struct Secrets(Api<Secret>);

// === impl Content ===

impl Content {
    /// Takes from the files what the SecretSync maps. A Secret of which some keys are missing has old values under them, where it has
    /// any; one of which all are missing is a failure.
    pub async fn gather(sync: &SecretSync, files: &Files, secrets: &Secrets) -> Result<Self, Failure> {
        let (mut data, mut missing) = (BTreeMap::new(), BTreeMap::new());
        for Mapping { source_path, target_key } in &sync.spec.secret_object.data {
            match files.get(source_path) {
                File::Found(file) => {
                    let content = match sync.spec.secret_object.kind.as_str() {
                        "kubernetes.io/tls" => tls::part(file, target_key).map_err(unfit)?,
                        _ => file.clone(),
                    };
                    data.insert(target_key.clone(), content);
                }
                File::Missing(why) => {
                    missing.insert(target_key.clone(), why.to_owned());
                }
                File::Unknown => {
                    return Err(unfit(format!(
                        "file matching sourcePath {source_path} not found in the pod"
                    )));
                }
            }
        }
        if let (true, Some(why)) = (data.is_empty(), missing.values().next()) {
            return Err(Failure::new(Reason::ProviderError, fetching_failed(why)));
        }
        if !missing.is_empty() {
            let old = secrets.data(&sync.name_any()).await?;
            data.extend(old.into_iter().filter(|(key, _)| missing.contains_key(key)));
        }
        Ok(Self { data, missing })
    }

    /// The same bytes for the same content.
    pub fn canonical(&self) -> Zeroizing<Vec<u8>> {
        let parts = self.data.iter().flat_map(|(key, value)| [key.as_bytes(), value.as_slice()]);
        let parts = parts.chain(self.missing.keys().map(String::as_bytes));
        Zeroizing::new(
            parts.flat_map(|part| part.len().to_be_bytes().into_iter().chain(part.iter().copied())).collect(),
        )
    }

    /// What became of each key, as JSON.
    pub fn outcomes(&self) -> String {
        let fetched = self.data.keys().filter(|key| !self.missing.contains_key(*key));
        let outcomes: BTreeMap<&str, &str> = fetched
            .map(|key| (key.as_str(), "Success"))
            .chain(self.missing.iter().map(|(key, why)| (key.as_str(), why.as_str())))
            .collect();
        serde_json::to_string(&outcomes).expect("strings are always JSON")
    }
}

// === impl Secrets ===

impl Secrets {
    pub fn of(client: &Client, namespace: &str) -> Self {
        Self(Api::namespaced(client.clone(), namespace))
    }

    /// Writes the Secret without force: where another manager has other values, that is a conflict.
    pub async fn apply(&self, sync: &SecretSync, content: &Content) -> Result<(), Failure> {
        let (name, object) = (sync.name_any(), &sync.spec.secret_object);
        let mut labels = object.labels.clone();
        labels.insert(LABEL.to_owned(), String::new());
        let mut secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some(labels),
                annotations: (!object.annotations.is_empty()).then(|| object.annotations.clone()),
                owner_references: Some(vec![owner(sync)]),
                ..ObjectMeta::default()
            },
            data: Some(
                content.data.iter().map(|(key, value)| (key.clone(), ByteString(value.to_vec()))).collect(),
            ),
            type_: Some(object.kind.clone()),
            ..Secret::default()
        };
        let patch = Patch::Apply(&secret);
        // Metadata only: the answer would bring the values back.
        let written = self.0.patch_metadata(&name, &PatchParams::apply(FIELD_MANAGER), &patch).await;
        wipe(&mut secret);
        match written {
            Ok(_) => Ok(()),
            Err(error) => {
                let message = format!("failed to patch secret {name:?}: {error}");
                Err(Failure::new(Reason::ControllerPatchError, message))
            }
        }
    }

    async fn data(&self, name: &str) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, Failure> {
        let found = self.0.get_opt(name).await.map_err(|error| {
            Failure::new(Reason::ControllerSyncError, format!("failed to get secret {name:?}: {error}"))
        })?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        Ok(data.into_iter().map(|(key, ByteString(value))| (key, Zeroizing::new(value))).collect())
    }
}

fn owner(sync: &SecretSync) -> OwnerReference {
    OwnerReference {
        api_version: SECRET_SYNC_VERSION.to_owned(),
        kind: SECRET_SYNC_KIND.to_owned(),
        name: sync.name_any(),
        uid: sync.uid().unwrap_or_default(),
        ..OwnerReference::default()
    }
}

fn wipe(secret: &mut Secret) {
    for ByteString(value) in secret.data.iter_mut().flat_map(BTreeMap::values_mut) {
        value.zeroize();
    }
}

fn unfit(why: String) -> Failure {
    Failure::new(Reason::RemoteSecretStoreFetchFailed, fetching_failed(&why))
}

/// What the message of a failed fetch begins with.
pub(super) fn fetching_failed(why: &str) -> String {
    format!("fetching secrets from the provider failed: {why}")
}
