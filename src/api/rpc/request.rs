//! What every request of the contract says of its RPC, and the permissions that requests share.
//!
//! A request whose resource name is invalid requires the permission on the whole collection: it is refused
//! anyway, and only a caller with that permission learns why.

use prost::Message;

use super::convert;
use crate::{
    model::{Permission, Resource, VaultSecretName, Verb, limits},
    proto,
};

/// A request of the contract, and what is known of its RPC before the request is read.
pub(crate) trait RpcRequest: Message + Default {
    /// The name of the RPC.
    const METHOD: &'static str;
    /// Whether the request names its resource. A caller without the permission on all names may have it on
    /// this one.
    const NAMES_RESOURCE: bool = false;
    /// Whether the request may carry secret values, and so may be large.
    const CARRIES_VALUES: bool = false;

    /// Everything that the caller must be allowed to do.
    fn required_permissions(&self) -> Vec<Permission>;

    /// The same for a request about this resource, or about any, as far as that is known without the rest of the request.
    fn permissions_on(named: Option<&NamedResource>) -> Vec<Permission> {
        let mut required = Self::default().required_permissions();
        if let Some(named) = named.filter(|_| Self::NAMES_RESOURCE) {
            required.iter_mut().for_each(|permission| named.put_into(permission));
        }
        required
    }
}

/// A resource that a caller asks about.
#[derive(Debug)]
pub(crate) struct NamedResource {
    pub(crate) resource: Resource,
    /// As in [`Permission::name`].
    pub(crate) name: String,
}

// === impl NamedResource ===

impl NamedResource {
    /// Makes a permission on such resources one on this resource.
    pub(crate) fn put_into(&self, permission: &mut Permission) {
        if permission.resource == self.resource {
            permission.name = Some(self.name.clone());
        }
    }
}

/// To do something with `syncedSecrets/{id}`.
pub(super) fn synced_secret(verb: Verb, name: &str) -> Permission {
    Permission::synced_secret(verb, convert::synced_secret_name("name", name).ok())
}

/// To do something with `vaultSecrets/{name}`.
pub(super) fn vault_secret(verb: Verb, name: &str) -> Permission {
    Permission::vault_secret(verb, convert::vault_secret_name("name", name).ok())
}

/// Adds what the references require: `existing` of a vault secret that exists already, and `create` of one
/// that is created.
///
/// A reference gives its caller the value of the vault secret. Whoever creates one brings the value and
/// learns nothing. Each reference is checked on its own: one that creates a vault secret does not permit
/// another one to refer to the same name.
pub(super) fn with_references<'a>(
    first: Permission,
    references: impl IntoIterator<Item = &'a proto::SecretReference>,
    existing: fn(Option<VaultSecretName>) -> Permission,
) -> Vec<Permission> {
    let of_reference = |reference: &proto::SecretReference| {
        let name = convert::vault_secret_name("vault_secret", &reference.vault_secret).ok();
        match reference.create {
            Some(_) => Permission::vault_secret(Verb::Create, name),
            None => existing(name),
        }
    };
    // A request with more references is refused when it is read.
    let references = references.into_iter().take(limits::REFERENCES);
    std::iter::once(first).chain(references.map(of_reference)).collect()
}
