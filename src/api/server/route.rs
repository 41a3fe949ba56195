//! Where a request path leads.

use tonic::server::NamedService;

use crate::{
    api::{
        connection::unauthenticated::UnauthenticatedCall,
        rpc::{Service, method::Method},
    },
    proto::secret_service_server::SecretServiceServer,
};

/// The target of a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Route {
    /// A method of the contract; `None` if it has no such method.
    Contract(Option<&'static Method>),
    /// What needs no credentials: health and reflection.
    Unauthenticated(UnauthenticatedCall),
}

/// The target of a path, and the name of the call in the access log and the metrics.
pub(super) fn route(path: &str) -> (Route, &'static str) {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return (Route::Unauthenticated(UnauthenticatedCall::Unary), "other");
    };
    if service == SecretServiceServer::<Service>::NAME {
        let known = Method::find(method);
        return (Route::Contract(known), known.map_or("unknown", |known| known.name));
    }
    let (call, name) = match service {
        "grpc.health.v1.Health" if method == "Watch" => (UnauthenticatedCall::HealthWatch, "health"),
        "grpc.health.v1.Health" => (UnauthenticatedCall::Unary, "health"),
        _ if service.starts_with("grpc.reflection.") => (UnauthenticatedCall::Reflection, "other"),
        _ => (UnauthenticatedCall::Unary, "other"),
    };
    (Route::Unauthenticated(call), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unauthenticated(path: &str) -> (Option<UnauthenticatedCall>, &'static str) {
        match route(path) {
            (Route::Unauthenticated(call), name) => (Some(call), name),
            (Route::Contract(_), name) => (None, name),
        }
    }

    #[test]
    fn the_access_log_names_methods_of_the_contract_and_no_text_of_the_caller() {
        let prefix = "/iotoperations.secrets.v1.SecretService";
        assert_eq!(unauthenticated(&format!("{prefix}/GetVault")), (None, "GetVault"));
        assert_eq!(unauthenticated(&format!("{prefix}/x\"y")), (None, "unknown"));
        let unary = Some(UnauthenticatedCall::Unary);
        assert_eq!(unauthenticated("/grpc.health.v1.Health/Check"), (unary, "health"));
        assert_eq!(unauthenticated("/evil/GetVault"), (unary, "other"));
        assert_eq!(unauthenticated("*"), (unary, "other"));
    }

    #[test]
    fn streams_and_unary_calls_without_credentials_are_distinguished() {
        let watch = unauthenticated("/grpc.health.v1.Health/Watch");
        assert_eq!(watch.0, Some(UnauthenticatedCall::HealthWatch));
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            assert_eq!(unauthenticated(&path), (Some(UnauthenticatedCall::Reflection), "other"));
        }
    }
}
