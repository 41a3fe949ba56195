//! The kinds of Azure IoT Operations that can name secrets, in the cluster of dev mode: there is no AIO to bring them.

use std::path::Path;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, Config, ResourceExt,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;

use crate::cli::Failure;

/// Definitions with open schemas.
const DEFINITIONS: [&str; 4] = [
    include_str!("../../../examples/crds/aio/deviceregistry.yaml"),
    include_str!("../../../examples/crds/aio/connectivity.yaml"),
    include_str!("../../../examples/crds/aio/mqttbroker.yaml"),
    include_str!("../../../examples/crds/aio/iotoperations.yaml"),
];
/// Whose the definitions are in `managedFields`.
const MANAGER: &str = "secret-service-dev";

/// Installs them, as anybody would; those that are there already stay as they are, save what these say.
pub(super) async fn install(kubeconfig: &Path) -> Result<(), Failure> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).map_err(Failure::failed)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let client = Client::try_from(config.map_err(Failure::failed)?).map_err(Failure::failed)?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client);
    for document in DEFINITIONS.into_iter().flat_map(serde_yaml_ng::Deserializer::from_str) {
        let definition = CustomResourceDefinition::deserialize(document).map_err(Failure::failed)?;
        let (name, apply) = (definition.name_any(), PatchParams::apply(MANAGER).force());
        definitions.patch(&name, &apply, &Patch::Apply(&definition)).await.map_err(Failure::failed)?;
    }
    Ok(())
}
