//! The Secret Store engine: writes the custom resources of Azure's Secret Store extension, and lets the extension copy the values.
//!
//! Both resources carry the name and the uid of their synced secret. The class is owned by the SecretSync, as the Secret is, so
//! whoever deletes that deletes all.

mod foreign;
mod handover;
pub(super) mod objects;
mod options;
mod pair;
mod resources;
mod secret;
mod verdict;
mod watch;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub use foreign::as_synced_secret;
pub use handover::Halt;
pub use objects::Object;
pub use options::Options;
pub use pair::{Access, Pair, Violation, violations};
pub use resources::{
    SecretObject, SecretObjectData, SecretProviderClass, SecretSync, SecretSyncStatus, SyncCondition,
};
pub use secret::Made;
pub use verdict::{Trouble, Verdict, verdict};
pub use watch::{StoreIndex, SyncSeen};

use super::{Edge, EdgeError, FIELD_MANAGER, manifest::carries_uid};
use crate::model::SyncedSecretId;

/// The provider of Key Vault.
pub const PROVIDER: &str = "azure";
/// The extension's own field manager.
const EXTENSION: &str = "secrets-store-sync-controller";

/// What stands at the edge after the pair was written.
#[derive(Clone, Debug)]
pub struct PairWritten {
    /// `metadata.generation` of the SecretSync.
    pub sync_generation: i64,
    /// `metadata.generation` of the class.
    pub class_generation: i64,
    /// `status.syncHash` as the write found it.
    pub sync_hash: String,
}

impl Edge {
    /// Writes the pair: the class first, because a SecretSync without one fails and is tried again ever more rarely. `force` is
    /// a word that was not used before: it makes the extension act also where nothing else has changed. `adopted` is the SecretSync
    /// of somebody else that is to become ours.
    pub async fn apply_pair(
        &self,
        pair: &Pair,
        uid: Uuid,
        adopted: Option<&str>,
        force: &str,
    ) -> Result<PairWritten, EdgeError> {
        let (classes, syncs) = (self.classes(), self.syncs());
        let (class_there, sync_there) = tokio::try_join!(
            self.ours(&classes, pair.name(), uid, None),
            self.ours(&syncs, pair.name(), uid, adopted)
        )?;
        let mut class = pair.class.clone();
        class.meta_mut().owner_references = sync_there.as_ref().map(|metadata| vec![owner(metadata)]);
        let mut written = self.apply_one(&classes, &class, class_there.as_ref()).await?;
        if let Some(there) = sync_there.as_ref().filter(|there| !carries_uid(there, uid)) {
            self.take_over(pair, there, force).await?;
        }
        let mut sync = pair.sync.clone();
        sync.spec.force_synchronization = Some(force.to_owned());
        let sync = self.apply_one(&syncs, &sync, sync_there.as_ref()).await?;
        if sync_there.as_ref().and_then(|there| there.uid.as_ref()) != sync.metadata.uid.as_ref() {
            class.meta_mut().owner_references = Some(vec![owner(&sync.metadata)]);
            written = self.apply_one(&classes, &class, Some(&written.metadata)).await?;
        }
        Ok(PairWritten {
            sync_generation: sync.metadata.generation.unwrap_or_default(),
            class_generation: written.metadata.generation.unwrap_or_default(),
            sync_hash: sync.status.unwrap_or_default().sync_hash,
        })
    }

