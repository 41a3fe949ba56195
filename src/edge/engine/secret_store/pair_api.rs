//! Calls to the API server about the pair: the SecretProviderClass and the SecretSync of a synced secret.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, Preconditions},
    core::PartialObjectMeta,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{KnownUids, Pair, SecretProviderClass, SecretSync, handover::as_us};
use crate::{
    edge::{Edge, EdgeError, FIELD_MANAGER, manifest::carries_uid},
    model::SyncedSecretId,
    quote::Quote,
};

/// The pair as it is at the edge after a write.
#[derive(Clone, Debug)]
pub struct PairWritten {
    /// `metadata.uid` of the SecretSync.
    pub sync_uid: Option<String>,
    /// `metadata.uid` of the class.
    pub class_uid: Option<String>,
    /// `metadata.generation` of the SecretSync.
    pub sync_generation: i64,
    /// `metadata.generation` of the class.
    pub class_generation: i64,
    /// `status.syncHash` as the write found it.
    pub sync_hash: String,
}

impl Edge {
    /// Writes the pair: the class first, because a SecretSync without a class fails, and the extension
    /// retries it with a growing back-off. `force` is a new value for `forceSynchronization`: it makes the
    /// extension sync even if nothing else has changed. `removed` receives the fields that others had added
    /// and that are gone now, also if the write fails afterwards: no later look finds them.
    pub async fn apply_pair(
        &self,
        pair: &Pair,
        known: KnownUids<'_>,
        force: &str,
        removed: &mut Vec<String>,
    ) -> Result<PairWritten, EdgeError> {
        let (classes, syncs) = (self.classes(), self.syncs());
        let (class_there, sync_there) =
            tokio::try_join!(self.ours(&classes, pair.name(), known), self.ours(&syncs, pair.name(), known))?;
        let mut class = pair.class.clone();
        class.meta_mut().owner_references = sync_there.as_ref().map(|metadata| vec![owner(metadata)]);
        let mut written = self.apply_one(&classes, &class, class_there.as_ref()).await?;
        if let Some(there) = sync_there.as_ref().filter(|there| !carries_uid(there, known.uid)) {
            self.take_over(pair, there, force).await?;
        }
        let mut sync = pair.sync.clone();
        sync.spec.force_synchronization = Some(force.to_owned());
        let sync = self.apply_one(&syncs, &sync, sync_there.as_ref()).await?;
        if sync_there.as_ref().and_then(|there| there.uid.as_ref()) != sync.metadata.uid.as_ref() {
            class.meta_mut().owner_references = Some(vec![owner(&sync.metadata)]);
            written = self.apply_one(&classes, &class, Some(&written.metadata)).await?;
        }
        let (written, sync) = self.remove_additions(pair, written, sync, removed).await?;
        Ok(PairWritten {
            sync_uid: sync.metadata.uid,
            class_uid: written.metadata.uid,
            sync_generation: sync.metadata.generation.unwrap_or_default(),
            class_generation: written.metadata.generation.unwrap_or_default(),
            sync_hash: sync.status.unwrap_or_default().sync_hash,
        })
    }

    /// Asks the API server whether it would accept the pair; changes nothing.
    pub async fn try_apply_pair(&self, pair: &Pair, uid: Uuid) -> Result<(), EdgeError> {
        let (classes, syncs) = (self.classes(), self.syncs());
        tokio::try_join!(
            self.ours(&classes, pair.name(), KnownUids::nothing(uid)),
            self.ours(&syncs, pair.name(), KnownUids::nothing(uid))
        )?;
        let dry_run = PatchParams { dry_run: true, ..PatchParams::apply(FIELD_MANAGER).force() };
        let (class, sync) = (Patch::Apply(&pair.class), Patch::Apply(&pair.sync));
        tokio::try_join!(
            self.call(classes.patch(pair.name(), &dry_run, &class)),
            self.call(syncs.patch(pair.name(), &dry_run, &sync)),
        )?;
        Ok(())
    }

    /// Removes our objects: first the Secret, while the SecretSync still proves whose it is, then the
    /// SecretSync, then the class. The extension may create the Secret again before the SecretSync is gone,
    /// so the Secret is removed once more after it.
    pub async fn remove_pair(&self, id: &SyncedSecretId, known: KnownUids<'_>) -> Result<(), EdgeError> {
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let is_ours = |secret: &ObjectMeta| known.is_ours(secret, sync.as_ref());
        if let Some(secret) = secret.filter(is_ours) {
            self.remove_exactly(id, &secret).await?;
        }
        self.remove_one(&self.syncs(), id.as_str(), known).await?;
        let again = self.find(&self.secrets, id.as_str()).await?.map(|again| again.metadata);
        if let Some(again) = again.filter(is_ours) {
            self.remove_exactly(id, &again).await?;
        }
        self.remove_one(&self.classes(), id.as_str(), known).await
    }

