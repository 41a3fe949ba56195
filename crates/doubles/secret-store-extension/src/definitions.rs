//! Installs custom resource definitions on a cluster through its API.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::wait::{self, await_condition, conditions::is_crd_established},
};
use serde::Deserialize;
use tokio::time::timeout;

/// The timeout. An API server establishes a definition within a second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why definitions can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A definition is malformed.
    #[error("a custom resource definition can't be read: {0}")]
    Unreadable(#[from] serde_yaml_ng::Error),
    /// The cluster refuses a definition or is unreachable.
    #[error("the custom resource definitions can't be installed: {0}")]
    Refused(#[from] kube::Error),
    /// The watch for a definition's establishment failed.
    #[error("the establishment of {name} can't be watched: {error}")]
    Unwatched {
        /// The definition.
        name: String,
        /// Why not.
        #[source]
        error: wait::Error,
    },
    /// The cluster accepted a definition and doesn't serve it.
    #[error("{name} was not established within {}", humantime::format_duration(PATIENCE))]
    NotEstablished {
        /// The definition.
        name: String,
    },
}

/// Applies the definitions in these YAML streams with a field manager, and returns when they are established.
pub async fn install(client: &Client, manager: &str, streams: &[&str]) -> Result<(), InstallError> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for document in streams.iter().flat_map(|stream| serde_yaml_ng::Deserializer::from_str(stream)) {
        let definition = serde_json::Value::deserialize(document)?;
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        let parameters = PatchParams::apply(manager).force();
        let name = definitions.patch(name, &parameters, &Patch::Apply(&definition)).await?.name_any();
        let established = await_condition(definitions.clone(), &name, is_crd_established());
        match timeout(PATIENCE, established).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(InstallError::Unwatched { name, error }),
            Err(_) => return Err(InstallError::NotEstablished { name }),
        }
    }
    Ok(())
}
