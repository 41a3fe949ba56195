//! The installation of the extension's custom resources, and what an instance is set up with for it.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::ServiceAccount,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::wait::{self, await_condition, conditions::is_crd_established},
};
use serde_json::{Value, json};
use tokio::time::timeout;

/// As their projects publish them.
const DEFINITIONS: [&str; 2] = [
    include_str!("../../../examples/crds/secret-store/secretproviderclasses.yaml"),
    include_str!("../../../examples/crds/secret-store/secretsyncs.yaml"),
];
/// As whom they are applied.
const INSTALLER: &str = "secret-store-extension";
/// The account that `az iot ops secretsync enable` federates.
const ACCOUNT: &str = "aio-ssc-sa";
/// An API server establishes a definition in a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the custom resources can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The cluster refuses a definition, or can't be reached.
    #[error("the custom resources of the Secret Store extension can't be installed: {0}")]
    Refused(#[from] kube::Error),
    /// The watch for its establishment.
    #[error("the establishment of {name} can't be watched: {error}")]
    Unwatched {
        /// The definition.
        name: String,
        /// Why not.
        #[source]
        error: wait::Error,
    },
    /// The cluster took a definition and doesn't serve it.
    #[error("{name} was not established within {}", humantime::format_duration(PATIENCE))]
    NotEstablished {
        /// The definition.
        name: String,
    },
}

/// Installs SecretSyncs and SecretProviderClasses, and returns when they are served. Where they are installed, nothing changes.
pub async fn install(client: &Client) -> Result<(), InstallError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for text in DEFINITIONS {
        let definition: Value = serde_yaml_ng::from_str(text).expect("the published definitions are YAML");
        let name = definition["metadata"]["name"].as_str().expect("a definition has a name");
        let parameters = PatchParams::apply(INSTALLER).force();
        definitions.patch(name, &parameters, &Patch::Apply(&definition)).await?;
        let established = await_condition(definitions.clone(), name, is_crd_established());
        match timeout(PATIENCE, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(InstallError::Unwatched { name: name.to_owned(), error }),
            Err(_) => return Err(InstallError::NotEstablished { name: name.to_owned() }),
        }
    }
    Ok(())
}

/// Makes the account as which the extension comes to the vault, with the identity that it is federated with.
pub async fn enable(client: &Client, namespace: &str, client_id: &str) -> Result<(), kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": ACCOUNT, "annotations": { "azure.workload.identity/client-id": client_id } },
    });
    accounts.patch(ACCOUNT, &PatchParams::apply(INSTALLER).force(), &Patch::Apply(account)).await.map(drop)
}
