//! The two engines that write Kubernetes Secrets: this service itself, or the Secret Store extension.
//!
//! An engine plans the next step, writes, and interprets what it observes at the edge. It uses neither the
//! database nor the vault: the reconciler reads the vault for it, and records, requeues and audits its
//! results.

mod choice;
pub(super) mod direct;
mod engines;
pub mod secret_store;
mod setup;
mod siblings;
mod types;

use std::time::Duration;

pub use choice::{InUse, once_served};
pub use direct::Direct;
pub use engines::{
    ADOPTING, Engines, Listed, OrphanRemoval, Settings, is_delegated, object_kind, reads_values,
};
pub use secret_store::{SecretStore, extension_objection};
pub use setup::{Choice, Need, NeedKind, Setup, check_setup};
pub use types::{
    Applied, Aspect, Attempt, Comparison, Delegated, Digest, Drift, Failure, Objection, Observation,
    Preparation, Problem, Released, Retry, Step, Synced, Target, Trigger, VaultState, not_a_certificate,
    not_encoded, refused_content, unusable_value,
};

use uuid::Uuid;

use super::{Adoptable, AdoptableSync, EdgeError};
use crate::model::{Delegation, SyncEngine, SyncedSecret, SyncedSecretId};

/// An engine. Cheap to clone.
#[derive(Clone)]
pub enum Engine {
    /// This service reads the values and writes the Secret.
    Direct(Direct),
    /// This service writes a SecretSync and a SecretProviderClass, and the Secret Store extension writes the
    /// Secret.
    SecretStore(SecretStore),
}

/// An object of another tool that can be adopted.
#[derive(Debug)]
pub enum AdoptableObject {
    /// A Kubernetes Secret.
    Secret(Adoptable),
    /// A SecretSync.
    SecretSync(AdoptableSync),
}

impl AdoptableObject {
    /// The uid that Kubernetes gave it.
    pub fn uid(&self) -> &str {
        match self {
            Self::Secret(secret) => &secret.uid,
            Self::SecretSync(sync) => &sync.uid,
        }
    }
}

impl Engine {
    /// The kind of this engine.
    pub fn kind(&self) -> SyncEngine {
        match self {
            Self::Direct(_) => SyncEngine::Direct,
            Self::SecretStore(_) => SyncEngine::SecretStore,
        }
    }

    /// Whether [`Engine::apply`] and [`Engine::dry_run`] need the values of the references.
    pub fn reads_values(&self) -> bool {
        reads_values(self.kind())
    }

    /// Whether it can take over a synced secret from the other engine now.
    pub fn can_take_over(&self) -> bool {
        match self {
            Self::Direct(_) => true,
            Self::SecretStore(engine) => engine.is_listed(),
        }
    }

    /// Why this engine can't sync a synced secret; empty if it can.
    pub fn check(&self, secret: &SyncedSecret) -> Vec<Objection> {
        match self {
            Self::Direct(_) => Vec::new(),
            Self::SecretStore(engine) => engine.check(secret),
        }
    }

