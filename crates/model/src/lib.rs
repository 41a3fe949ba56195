//! The domain model, without any I/O. A value of these types is always valid: parse, don't validate.

#[macro_use]
mod words;

mod access;
mod admission;
mod audit;
mod certificate;
mod condition;
mod contents;
mod edge_state;
mod names;
mod reference;
mod synced_secret;
mod usage;
mod vault_secret;

pub use access::{
    ACCESS_GROUP, AccessRule, AccessRules, ActorError, CLUSTER_PREFIX, Caller, Identity, Permission,
    Resource, RuledNames, SERVICE, UntoldGroups, Verb,
};
pub use admission::{Admission, NamePattern, ReservedName};
pub use audit::{
    Anchor, AuditAction, AuditEvent, AuditHash, Chain, ChainAnchors, ChainError, ChainWalk, ChainedEvent,
    Link, Outcome,
};
pub use certificate::{CertificateError, CertificateFacts, CertificateKind, Part, facts, kind_of_der};
pub use condition::{Condition, ConditionType, Reason, Status};
pub use contents::{ContentError, Contents, Data};
pub use edge_state::{Delegation, EdgeRecord};
pub use names::{NameError, SecretKey, SyncedSecretId, VaultSecretName, VaultVersion, is_unprintable};
pub use reference::{
    ENCODING_TAG, Encoding, EncodingError, NotBefore, Reference, ReferenceStatus, ValueError, mapping,
};
pub use synced_secret::{ChangeKind, Filter, Origin, SecretType, State, SyncEngine, SyncedSecret, limits};
pub use usage::{
    ClassRef, GroupKind, KeySet, Misfit, Needs, Output, Purpose, PurposeField, PurposeKey, Subject, Usage,
    UsagePlace, UsageRule, UsageRules, UsedBy, User, can_be_name, controls, in_words, is_idle, is_workload,
    workloads_of,
};
pub use vault_secret::{NewVaultSecret, VaultSecret, VaultSecretUpdate, VaultSecretVersion, VaultValue};

/// The current time in microseconds, the precision of the database, so that a time is the same after a
/// restart.
pub fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
