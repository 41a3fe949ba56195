//! Installs the extension's custom resources, and sets up an instance for it.

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::definitions::{self, InstallError};

/// As their projects publish them.
const DEFINITIONS: [&str; 2] = [
    include_str!("../../../../examples/crds/secret-store/secretproviderclasses.yaml"),
    include_str!("../../../../examples/crds/secret-store/secretsyncs.yaml"),
];
/// The field manager.
const INSTALLER: &str = "secret-store-extension";
/// The service account that `az iot ops secretsync enable` federates.
const ACCOUNT: &str = "aio-ssc-sa";

/// Installs SecretSyncs and SecretProviderClasses, and returns when they are served. Changes nothing if they are
/// installed.
pub async fn install(client: &Client) -> Result<(), InstallError> {
    definitions::install(client, INSTALLER, &DEFINITIONS).await
}

/// Creates the service account of the extension, with the identity that it is federated with.
pub async fn enable(client: &Client, namespace: &str, client_id: &str) -> Result<(), kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": ACCOUNT, "annotations": { "azure.workload.identity/client-id": client_id } },
    });
    accounts.patch(ACCOUNT, &PatchParams::apply(INSTALLER).force(), &Patch::Apply(account)).await.map(drop)
}