    /// Whether the name of a new synced secret is free at the edge.
    pub async fn check_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        match self {
            Self::Direct(engine) => engine.check_name(id).await,
            Self::SecretStore(engine) => engine.check_name(id).await,
        }
    }

    /// Fails if another tool owns an object with the name of one that this engine would write beside an
    /// adopted Secret.
    pub async fn check_adopted_name(&self, id: &SyncedSecretId, uid: Uuid) -> Result<(), EdgeError> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::SecretStore(engine) => engine.check_adopted_name(id, uid).await,
        }
    }

    /// Another tool's object that this engine can adopt; none if there is none. `may_read`: whether the
    /// service may read values.
    pub async fn adoptable(
        &self,
        id: &SyncedSecretId,
        may_read: bool,
    ) -> Result<Option<AdoptableObject>, EdgeError> {
        Ok(match self {
            Self::Direct(engine) => engine.adoptable(id, may_read).await?.map(AdoptableObject::Secret),
            Self::SecretStore(engine) => engine.adoptable(id).await?.map(AdoptableObject::SecretSync),
        })
    }

    /// Asks the API server whether it would accept what [`Engine::apply`] writes; changes nothing. `edge_uid`
    /// is the Secret that was written before.
    pub async fn dry_run(
        &self,
        secret: &SyncedSecret,
        state: VaultState,
        edge_uid: Option<&str>,
    ) -> Result<(), EdgeError> {
        match self {
            Self::Direct(engine) => engine.dry_run(secret, state, edge_uid).await,
            Self::SecretStore(engine) => engine.dry_run(secret).await,
        }
    }

    /// Its current settings.
    pub fn settings(&self) -> Settings {
        match self {
            Self::Direct(_) => Settings { identity: None },
            Self::SecretStore(engine) => Settings { identity: engine.identity().ok() },
        }
    }

    /// Decides the next step, from what is recorded and what the watches show.
    pub fn plan(&self, target: &Target<'_>, trigger: Trigger, settings: &Settings) -> Step {
        match self {
            Self::Direct(_) => direct::plan(target, trigger),
            Self::SecretStore(engine) => engine.plan(target, trigger, settings),
        }
    }

    /// Whether work is left to do without a new trigger.
    pub fn is_unsettled(&self, target: &Target<'_>, settings: &Settings) -> bool {
        match self {
            Self::Direct(_) => direct::plan(target, Trigger::default()) != Step::Nothing,
            Self::SecretStore(engine) => engine.is_unsettled(target, settings),
        }
    }

    /// Reads the state of the edge.
    pub async fn observe(&self, target: &Target<'_>, aspect: Aspect) -> Result<Observation, EdgeError> {
        match self {
            Self::Direct(engine) => engine.observe(target).await,
            Self::SecretStore(engine) => engine.observe(target, aspect).await,
        }
    }

    /// Decides what to do about a delegation that the extension has not answered for this long.
    /// `delegations` are those of all synced secrets.
    pub fn evaluate_silence<'a>(
        &self,
        target: &Target<'_>,
        waited: Duration,
        delegations: impl Iterator<Item = &'a Delegation> + Clone,
    ) -> Observation {
        match self {
            Self::Direct(_) => Observation::Again,
            Self::SecretStore(engine) => engine.evaluate_silence(target, waited, delegations),
        }
    }

    /// Fails if another tool's object has the name. Called before any value is read.
    pub async fn check_owner(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        match self {
            Self::Direct(engine) => engine.check_owner(target).await,
            // It reads no values, and checks the owner with each write.
            Self::SecretStore(_) => Ok(()),
        }
    }

    /// Whether the state of the vault must be written.
    pub fn compare(&self, target: &Target<'_>, state: &VaultState, attempt: Attempt) -> Comparison {
        match self {
            Self::Direct(_) => Comparison::Differs(attempt),
            Self::SecretStore(engine) => engine.compare(target, state, attempt),
        }
    }

    /// The state to write to repair drift. None if the vault must be read first. `is_released`: whether
    /// [`Engine::release_keys`] was called.
    pub fn repair(&self, target: &Target<'_>, is_released: bool) -> Option<(VaultState, Attempt)> {
        match self {
            Self::Direct(_) => None,
            Self::SecretStore(engine) => Some(engine.repair(target, is_released)),
        }
    }

    /// Writes the edge, in one consistent write.
    pub async fn apply(
        &self,
        target: &Target<'_>,
        state: VaultState,
        attempt: Attempt,
    ) -> Result<Applied, EdgeError> {
        match self {
            Self::Direct(engine) => engine.apply(target, state).await,
            Self::SecretStore(engine) => engine.apply(target, state, attempt).await,
        }
    }

    /// The other field manager that wrote last, if it is known.
    pub async fn other_manager(&self, id: &SyncedSecretId) -> Option<String> {
        match self {
            Self::Direct(_) => None,
            Self::SecretStore(engine) => engine.other_manager(id).await,
        }
    }

    /// Releases keys that another manager owns, so that a writer that never forces conflicts can own them.
    pub async fn release_keys(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::SecretStore(engine) => engine.release_keys(target).await,
        }
    }

    /// Removes our fields from another tool's Secret. Returns a pause if it must be called again.
    pub async fn withdraw(&self, target: &Target<'_>) -> Result<Option<Duration>, EdgeError> {
        match self {
            Self::Direct(_) => Ok(None),
            Self::SecretStore(engine) => engine.withdraw(target).await,
        }
    }

    /// Removes our objects from the edge. Returns a pause if it must be called again.
    pub async fn remove(&self, target: &Target<'_>) -> Result<Option<Duration>, EdgeError> {
        match self {
            Self::Direct(engine) => engine.remove(target).await.map(|()| None),
            Self::SecretStore(engine) => engine.remove(target).await,
        }
    }

    /// Stops the writer of the Secret, before [`Engine::release`].
    pub async fn prepare_release(&self, target: &Target<'_>) -> Result<Preparation, EdgeError> {
        match self {
            Self::Direct(_) => Ok(Preparation::Ready(None)),
            Self::SecretStore(engine) => engine.prepare_release(target).await,
        }
    }

    /// Releases the Secret to the other engine, without changing its content.
    pub async fn release(&self, target: &Target<'_>) -> Result<Released, EdgeError> {
        match self {
            Self::Direct(engine) => engine.release(target).await,
            Self::SecretStore(engine) => engine.release(target).await,
        }
    }

    /// Asks the API server whether objects exist through which this engine would write the Secret.
    pub async fn has_leftovers(&self, target: &Target<'_>) -> Result<bool, EdgeError> {
        match self {
            Self::Direct(_) => Ok(false),
            Self::SecretStore(engine) => engine.has_leftovers(target).await,
        }
    }
}