    /// Asks the API server whether it would accept the pair; changes nothing.
    pub async fn try_apply_pair(&self, pair: &Pair, uid: Uuid) -> Result<(), EdgeError> {
        let (classes, syncs) = (self.classes(), self.syncs());
        tokio::try_join!(
            self.ours(&classes, pair.name(), uid, None),
            self.ours(&syncs, pair.name(), uid, None)
        )?;
        let dry_run = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER).force() };
        let (class, sync) = (Patch::Apply(&pair.class), Patch::Apply(&pair.sync));
        tokio::try_join!(
            self.call(classes.patch(pair.name(), &dry_run, &class)),
            self.call(syncs.patch(pair.name(), &dry_run, &sync)),
        )?;
        Ok(())
    }

    /// Removes what is ours: the SecretSync, so that the extension does not make the Secret again, then the Secret, then the class.
    pub async fn remove_pair(
        &self,
        id: &SyncedSecretId,
        uid: Uuid,
        adopted: Option<&str>,
        edge_uid: Option<&str>,
    ) -> Result<(), EdgeError> {
        self.remove_one(&self.syncs(), id.as_str(), uid, adopted).await?;
        self.remove(id, uid, edge_uid).await?;
        self.remove_one(&self.classes(), id.as_str(), uid, None).await
    }

    /// Whether the names of the pair are free for a new synced secret.
    pub async fn check_pair_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        // Nobody has the nil uid: whatever is there is somebody else's.
        let (classes, syncs) = (self.classes(), self.syncs());
        tokio::try_join!(
            self.ours(&classes, id.as_str(), Uuid::nil(), None),
            self.ours(&syncs, id.as_str(), Uuid::nil(), None),
        )?;
        Ok(())
    }

    /// Whether the name of the class is free.
    pub async fn check_class_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        self.ours(&self.classes(), id.as_str(), Uuid::nil(), None).await.map(|_| ())
    }

    /// The SecretSyncs of the namespace.
    fn syncs(&self) -> Api<SecretSync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The classes of the namespace.
    fn classes(&self) -> Api<SecretProviderClass> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The metadata of what stands under a name; an error where it isn't ours.
    async fn ours<K>(
        &self,
        api: &Api<K>,
        name: &str,
        uid: Uuid,
        adopted: Option<&str>,
    ) -> Result<Option<ObjectMeta>, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        match self.call(api.get_metadata_opt(name)).await? {
            Some(found) if is_ours(&found.metadata, uid, adopted) => Ok(Some(found.metadata)),
            Some(_) => Err(EdgeError::Conflict { kind: K::kind(&()).into_owned(), name: name.to_owned() }),
            None => Ok(None),
        }
    }

    /// Writes one of the two. What is ours is taken back by force; where it is not there yet, someone else may be faster.
    async fn apply_one<K>(&self, api: &Api<K>, wanted: &K, there: Option<&ObjectMeta>) -> Result<K, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let mut wanted = wanted.clone();
        wanted.meta_mut().uid = there.and_then(|there| there.uid.clone());
        let parameters = PatchParams { force: there.is_some(), ..PatchParams::apply(FIELD_MANAGER) };
        let name = wanted.name_any();
        let conflict = || EdgeError::Conflict { kind: K::kind(&()).into_owned(), name: name.clone() };
        let written = self.call(api.patch(&name, &parameters, &Patch::Apply(&wanted))).await;
        let written = match (written, there) {
            (Err(EdgeError::Changed(_)), None) => return Err(conflict()),
            (written, _) => written?,
        };
        match there.is_none() && has_other_writers(written.meta()) {
            true => Err(conflict()),
            false => Ok(written),
        }
    }

    async fn remove_one<K>(
        &self,
        api: &Api<K>,
        name: &str,
        uid: Uuid,
        adopted: Option<&str>,
    ) -> Result<(), EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let Some(found) = self.call(api.get_metadata_opt(name)).await? else { return Ok(()) };
        if !is_ours(&found.metadata, uid, adopted) {
            return Ok(());
        }
        let exactly = Preconditions { uid: found.metadata.uid, resource_version: None };
        match self.call(api.delete(name, &DeleteParams::background().preconditions(exactly))).await {
            Ok(_) | Err(EdgeError::NotFound(_) | EdgeError::Changed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether it carries the uid of our synced secret, or is the one that was adopted as such.
fn is_ours(metadata: &ObjectMeta, uid: Uuid, adopted: Option<&str>) -> bool {
    carries_uid(metadata, uid) || (adopted.is_some() && metadata.uid.as_deref() == adopted)
}

fn owner(sync: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: SecretSync::api_version(&()).into_owned(),
        kind: SecretSync::kind(&()).into_owned(),
        name: sync.name.clone().unwrap_or_default(),
        uid: sync.uid.clone().unwrap_or_default(),
        ..OwnerReference::default()
    }
}

/// Whether anybody else wrote more than the status.
fn has_other_writers(metadata: &ObjectMeta) -> bool {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER) && entry.subresource.is_none())
}
