//! A synced secret: what was requested, what the edge holds, and how the two compare.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Condition, ConditionType, NameError, Reason, Reference, SyncedSecretId, UsedBy, User, VaultSecretName,
};

/// Limits of Key Vault, Kubernetes and this service.
pub mod limits {
    /// Bytes of a secret value (Key Vault).
    pub const VALUE_BYTES: usize = 25_600;
    /// Tags of a vault secret that a caller may set: Key Vault's 15 minus the one of this service.
    pub const TAGS: usize = 14;
    /// Characters of a tag's name and of its value (Key Vault).
    pub const TAG_CHARS: usize = 256;
    /// Characters of a content type (Key Vault).
    pub const CONTENT_TYPE_CHARS: usize = 255;
    /// References of one synced secret.
    pub const REFERENCES: usize = 100;
    /// Bytes of all values of a Kubernetes Secret together.
    pub const SECRET_BYTES: usize = 1_048_576;
    /// Characters of a description.
    pub const DESCRIPTION_CHARS: usize = 1_024;
    /// Labels of one synced secret.
    pub const LABELS: usize = 64;
}

/// A synced secret as the service knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncedSecret {
    /// The name of the Kubernetes Secret.
    pub id: SyncedSecretId,
    /// Never reused, not even for the same id.
    pub uid: Uuid,
    /// For people.
    pub description: String,
    /// Type of the Kubernetes Secret.
    pub secret_type: SecretType,
    /// At least one; keys are unique.
    pub references: Vec<Reference>,
    /// Labels that the Kubernetes Secret carries too.
    pub labels: BTreeMap<String, String>,
    /// Its state.
    pub state: State,
    /// `Synced`, `InUse` and `Expiring`.
    pub conditions: Vec<Condition>,
    /// The resources that were last seen to use it, in order; the basis of `InUse`.
    #[serde(default)]
    pub users: Vec<User>,
    /// Who created it.
    pub origin: Origin,
    /// When it was created.
    pub create_time: Timestamp,
    /// When its spec last changed.
    pub update_time: Timestamp,
    /// When the edge was last in sync with the references.
    pub sync_time: Option<Timestamp>,
    /// Increases with every change of its spec.
    pub generation: i64,
    /// The generation that the edge holds; 0 for none.
    pub synced_generation: i64,
}

/// The state of a synced secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Accepted; the edge does not hold it yet.
    Pending,
    /// The edge holds what the references say.
    Synced,
    /// The edge holds the last known values; the latest attempt failed.
    Degraded,
    /// Never synced, and the latest attempt failed.
    Failed,
    /// Being removed from the edge.
    Deleting,
}

/// Who created a synced secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Origin {
    /// Created or adopted through this service.
    Managed,
    /// Found at the edge, created by another tool.
    Unmanaged,
}

/// How synced secrets reach the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncEngine {
    /// Azure Key Vault Secret Store extension.
    SecretStore,
    /// This service copies the values itself.
    Direct,
}

/// The type of a Kubernetes Secret. Types that grant privileges in the cluster are always refused.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretType(String);

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was created or changed.
    Put,
    /// It was deleted.
    Deleted,
}

/// Selects synced secrets; every set field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these; empty for all.
    pub states: Vec<State>,
    /// Who created it.
    pub origin: Option<Origin>,
    /// Part of the id, compared without case.
    pub name_contains: String,
    /// Holds a reference to this vault secret.
    pub vault_secret: Option<VaultSecretName>,
    /// Carries all of these.
    pub labels: BTreeMap<String, String>,
    /// By what uses it.
    pub used_by: Option<UsedBy>,
}

// === impl SyncedSecret ===

impl SyncedSecret {
    /// A pending synced secret of generation 1 without references. Set further fields with struct update:
    /// `SyncedSecret { references, ..SyncedSecret::new(…) }`.
    pub fn new(id: SyncedSecretId, uid: Uuid, origin: Origin, create_time: Timestamp) -> Self {
        Self {
            id,
            uid,
            description: String::new(),
            secret_type: SecretType::default(),
            references: Vec::new(),
            labels: BTreeMap::new(),
            state: State::Pending,
            conditions: Vec::new(),
            users: Vec::new(),
            origin,
            create_time,
            update_time: create_time,
            sync_time: None,
            generation: 1,
            synced_generation: 0,
        }
    }

    /// The resource name, `syncedSecrets/{id}`.
    pub fn name(&self) -> String {
        format!("syncedSecrets/{}", self.id)
    }

