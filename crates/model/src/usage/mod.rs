//! A usage: a field of an AIO resource that names a synced secret.

mod class;
mod extract;
mod purposes;
mod rule;
#[cfg(test)]
mod tests;
mod workloads;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use class::ClassRef;
pub use extract::{Subject, UsageRules};
pub use purposes::{Misfit, Purpose, PurposeField, PurposeKey};
pub use rule::{UsageRule, can_be_name};
pub use workloads::{controls, is_idle, is_workload, workloads_of};

/// Stands for the field of a usage that no resource names. No path has a space.
const FIXED_NAME: &str = "fixed name";

/// A group and a kind, without a version, which changes between releases.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// For example `deviceregistry.microsoft.com`; empty for Kubernetes' own kinds, and for a program that no
    /// resource stands for.
    pub group: String,
    /// For example `AssetEndpointProfile`.
    pub kind: String,
}

/// A field that names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// `group/version` as the cluster serves it; empty if it is no resource.
    pub api_version: String,
    /// Group and kind of the resource.
    pub group_kind: GroupKind,
    /// The resource's namespace.
    pub namespace: String,
    /// The resource's name.
    pub resource: String,
    /// The field's path, with the map keys and list indexes of this resource.
    pub field: String,
    /// The secret that it names, even if it does not exist or the name is invalid.
    pub secret: String,
    /// What it needs from the secret.
    pub needs: Needs,
    /// Whether only the field's name suggests that it names a secret.
    pub guessed: bool,
}

/// A field that names a secret which another program writes: cert-manager, for a listener's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Group and kind of the resource.
    pub group_kind: GroupKind,
    /// The resource's name.
    pub resource: String,
    /// The field's path.
    pub field: String,
    /// The secret that it names.
    pub secret: String,
}

/// What a field needs from the secret that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// This key. Empty if the field names no key, which no secret can satisfy.
    Key(String),
    /// The whole secret, with all keys of one of these sets; with any keys if there is no set.
    Whole(Arc<[KeySet]>),
}

/// Keys that are used together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// None of these may be missing.
    pub required: Vec<String>,
    /// Used if they exist.
    pub optional: Vec<String>,
}

/// A resource that uses a synced secret, in the form for display.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct User {
    /// For example `AssetEndpointProfile`.
    pub kind: String,
    /// Its name.
    pub resource: String,
}

/// The sort key of a usage: by secret, then by the resource that uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UsagePlace {
    /// The secret.
    pub secret: String,
    /// Kind of the resource.
    pub kind: String,
    /// Name of the resource.
    pub resource: String,
    /// Group of the kind: two groups may have kinds of one name.
    pub group: String,
    /// The field.
    pub field: String,
}

/// Selects synced secrets by what uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsedBy {
    /// Used by a resource of this kind and this name; `None` for any.
    Resource {
        /// The kind.
        kind: Option<String>,
        /// The name.
        resource: Option<String>,
    },
    /// Known to be used by nothing.
    Nothing,
}

// === impl Usage ===

impl Usage {
    /// Its sort key.
    pub fn place(&self) -> UsagePlace {
        UsagePlace {
            secret: self.secret.clone(),
            kind: self.group_kind.kind.clone(),
            resource: self.resource.clone(),
            group: self.group_kind.group.clone(),
            field: self.field.clone(),
        }
    }

    /// Usages for display: the first ones, and the number of the others.
    pub fn in_words<U: AsRef<Self>>(uses: &[U]) -> String {
        in_words(uses.iter().map(AsRef::as_ref), 5)
    }

    /// Whether a program uses the secret under a fixed name, and no resource names it.
    pub fn is_fixed(&self) -> bool {
        self.field == FIXED_NAME
    }

    /// The resource that contains it.
    pub fn user(&self) -> User {
        User { kind: self.group_kind.kind.clone(), resource: self.resource.clone() }
    }

    /// The resource in the form of `kubectl get`:
    /// `AssetEndpointProfile.deviceregistry.microsoft.com/opc-plc-1`.
    pub fn subject(&self) -> String {
        format!("{}/{}", self.group_kind, self.resource)
    }
}

impl AsRef<Self> for Usage {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// For people: the resource and its field.
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.group_kind.kind, self.resource, self.field)
    }
}

/// For people: the resource and its field.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.group_kind.kind, self.resource, self.field)
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.resource)
    }
}

// === impl Needs ===

impl Needs {
    /// The key that the field names; empty if it uses the whole secret.
    pub fn key(&self) -> &str {
        match self {
            Self::Key(key) => key,
            Self::Whole(_) => "",
        }
    }

    /// Whether a secret with these keys lacks a required one.
    pub fn is_missing(&self, has: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Key(key) => !has(key),
            Self::Whole(sets) => !sets.is_empty() && !sets.iter().any(|set| set.is_complete(&has)),
        }
    }

    /// Whether a key of a secret with these keys is used. Of several complete sets, the first one is used.
    pub fn uses(&self, key: &str, has: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Key(named) => named == key,
            Self::Whole(sets) => match sets.iter().find(|set| set.is_complete(&has)) {
                Some(set) => set.contains(key),
                None => sets.iter().any(|set| set.contains(key)),
            },
        }
    }
}

impl KeySet {
    fn is_complete(&self, has: impl Fn(&str) -> bool) -> bool {
        self.required.iter().all(|key| has(key))
    }

    fn contains(&self, key: &str) -> bool {
        self.required.iter().chain(&self.optional).any(|held| held == key)
    }
}

/// For display: the first `named` items, and the number of the others.
pub fn in_words<T: ToString>(all: impl ExactSizeIterator<Item = T>, named: usize) -> String {
    let more = all.len().saturating_sub(named);
    let named = all.take(named).map(|one| one.to_string()).collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
