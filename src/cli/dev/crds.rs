//! Custom resource definitions of Azure IoT Operations whose resources reference secrets. Dev mode has no AIO
//! that installs them.

use kube::Client;
use secret_store_extension_double::definitions;

use crate::cli::CommandError;

/// The definitions, with open schemas.
const DEFINITIONS: [&str; 6] = [
    include_str!("../../../examples/crds/aio/deviceregistry.yaml"),
    include_str!("../../../examples/crds/aio/connectivity.yaml"),
    include_str!("../../../examples/crds/aio/mqttbroker.yaml"),
    include_str!("../../../examples/crds/aio/akri.yaml"),
    include_str!("../../../examples/crds/aio/iotoperations.yaml"),
    include_str!("../../../examples/crds/aio/cert-manager.yaml"),
];
/// Field manager of what dev mode installs.
pub(super) const MANAGER: &str = "secret-service-dev";

/// Installs the definitions.
pub(super) async fn install(client: &Client) -> Result<(), CommandError> {
    definitions::install(client, MANAGER, &DEFINITIONS).await.map_err(CommandError::failed)
}