    /// The opaque tag that changes with the spec, not with the status.
    pub fn etag(&self) -> String {
        format!("\"{}-{}\"", self.uid.simple(), self.generation)
    }

    /// The condition of a type.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|held| held.kind == kind)
    }

    /// Whether the condition of a type has this reason.
    pub fn has_reason(&self, kind: ConditionType, reason: Reason) -> bool {
        self.condition(kind).is_some_and(|held| held.reason == reason)
    }

    /// Sets the condition of its type. Keeps the transition time if the status is unchanged.
    pub fn set_condition(&mut self, condition: Condition) {
        let place = self.conditions.iter().position(|held| held.kind == condition.kind);
        let condition = condition.since(place.map(|place| &self.conditions[place]));
        self.conditions.retain(|held| held.kind != condition.kind);
        let place = place.unwrap_or(self.conditions.len()).min(self.conditions.len());
        self.conditions.insert(place, condition);
    }

    /// Whether its usage matches. `Nothing` only matches if it is known that nothing uses it.
    pub fn is_used_as(&self, wanted: &UsedBy) -> bool {
        match wanted {
            UsedBy::Nothing => self.has_reason(ConditionType::InUse, Reason::NotUsed),
            UsedBy::Resource { kind, resource } => self.users.iter().any(|user| {
                kind.as_ref().is_none_or(|kind| *kind == user.kind)
                    && resource.as_ref().is_none_or(|resource| *resource == user.resource)
            }),
        }
    }
}

// === impl State ===

impl State {
    /// All states, in the order of the life cycle.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Synced, Self::Degraded, Self::Failed, Self::Deleting];

    /// Whether a sync attempt has ended, so that waiting calls return.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Synced | Self::Degraded | Self::Failed)
    }
}

// === the words of State, SyncEngine and Origin ===

words!(
    State,
    "a state",
    Pending => "PENDING",
    Synced => "SYNCED",
    Degraded => "DEGRADED",
    Failed => "FAILED",
    Deleting => "DELETING"
);
words!(SyncEngine, "an engine", SecretStore => "secret-store", Direct => "direct");
words!(Origin, "an origin", Managed => "MANAGED", Unmanaged => "UNMANAGED");

// === impl SecretType ===

impl SecretType {
    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it holds a certificate under `tls.crt` and its private key under `tls.key`.
    pub fn is_tls(&self) -> bool {
        self.0 == "kubernetes.io/tls"
    }
}

impl Default for SecretType {
    fn default() -> Self {
        Self("Opaque".to_owned())
    }
}

impl FromStr for SecretType {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"].contains(&text) {
            return Err(NameError::new(format!(
                "the type {text:?} grants privileges in the cluster and can't be synced"
            )));
        }
        let valid = text.len() <= 253
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte));
        valid.then(|| Self(text.to_owned())).ok_or_else(|| {
            NameError::new("a Secret type has at most 253 letters, digits, '-', '_', '.' and '/'".to_owned())
        })
    }
}

impl fmt::Display for SecretType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SecretType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl TryFrom<String> for SecretType {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<SecretType> for String {
    fn from(secret_type: SecretType) -> Self {
        secret_type.0
    }
}

// === impl Filter ===

impl Filter {
    /// Whether a synced secret matches.
    pub fn matches(&self, secret: &SyncedSecret) -> bool {
        (self.states.is_empty() || self.states.contains(&secret.state))
            && self.origin.is_none_or(|origin| origin == secret.origin)
            && secret.id.as_str().contains(&self.name_contains.to_ascii_lowercase())
            && self
                .vault_secret
                .as_ref()
                .is_none_or(|wanted| secret.references.iter().any(|held| held.vault_secret == *wanted))
            && self.labels.iter().all(|(key, value)| secret.labels.get(key) == Some(value))
            && self.used_by.as_ref().is_none_or(|wanted| secret.is_used_as(wanted))
    }
}

#[cfg(any(test, feature = "test-util"))]
impl SyncedSecret {
    /// A synced secret for tests: created just now, with one reference under `username`.
    pub fn example(id: &str) -> Self {
        Self {
            description: "a pump".to_owned(),
            references: vec![Reference {
                key: "username".parse().unwrap(),
                vault_secret: "Edp1-User".parse().unwrap(),
                version: None,
                encoding: super::Encoding::Utf8,
                part: super::Part::Whole,
                create_pending: false,
                create_generation: 0,
                status: super::ReferenceStatus::default(),
            }],
            labels: BTreeMap::from([("line".to_owned(), "1".to_owned())]),
            ..Self::new(id.parse().unwrap(), Uuid::new_v4(), Origin::Managed, super::now())
        }
    }
}
