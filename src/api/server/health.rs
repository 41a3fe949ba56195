//! Health by the gRPC health protocol.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{api::rpc::Service, proto::secret_service_server::SecretServiceServer};

/// The service as a whole, and the contract: both have the same status.
const NAMES: [&str; 2] = ["", <SecretServiceServer<Service> as NamedService>::NAME];

/// Reports `ready` until the service stops; then reports NOT_SERVING and ends all health watches.
pub(crate) async fn follow(
    mut reporter: HealthReporter,
    mut ready: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let is_ready = *ready.borrow_and_update();
        report(&reporter, if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }).await;
        tokio::select! {
            () = stop.cancelled() => {}
            changed = ready.changed() => if changed.is_err() {
                // The sender is gone, so the status stays as it is.
                stop.cancelled().await;
            }
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
    // A health watch that never ends would keep its connection open.
    for name in NAMES {
        reporter.clear_service_status(name).await;
    }
}

/// Sets the status.
pub(crate) async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}
