//! The methods of the contract. A request path is the caller's text; these names are ours and may stand in
//! logs and metrics.

use super::request::{NamedResource, RpcRequest};
use crate::{model::Permission, proto};

/// The only method without a deadline set by the service: it lasts as long as its caller wants.
pub(crate) const WATCH: &str = <proto::WatchSyncedSecretsRequest as RpcRequest>::METHOD;

/// What is known of a method before its request is read.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    /// What the caller must be allowed to do, whatever the request names.
    pub(crate) required_permissions: fn() -> Vec<Permission>,
    /// The same if the request is about this resource, or about any.
    pub(crate) permissions_on: fn(Option<&NamedResource>) -> Vec<Permission>,
    /// See [`RpcRequest::NAMES_RESOURCE`].
    pub(crate) names_resource: bool,
    /// See [`RpcRequest::CARRIES_VALUES`].
    pub(crate) carries_values: bool,
}

/// In the order of the contract.
pub(super) static METHODS: [Method; 21] = [
    Method::of::<proto::GetVaultRequest>(),
    Method::of::<proto::ListVaultSecretsRequest>(),
    Method::of::<proto::GetVaultSecretRequest>(),
    Method::of::<proto::ListVaultSecretVersionsRequest>(),
    Method::of::<proto::CreateVaultSecretRequest>(),
    Method::of::<proto::AddVaultSecretVersionRequest>(),
    Method::of::<proto::UpdateVaultSecretRequest>(),
    Method::of::<proto::RecoverVaultSecretRequest>(),
    Method::of::<proto::CreateSyncedSecretRequest>(),
    Method::of::<proto::GetSyncedSecretRequest>(),
    Method::of::<proto::ListSyncedSecretsRequest>(),
    Method::of::<proto::WatchSyncedSecretsRequest>(),
    Method::of::<proto::UpdateSyncedSecretRequest>(),
    Method::of::<proto::DeleteSyncedSecretRequest>(),
    Method::of::<proto::SyncSyncedSecretRequest>(),
    Method::of::<proto::AdoptSyncedSecretRequest>(),
    Method::of::<proto::ListSecretUsagesRequest>(),
    Method::of::<proto::CheckResourceRequest>(),
    Method::of::<proto::ListSecretPurposesRequest>(),
    Method::of::<proto::ListAuditEventsRequest>(),
    Method::of::<proto::GetCallerRequest>(),
];

// === impl Method ===

impl Method {
    /// The method of the contract with this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        METHODS.iter().find(|method| method.name == name)
    }

    const fn of<T: RpcRequest>() -> Self {
        Self {
            name: T::METHOD,
            required_permissions: || T::default().required_permissions(),
            permissions_on: T::permissions_on,
            names_resource: T::NAMES_RESOURCE,
            carries_values: T::CARRIES_VALUES,
        }
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

    use super::*;

    /// Whether a message has a field of a type, however deep.
    fn has(message: &MessageDescriptor, name: &str, depth: usize) -> bool {
        depth > 0
            && message.fields().any(|field| match field.kind() {
                Kind::Message(kind) => kind.name() == name || has(&kind, name, depth - 1),
                _ => false,
            })
    }

    #[test]
    fn the_method_table_matches_the_requests_of_the_contract() {
        let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let service = pool.get_service_by_name("iotoperations.secrets.v1.SecretService").unwrap();
        let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
        let contract: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
        assert_eq!(names, contract, "in the order of the contract");
        for method in service.methods() {
            let known = Method::find(method.name()).unwrap();
            let input = method.input();
            let carries_values =
                has(&input, "NewVaultSecret", 6) || input.get_field_by_name("manifest").is_some();
            assert_eq!(known.carries_values, carries_values, "{}", known.name);
            let names = ["name", "parent", "synced_secret", "synced_secret_id", "vault_secret_id"];
            let names_resource = names.iter().any(|name| input.get_field_by_name(name).is_some());
            // There is one vault, and one caller.
            let singletons = ["GetVault", "ListVaultSecrets", "GetCaller"];
            let names_resource = names_resource && !singletons.contains(&known.name);
            assert!(known.names_resource || !names_resource, "{}", known.name);
            assert!(
                (known.required_permissions)().iter().all(|permission| permission.name.is_none()),
                "{}",
                known.name
            );
        }
    }
}
