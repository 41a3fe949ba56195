//! Who calls, and what a call needs to be allowed: the virtual resources that callers are granted verbs on.

mod actor;
mod rule;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use actor::{ActorError, SERVICE};
pub use rule::{AccessRule, AccessRules};

use super::{SyncedSecretId, VaultSecretName};

/// The API group of the virtual resources. No API server serves it; its authorizer decides by it all the same.
pub const ACCESS_GROUP: &str = "secret-service.iotoperations";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Someone on this machine, who was not asked who it is because the configuration lets such callers in. The text says
    /// where from: `anonymous@127.0.0.1`, `unix:uid=1000`.
    Local(String),
    /// Who a certificate or a token belongs to.
    Known(Arc<Identity>),
}

/// A user, as Kubernetes knows users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user name; of a service account `system:serviceaccount:NAMESPACE:NAME`.
    pub name: String,
    /// An id that outlives the name; empty where none is known.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else the API server said of the user; its authorizer may want to hear it again.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is done to a virtual resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Look at one.
    Get,
    /// Look at all.
    List,
    /// Follow all.
    Watch,
    /// Make one.
    Create,
    /// Change one; of a vault secret: add a version.
    Update,
    /// Remove one from the edge.
    Delete,
    /// Sync one now.
    Sync,
    /// Take over what another tool made.
    Adopt,
    /// Let a synced secret hold the value of one that is in the vault.
    Reference,
}

/// A virtual resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `syncedsecrets`.
    SyncedSecrets,
    /// `vaultsecrets`.
    VaultSecrets,
}

/// Something that a call needs to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// What is to be done. Nothing where the call only names the resource, as an update names the references that stay: then the
    /// rules alone decide.
    pub verb: Option<Verb>,
    /// To what.
    pub resource: Resource,
    /// To which one, in lower case; to all, or to one whose name is not valid, where absent.
    pub name: Option<String>,
}

// === impl Caller ===

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(place) => f.write_str(place),
            Self::Known(identity) => f.write_str(&identity.name),
        }
    }
}

impl From<Identity> for Caller {
    fn from(identity: Identity) -> Self {
        Self::Known(Arc::new(identity))
    }
}

// === impl Verb ===

impl Verb {
    /// As rights are granted on it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Sync => "sync",
            Self::Adopt => "adopt",
            Self::Reference => "reference",
        }
    }
}

// === impl Resource ===

impl Resource {
    /// As rights are granted on it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyncedSecrets => "syncedsecrets",
            Self::VaultSecrets => "vaultsecrets",
        }
    }

    /// As resource names begin.
    pub fn collection(self) -> &'static str {
        match self {
            Self::SyncedSecrets => "syncedSecrets",
            Self::VaultSecrets => "vaultSecrets",
        }
    }
}

// === impl Permission ===

impl Permission {
    /// To do something to all of them.
    pub fn all(verb: Verb, resource: Resource) -> Self {
        Self { verb: Some(verb), resource, name: None }
    }

    /// To do something to a synced secret.
    pub fn synced_secret(verb: Verb, id: Option<SyncedSecretId>) -> Self {
        let name = id.map(|id| id.to_string());
        Self { verb: Some(verb), resource: Resource::SyncedSecrets, name }
    }

    /// To do something to a vault secret.
    pub fn vault_secret(verb: Verb, name: Option<VaultSecretName>) -> Self {
        Self { verb: Some(verb), ..Self::naming(name) }
    }

    /// To refer to a vault secret: whoever may read the Kubernetes Secret reads its value then.
    pub fn reference(name: Option<VaultSecretName>) -> Self {
        Self::vault_secret(Verb::Reference, name)
    }

    /// To name a vault secret, and no more.
    pub fn naming(name: Option<VaultSecretName>) -> Self {
        let name = name.map(|name| name.folded());
        Self { verb: None, resource: Resource::VaultSecrets, name }
    }

    /// The resource name: `syncedSecrets/edp1secrets`; `syncedSecrets/-` for all.
    pub fn resource_name(&self) -> String {
        format!("{}/{}", self.resource.collection(), self.name.as_deref().unwrap_or("-"))
    }
}