    /// Whether a SecretSync or class of this name carries the label of this synced secret. Asks the API
    /// server.
    pub async fn has_labelled(&self, id: &SyncedSecretId, uid: Uuid) -> Result<bool, EdgeError> {
        let (sync, class) = self.pair_metadata(id).await?;
        let mut found = sync.iter().chain(&class);
        Ok(found.any(|metadata| carries_uid(metadata, uid)))
    }

    /// Whether the SecretSync and the class with these uids exist. Asks the API server.
    pub async fn has_pair(
        &self,
        id: &SyncedSecretId,
        sync_uid: Option<&str>,
        class_uid: Option<&str>,
    ) -> Result<bool, EdgeError> {
        let (sync, class) = self.pair_metadata(id).await?;
        let has = |found: Option<ObjectMeta>, uid: Option<&str>| {
            found.is_some_and(|found| found.uid.as_deref() == uid)
        };
        Ok(has(sync, sync_uid) && has(class, class_uid))
    }

    /// The metadata of the SecretSync and of the class with this name, also of another tool's.
    async fn pair_metadata(
        &self,
        id: &SyncedSecretId,
    ) -> Result<(Option<ObjectMeta>, Option<ObjectMeta>), EdgeError> {
        let (syncs, classes) = (self.syncs(), self.classes());
        let (sync, class) =
            tokio::try_join!(self.metadata_of(&syncs, id.as_str()), self.metadata_of(&classes, id.as_str()))?;
        Ok((sync.map(|sync| sync.metadata), class.map(|class| class.metadata)))
    }

