//! The Secret Store engine: writes the custom resources of Azure's Secret Store extension, and lets the
//! extension copy the values.
//!
//! Both resources carry the name and the uid of their synced secret. The SecretSync owns the class and the
//! Secret, so deleting it deletes all three.

mod apply;
mod cluster;
mod engine;
mod expectations;
mod failure;
mod foreign;
mod handover;
mod known;
mod managed_fields;
pub(in crate::edge) mod objects;
mod observe;
mod options;
mod pair;
mod pair_api;
mod patience;
mod plan;
mod removal;
mod resources;
mod secret;
mod sync_status;
mod watch;

pub use cluster::FederatedAccount;
pub use engine::SecretStore;
pub use foreign::{ForeignKey, as_synced_secret, foreign_keys};
pub use handover::Suspension;
pub use known::KnownUids;
pub use objects::Object;
pub use options::Options;
pub use pair::{
    ExtensionIdentity, Pair, ProviderCloud, Violation, cant_compose, extension_objection, violations,
};
pub use pair_api::PairWritten;
pub use resources::{
    SecretObject, SecretObjectData, SecretProviderClass, SecretSync, SecretSyncStatus, SyncCondition,
};
pub use secret::SecretState;
pub(in crate::edge) use secret::{has_keys_of_others, is_made_by_extension};
pub use sync_status::{FailedObject, SyncFailure, SyncOutcome, sync_outcome};
pub use watch::{CachedSync, StoreIndex};

/// The provider of Key Vault.
pub const PROVIDER: &str = "azure";
/// The extension's own field manager.
pub(in crate::edge) const EXTENSION: &str = "secrets-store-sync-controller";
/// The prefix of the extension's labels.
pub(in crate::edge) const LABEL_PREFIX: &str = "secrets-store.sync.x-k8s.io";
