//! The methods that are called, as the server knows them: a path is the caller's text, these are ours.

use tonic::server::NamedService;

use crate::api::rpc::{permissions::Asking, service::Service};
use crate::{
    model::Permission,
    proto::{self, secret_service_server::SecretServiceServer},
};

/// What lasts as long as its caller wants.
pub(crate) const WATCH: &str = "WatchSyncedSecrets";

/// A method of the contract, as far as it is known before its request is read.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What its caller must be allowed, whatever it names.
    pub(crate) asks: fn() -> Vec<Permission>,
    /// Whether the request names what it is about: who may not do it to all may do it to some.
    pub(crate) is_named: bool,
    /// Whether the request may carry values of secrets.
    pub(crate) carries_values: bool,
}

/// The RPCs of the contract.
static METHODS: [Method; 16] = [
    Method::of::<proto::GetSyncedSecretRequest>().named(),
    Method::of::<proto::ListSyncedSecretsRequest>(),
    Method::of::<proto::WatchSyncedSecretsRequest>(),
    Method::of::<proto::CreateSyncedSecretRequest>().named().with_values(),
    Method::of::<proto::UpdateSyncedSecretRequest>().named().with_values(),
    Method::of::<proto::DeleteSyncedSecretRequest>().named(),
    Method::of::<proto::SyncSyncedSecretRequest>().named(),
    Method::of::<proto::AdoptSyncedSecretRequest>().named().with_values(),
    Method::of::<proto::ListSecretUsagesRequest>().named(),
    Method::of::<proto::GetVaultRequest>(),
    Method::of::<proto::ListVaultSecretsRequest>(),
    Method::of::<proto::GetVaultSecretRequest>().named(),
    Method::of::<proto::ListVaultSecretVersionsRequest>().named(),
    Method::of::<proto::CreateVaultSecretRequest>().named().with_values(),
    Method::of::<proto::AddVaultSecretVersionRequest>().named().with_values(),
    Method::of::<proto::ListAuditEventsRequest>(),
];

// === impl Method ===

impl Method {
    /// A method whose request neither names anything nor carries anything.
    const fn of<T: Asking + Default>() -> Self {
        Self { name: T::METHOD, asks: asks::<T>, is_named: false, carries_values: false }
    }

    const fn named(self) -> Self {
        Self { is_named: true, ..self }
    }

    const fn with_values(self) -> Self {
        Self { carries_values: true, ..self }
    }
}

fn asks<T: Asking + Default>() -> Vec<Permission> {
    T::default().asks()
}

/// Where a call goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// To a method of the contract, or to one that it does not have.
    Contract(Option<&'static Method>),
    /// To what needs no credentials.
    Open(Open),
}

/// What needs no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// It is answered at once: whether we are well, or that there is no such method.
    Call,
    /// It lasts: whether we are well, as often as that changes.
    HealthWatch,
    /// It lasts: questions about the contract.
    Reflection,
}

/// Where a path leads, and how the call is named in the access log and the metrics.
pub(crate) fn route(path: &str) -> (Route, &'static str) {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return (Route::Open(Open::Call), "other");
    };
    if service == SecretServiceServer::<Service>::NAME {
        let known = METHODS.iter().find(|known| known.name == method);
        return (Route::Contract(known), known.map_or("unknown", |known| known.name));
    }
    match service {
        "grpc.health.v1.Health" if method == "Watch" => (Route::Open(Open::HealthWatch), "health"),
        "grpc.health.v1.Health" => (Route::Open(Open::Call), "health"),
        _ if service.starts_with("grpc.reflection.") => (Route::Open(Open::Reflection), "other"),
        _ => (Route::Open(Open::Call), "other"),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

    use super::*;

    fn open(path: &str) -> (Option<Open>, &'static str) {
        match route(path) {
            (Route::Open(open), name) => (Some(open), name),
            (Route::Contract(_), name) => (None, name),
        }
    }

    #[test]
    fn the_access_log_names_methods_of_the_contract_and_no_text_of_the_caller() {
        let prefix = "/iotoperations.secrets.v1.SecretService";
        assert_eq!(open(&format!("{prefix}/GetVault")), (None, "GetVault"));
        assert_eq!(open(&format!("{prefix}/x\"y")), (None, "unknown"));
        assert_eq!(open("/grpc.health.v1.Health/Check"), (Some(Open::Call), "health"));
        assert_eq!(open("/evil/GetVault"), (Some(Open::Call), "other"));
        assert_eq!(open("*"), (Some(Open::Call), "other"));
    }

    #[test]
    fn what_lasts_and_needs_no_credentials_is_known_as_such() {
        assert_eq!(open("/grpc.health.v1.Health/Watch").0, Some(Open::HealthWatch));
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            assert_eq!(open(&path), (Some(Open::Reflection), "other"));
        }
    }

    /// Whether a message has a field of a type, however deep.
    fn has(message: &MessageDescriptor, name: &str, depth: usize) -> bool {
        depth > 0
            && message.fields().any(|field| match field.kind() {
                Kind::Message(kind) => kind.name() == name || has(&kind, name, depth - 1),
                _ => false,
            })
    }

    #[test]
    fn every_rpc_of_the_contract_is_known_with_what_its_request_can_carry_and_name() {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let service = pool.get_service_by_name(SecretServiceServer::<Service>::NAME).unwrap();
        assert_eq!(service.methods().len(), METHODS.len());
        for method in service.methods() {
            let known = METHODS.iter().find(|known| known.name == method.name()).unwrap();
            let input = method.input();
            assert_eq!(known.carries_values, has(&input, "NewVaultSecret", 6), "{}", known.name);
            let names = ["name", "parent", "synced_secret", "synced_secret_id", "vault_secret_id"];
            let is_named = names.iter().any(|name| input.get_field_by_name(name).is_some());
            // There is one vault.
            let is_named = is_named && !["GetVault", "ListVaultSecrets"].contains(&known.name);
            assert!(known.is_named || !is_named, "{}", known.name);
            assert!((known.asks)().iter().all(|ask| ask.name.is_none()), "{}", known.name);
        }
    }
}
