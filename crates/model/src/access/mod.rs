//! Callers, and the permissions that a call requires: verbs on virtual resources.

mod actor;
mod rule;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use actor::{ActorError, SERVICE};
pub use rule::{AccessRule, AccessRules, RuledNames};

use super::{SyncedSecretId, VaultSecretName};

/// The API group of the virtual resources. No API server serves it; its authorizer still evaluates rules for
/// it.
pub const ACCESS_GROUP: &str = "secret-service.iotoperations";

/// The beginning of names of users and groups that belong to the cluster: its accounts and administrators.
pub const CLUSTER_PREFIX: &str = "system:";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An unauthenticated caller on this machine, which the configuration allows. The text is its origin:
    /// `anonymous@127.0.0.1`, `unix:uid=1000`.
    Local(String),
    /// The owner of a certificate or a token.
    Known(Arc<Identity>),
}

/// A user in the sense of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user name; for a service account `system:serviceaccount:NAMESPACE:NAME`.
    pub name: String,
    /// A stable id of the user; empty if unknown.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// The groups of which nobody told which the user is in, if there are such.
    pub untold: Option<UntoldGroups>,
    /// Extra attributes from the API server, passed back to its authorizer.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Groups that a token does not list: the user may be in any of them. They grant nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UntoldGroups {
    /// What their names begin with; may be empty.
    pub prefix: String,
    /// Whether the token says that there are too many to list them. Otherwise it says nothing about groups.
    pub are_too_many: bool,
}

/// A verb on a virtual resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one.
    Get,
    /// List all.
    List,
    /// Watch all.
    Watch,
    /// Create one.
    Create,
    /// Change one; for a vault secret, add a version or change its attributes.
    Update,
    /// Remove one from the edge.
    Delete,
    /// Sync one now.
    Sync,
    /// Adopt an object of another tool.
    Adopt,
    /// Let a synced secret reference an existing vault secret.
    Reference,
    /// Bring a deleted vault secret back.
    Recover,
}

/// A virtual resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `syncedsecrets`.
    SyncedSecrets,
    /// `vaultsecrets`.
    VaultSecrets,
}

/// A permission that a call requires.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The verb. Absent if the call only names the resource, as an update names unchanged references: then
    /// only the access rules decide.
    pub verb: Option<Verb>,
    /// The resource.
    pub resource: Resource,
    /// The name, in lower case; absent for all, or for an invalid name.
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

// === impl Identity ===

impl Identity {
    /// Whether the user's token has too many groups to list them.
    pub fn has_too_many_groups(&self) -> bool {
        self.untold.as_ref().is_some_and(|groups| groups.are_too_many)
    }
}

// === impl Verb ===

impl Verb {
    /// The name in RBAC rules.
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
            Self::Recover => "recover",
        }
    }
}

// === impl Resource ===

impl Resource {
    /// The name in RBAC rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyncedSecrets => "syncedsecrets",
            Self::VaultSecrets => "vaultsecrets",
        }
    }

    /// The collection in resource names.
    pub fn collection(self) -> &'static str {
        match self {
            Self::SyncedSecrets => "syncedSecrets",
            Self::VaultSecrets => "vaultSecrets",
        }
    }
}

// === impl Permission ===

impl Permission {
    /// Permission for a verb on all of them.
    pub fn all(verb: Verb, resource: Resource) -> Self {
        Self { verb: Some(verb), resource, name: None }
    }

    /// Permission for a verb on a synced secret.
    pub fn synced_secret(verb: Verb, id: Option<SyncedSecretId>) -> Self {
        let name = id.map(|id| id.to_string());
        Self { verb: Some(verb), resource: Resource::SyncedSecrets, name }
    }

    /// Permission for a verb on a vault secret.
    pub fn vault_secret(verb: Verb, name: Option<VaultSecretName>) -> Self {
        Self { verb: Some(verb), ..Self::naming(name) }
    }

    /// Permission to reference a vault secret, whose value readers of the Kubernetes Secret can then see.
    pub fn reference(name: Option<VaultSecretName>) -> Self {
        Self::vault_secret(Verb::Reference, name)
    }

    /// Permission to name a vault secret, without a verb.
    pub fn naming(name: Option<VaultSecretName>) -> Self {
        let name = name.map(|name| name.folded());
        Self { verb: None, resource: Resource::VaultSecrets, name }
    }

    /// The resource name: `syncedSecrets/edp1secrets`; `syncedSecrets/-` for all.
    pub fn resource_name(&self) -> String {
        format!("{}/{}", self.resource.collection(), self.name.as_deref().unwrap_or("-"))
    }
}
