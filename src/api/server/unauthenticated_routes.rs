//! The routes that need no credentials: health, and reflection if it is enabled.

use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;
use tonic_health::server::{HealthReporter, HealthService};

use crate::{api::options::ServerError, proto};

/// The routes that need no credentials.
pub(super) fn routes(reporter: &HealthReporter, reflection: bool) -> Result<Routes, ServerError> {
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
    // grpcurl and others try the older protocol first.
    let v1 = describe().build_v1().map_err(ServerError::Reflection)?;
    let v1alpha = describe().build_v1alpha().map_err(ServerError::Reflection)?;
    Ok(routes.add_service(v1).add_service(v1alpha).prepare())
}

/// The messages in the details of our errors, as `google/rpc/error_details.proto`: tonic-types compiles them
/// without the folder.
fn error_details() -> FileDescriptorSet {
    let mut described = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .expect("tonic-types contains valid descriptors");
    for name in described.file.iter_mut().filter_map(|file| file.name.as_mut()) {
        if !name.contains('/') {
            name.insert_str(0, "google/rpc/");
        }
    }
    described
}
