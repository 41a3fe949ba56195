//! The kinds of Azure IoT Operations that can name secrets, in the cluster of dev mode: there is no AIO to bring them.

use kube::Client;
use secret_store_extension_double::definitions;

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

/// Installs them.
pub(super) async fn install(client: &Client) -> Result<(), Failure> {
    definitions::install(client, MANAGER, &DEFINITIONS).await.map_err(Failure::failed)
}
