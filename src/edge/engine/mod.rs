//! The two ways in which a synced secret reaches the edge: this service writes its Secret itself, or the
//! Secret Store extension does.
//!
//! An engine decides what to do next, writes, and interprets what it finds at the edge. It knows neither the
//! database nor the vault: the reconciler reads the vault for it, and records, requeues and audits its
//! answers.

mod choice;
pub(super) mod direct;
mod engines;
pub mod secret_store;
mod setup;
mod types;

use std::time::Duration;

pub use choice::{InUse, once_served};
pub use direct::Direct;
pub use engines::{
    ADOPTING, Engines, Listed, OrphanRemoval, Settings, is_delegated, object_kind, reads_values,
};
pub use secret_store::SecretStore;
pub use setup::{Choice, Need, NeedKind, Setup, check_setup};
pub use types::{
    Applied, Aspect, Attempt, Comparison, Delegated, Digest, Drift, Failure, Objection, Observation,
    Preparation, Problem, Released, Retry, Step, Synced, Target, Trigger, VaultState, sentence,
};

use uuid::Uuid;

use super::{Adoptable, AdoptableSync, EdgeError};
use crate::model::{Delegation, SyncEngine, SyncedSecret, SyncedSecretId};

/// How a synced secret reaches the edge. Cheap to clone.
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
    /// Which of the two it is.
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

    /// Whether it can take a synced secret over from the other engine now.
    pub fn can_take_over(&self) -> bool {
        match self {
            Self::Direct(_) => true,
            Self::SecretStore(engine) => engine.is_listed(),
        }
    }

    /// What keeps this engine from syncing a synced secret; empty if nothing does.
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

    /// Fails where the name of what this engine would write beside a Secret that is adopted is somebody
    /// else's.
    pub async fn check_adopted_name(&self, id: &SyncedSecretId, uid: Uuid) -> Result<(), EdgeError> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::SecretStore(engine) => engine.check_adopted_name(id, uid).await,
        }
    }

    /// The object of another tool that can be adopted and that an engine like this one writes; nothing where
    /// there is none. `may_read`: whether the service may read values.
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

    /// Whether there is anything to do even if nobody asks for it.
    pub fn is_unsettled(&self, target: &Target<'_>, settings: &Settings) -> bool {
        match self {
            Self::Direct(_) => direct::plan(target, Trigger::default()) != Step::Nothing,
            Self::SecretStore(engine) => engine.is_unsettled(target, settings),
        }
    }

    /// Looks at the edge.
    pub async fn observe(&self, target: &Target<'_>, aspect: Aspect) -> Result<Observation, EdgeError> {
        match self {
            Self::Direct(engine) => engine.observe(target).await,
            Self::SecretStore(engine) => engine.observe(target, aspect).await,
        }
    }

    /// Decides what to do about a write that the extension has not answered for this long. `delegated` is
    /// everything that it was given.
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

    /// Fails if somebody else's object has the name. Called before any value is read.
    pub async fn check_owner(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        match self {
            Self::Direct(engine) => engine.check_owner(target).await,
            // It reads no values, and looks at the owner with each write.
            Self::SecretStore(_) => Ok(()),
        }
    }

    /// Whether the state of the vault has to be written.
    pub fn compare(&self, target: &Target<'_>, state: &VaultState, attempt: Attempt) -> Comparison {
        match self {
            Self::Direct(_) => Comparison::Differs(attempt),
            Self::SecretStore(engine) => engine.compare(target, state, attempt),
        }
    }

    /// What to write to repair drift. None if the vault must be read first. `is_released`: whether
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

    /// The field manager besides the engine's own that wrote last, if it can be told.
    pub async fn other_manager(&self, id: &SyncedSecretId) -> Option<String> {
        match self {
            Self::Direct(_) => None,
            Self::SecretStore(engine) => engine.other_manager(id).await,
        }
    }

    /// Releases keys that another manager owns, so that a writer that never forces can take them.
    pub async fn release_keys(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        match self {
            Self::Direct(_) => Ok(()),
            Self::SecretStore(engine) => engine.release_keys(target).await,
        }
    }

    /// Takes everything of ours out of somebody else's Secret. Returns a pause if it has to be called again.
    pub async fn withdraw(&self, target: &Target<'_>) -> Result<Option<Duration>, EdgeError> {
        match self {
            Self::Direct(_) => Ok(None),
            Self::SecretStore(engine) => engine.withdraw(target).await,
        }
    }

    /// Removes what is ours from the edge. Returns a pause if it has to be called again.
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

    /// Asks the API server whether objects exist by which this engine would write the Secret.
    pub async fn has_leftovers(&self, target: &Target<'_>) -> Result<bool, EdgeError> {
        match self {
            Self::Direct(_) => Ok(false),
            Self::SecretStore(engine) => engine.has_leftovers(target).await,
        }
    }
}
