//! The custom resources of the Secret Store extension, as far as they are read and written here.
//!
//! What is read may have been written by anybody and by any version: what is absent has its default, what is
//! unknown is left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// The source of the values (`secrets-store.csi.x-k8s.io/v1`).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "secrets-store.csi.x-k8s.io",
    version = "v1",
    kind = "SecretProviderClass",
    plural = "secretproviderclasses",
    namespaced,
    schema = "disabled"
)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretProviderClassSpec {
    /// The provider of the values; `azure` for Key Vault.
    pub provider: String,
    /// The parameters of the provider.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// Maps values to a Kubernetes Secret of the same name (`secret-sync.x-k8s.io/v1alpha1`).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "secret-sync.x-k8s.io",
    version = "v1alpha1",
    kind = "SecretSync",
    plural = "secretsyncs",
    namespaced,
    status = "SecretSyncStatus",
    schema = "disabled"
)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretSyncSpec {
    /// The SecretProviderClass, in the same namespace.
    pub secret_provider_class_name: String,
    /// The service account that the extension uses for the vault.
    pub service_account_name: String,
    /// The Kubernetes Secret.
    pub secret_object: SecretObject,
    /// Any change of it makes the extension sync now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_synchronization: Option<String>,
}

/// The Kubernetes Secret that a SecretSync makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretObject {
    /// Its type.
    pub r#type: String,
    /// Its keys.
    pub data: Vec<SecretObjectData>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A key of the Kubernetes Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretObjectData {
    /// The alias or the name of an object of the class.
    pub source_path: String,
    /// The key.
    pub target_key: String,
}

/// The extension's status of a SecretSync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretSyncStatus {
    /// `SecretCreated` and `SecretUpdated`, or others.
    pub conditions: Vec<SyncCondition>,
    /// Of the data, both generations and `forceSynchronization` of the last success.
    pub sync_hash: String,
    /// When that was. Its age says nothing: it stays while the hash stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Timestamp>,
}

/// A condition of a SecretSync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncCondition {
    /// The type of the condition.
    pub r#type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, for programs.
    pub reason: String,
    /// Why, for people; may be long and a dump.
    pub message: String,
    /// When `status` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Timestamp>,
}
