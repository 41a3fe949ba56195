//! Health by the gRPC health protocol, and reflection: what answers besides the contract.

use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, service::Routes};
use tonic_health::{
    ServingStatus,
    server::{HealthReporter, HealthService},
};

use crate::api::{options::ServerError, rpc::service::Service};
use crate::proto::{self, secret_service_server::SecretServiceServer};

/// The service as a whole, and the contract: both are well or neither is.
const NAMES: [&str; 2] = ["", <SecretServiceServer<Service> as NamedService>::NAME];

/// What answers besides the contract.
pub(crate) fn routes(reporter: &HealthReporter, reflection: bool) -> Result<Routes, ServerError> {
    let health = HealthService::from_health_reporter(reporter.clone());
    let routes = Routes::new(tonic_health::pb::health_server::HealthServer::new(health));
    if !reflection {
        return Ok(routes.prepare());
    }
    let describe = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_file_descriptor_set(error_details())
    };
    // grpcurl and others still ask for the older protocol first.
    let v1 = describe().build_v1().map_err(ServerError::Reflection)?;
    let v1alpha = describe().build_v1alpha().map_err(ServerError::Reflection)?;
    Ok(routes.add_service(v1).add_service(v1alpha).prepare())
}

/// The messages in the details of our errors, as `google/rpc/error_details.proto`: tonic-types compiles them without the folder.
fn error_details() -> FileDescriptorSet {
    let mut described = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .expect("tonic-types brings its own descriptors");
    for name in described.file.iter_mut().filter_map(|file| file.name.as_mut()) {
        if !name.contains('/') {
            name.insert_str(0, "google/rpc/");
        }
    }
    described
}

/// Says what `ready` says, until told to stop; then says so, and lets go of who watches.
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
                // Nobody will ever say otherwise.
                stop.cancelled().await;
            }
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
    // A watch of health that never ends would hold up the end of every connection.
    for name in NAMES {
        reporter.clear_service_status(name).await;
    }
}

/// Before anything is served.
pub(crate) async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}