    /// Whether the names of the pair are free for a new synced secret.
    pub async fn check_pair_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        // Nobody has the nil uid, so any existing object counts as somebody else's.
        let (classes, syncs, nobodys) = (self.classes(), self.syncs(), KnownUids::nothing(Uuid::nil()));
        tokio::try_join!(self.ours(&classes, id.as_str(), nobodys), self.ours(&syncs, id.as_str(), nobodys),)?;
        Ok(())
    }

    /// Whether the name of the class is free, or the class has the label of this synced secret.
    pub async fn check_class_name(&self, id: &SyncedSecretId, uid: Uuid) -> Result<(), EdgeError> {
        self.ours(&self.classes(), id.as_str(), KnownUids::nothing(uid)).await.map(|_| ())
    }

    /// The SecretSyncs of the namespace.
    pub(in crate::edge) fn syncs(&self) -> Api<SecretSync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// An error where the extension's resources can't be listed.
    pub async fn can_list_pairs(&self) -> Result<(), EdgeError> {
        let one = ListParams::default().limit(1);
        self.call(self.syncs().list_metadata(&one)).await?;
        self.call(self.classes().list_metadata(&one)).await.map(drop)
    }

    /// The classes of the namespace.
    pub(in crate::edge) fn classes(&self) -> Api<SecretProviderClass> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The metadata of the object of a name; an error if it is not ours.
    pub(super) async fn ours<K>(
        &self,
        api: &Api<K>,
        name: &str,
        known: KnownUids<'_>,
    ) -> Result<Option<ObjectMeta>, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        match self.metadata_or_gone(api, name, known).await? {
            None => Ok(None),
            Some(found) if known.has::<K>(&found.metadata) => Ok(Some(found.metadata)),
            Some(found) => {
                if carries_uid(&found.metadata, known.uid) {
                    // Our first write was merged into somebody else's object.
                    self.withdraw_our_fields(api, name).await?;
                }
                Err(conflict::<K>(name))
            }
        }
    }

    /// The metadata of one object of the pair. An error, and not None, if the cluster does not serve its
    /// kind.
    async fn metadata_of<K>(
        &self,
        api: &Api<K>,
        name: &str,
    ) -> Result<Option<PartialObjectMeta<K>>, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        match self.find(api, name).await {
            Err(EdgeError::NotFound(_)) => Err(not_served::<K>()),
            found => found,
        }
    }

    /// The same for a removal: if the cluster is known to have dropped the kinds for good, the object is
    /// gone.
    pub(super) async fn metadata_or_gone<K>(
        &self,
        api: &Api<K>,
        name: &str,
        known: KnownUids<'_>,
    ) -> Result<Option<PartialObjectMeta<K>>, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        match self.metadata_of(api, name).await {
            Err(EdgeError::NotServed { .. }) if known.are_kinds_gone => Ok(None),
            found => found,
        }
    }

    /// Writes one object of the pair. Forces conflicts only on an object that is ours: if it does not exist
    /// yet, somebody else may create it first, and must not lose anything.
    async fn apply_one<K>(&self, api: &Api<K>, wanted: &K, there: Option<&ObjectMeta>) -> Result<K, EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let mut wanted = wanted.clone();
        wanted.meta_mut().uid = there.and_then(|there| there.uid.clone());
        let parameters = PatchParams { force: there.is_some(), ..PatchParams::apply(FIELD_MANAGER) };
        let name = wanted.name_any();
        let written = self.call(api.patch(&name, &parameters, &Patch::Apply(&wanted))).await;
        let written = match (written, there) {
            (Err(EdgeError::Changed(_)), None) => return Err(conflict::<K>(&name)),
            (Err(EdgeError::NotFound(_)), _) => return Err(not_served::<K>()),
            (written, _) => written?,
        };
        if there.is_none() && has_other_writers(written.meta()) {
            self.withdraw_our_fields(api, &name).await?;
            return Err(conflict::<K>(&name));
        }
        Ok(written)
    }

    /// Removes all fields that we applied from somebody else's object.
    async fn withdraw_our_fields<K>(&self, api: &Api<K>, name: &str) -> Result<(), EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let nothing = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": { "name": name },
        });
        let parameters = PatchParams::apply(FIELD_MANAGER);
        self.call(api.patch_metadata(name, &parameters, &Patch::Apply(nothing))).await.map(|_| ())
    }

    /// A server-side apply keeps what others added. A key that can't be synced blocks all keys, and a
    /// parameter may change the identity that the extension uses at the vault. So exactly these are removed.
    /// `removed` names them, also if a later call fails: the extension writes its status at the same time.
    async fn remove_additions(
        &self,
        pair: &Pair,
        mut class: SecretProviderClass,
        mut sync: SecretSync,
        removed: &mut Vec<String>,
    ) -> Result<(SecretProviderClass, SecretSync), EdgeError> {
        let (parameters, keys) = (pair.added_parameters(&class), pair.added_keys(&sync));
        let exactly = |metadata: &ObjectMeta| json!({ "uid": metadata.uid, "resourceVersion": metadata.resource_version });
        if !parameters.is_empty() {
            let gone: Map<String, Value> =
                parameters.iter().map(|name| (name.clone(), Value::Null)).collect();
            let patch = json!({ "metadata": exactly(&class.metadata), "spec": { "parameters": gone } });
            let classes = self.classes();
            class = self.call(classes.patch(pair.name(), &as_us(), &Patch::Merge(patch))).await?;
            removed.extend(parameters.into_iter().map(|name| format!("the parameter {}", Quote::from(name))));
        }
        if !keys.is_empty() {
            let data = json!({ "secretObject": { "data": pair.sync.spec.secret_object.data } });
            let patch = json!({ "metadata": exactly(&sync.metadata), "spec": data });
            sync = self.patch_sync(pair.name(), &patch).await?;
            removed.extend(keys.into_iter().map(|key| format!("the key {}", Quote::from(key))));
        }
        Ok((class, sync))
    }

    /// Removes one object of the pair, and succeeds only when it is gone: while a finalizer blocks the
    /// deletion, the extension still acts on the object.
    pub(super) async fn remove_one<K>(
        &self,
        api: &Api<K>,
        name: &str,
        known: KnownUids<'_>,
    ) -> Result<(), EdgeError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let Some(found) = self.metadata_or_gone(api, name, known).await? else { return Ok(()) };
        if !known.has::<K>(&found.metadata) {
            return Ok(());
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Err(terminating::<K>(name));
        }
        let exactly = Preconditions { uid: found.metadata.uid, resource_version: None };
        match self.call(api.delete(name, &DeleteParams::background().preconditions(exactly))).await {
            Ok(answer) => match answer.left() {
                Some(left) if left.meta().finalizers.iter().flatten().next().is_some() => {
                    Err(terminating::<K>(name))
                }
                _ => Ok(()),
            },
            // It is gone, or the cluster does not serve its kind at the moment.
            Err(EdgeError::NotFound(said)) => match self.metadata_of(api, name).await? {
                None => Ok(()),
                Some(_) => Err(EdgeError::Changed(said)),
            },
            // Probably another object replaced it: the next reconciliation sees whose it is.
            Err(error) => Err(error),
        }
    }
}

fn not_served<K: Resource<DynamicType = ()>>() -> EdgeError {
    EdgeError::NotServed { kind: K::kind(&()).into_owned() }
}

fn conflict<K: Resource<DynamicType = ()>>(name: &str) -> EdgeError {
    EdgeError::Conflict { kind: K::kind(&()).into_owned(), name: name.to_owned() }
}

fn terminating<K: Resource<DynamicType = ()>>(name: &str) -> EdgeError {
    EdgeError::Terminating { kind: K::kind(&()).into_owned(), name: name.to_owned() }
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

/// Whether anybody else wrote fields other than the status.
fn has_other_writers(metadata: &ObjectMeta) -> bool {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.any(|entry| !is_of_us(entry) && entry.subresource.is_none())
}

fn is_of_us(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
}
