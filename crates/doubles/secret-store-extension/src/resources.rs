//! The custom resources that the controller reads: SecretSyncs and the SecretProviderClasses that they name.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::core::{ApiResource, GroupVersionKind, NotUsed, Object};
use serde::{Deserialize, Serialize};

/// What is to be synced into the Secret of the same name, and how that went.
pub(super) type SecretSync = Object<SecretSyncSpec, SecretSyncStatus>;
/// A class of vault objects; its generation and uid count as much as what it says.
pub(super) type SecretProviderClass = Object<SecretProviderClassSpec, NotUsed>;

/// The `apiVersion` of SecretSyncs.
pub(super) const SECRET_SYNC_VERSION: &str = "secret-sync.x-k8s.io/v1alpha1";
/// The `kind` of SecretSyncs.
pub(super) const SECRET_SYNC_KIND: &str = "SecretSync";

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretSyncSpec {
    pub secret_provider_class_name: String,
    pub service_account_name: String,
    pub secret_object: SecretObject,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub force_synchronization: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SecretObject {
    #[serde(rename = "type", default = "opaque")]
    pub kind: String,
    pub data: Vec<Mapping>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// From a file of the provider to a key of the Secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mapping {
    pub source_path: String,
    pub target_key: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretSyncStatus {
    #[serde(default)]
    pub conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_sync_time: Option<Time>,
    /// Of what was written last; absent while nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_hash: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SecretProviderClassSpec {
    #[serde(default)]
    pub provider: String,
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

pub(super) fn secret_syncs() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("secret-sync.x-k8s.io", "v1alpha1", SECRET_SYNC_KIND))
}

pub(super) fn secret_provider_classes() -> ApiResource {
    let kind = GroupVersionKind::gvk("secrets-store.csi.x-k8s.io", "v1", "SecretProviderClass");
    // The plural that is guessed would end in "classs".
    ApiResource::from_gvk_with_plural(&kind, "secretproviderclasses")
}

fn opaque() -> String {
    "Opaque".to_owned()
}
