//! The direct engine's three verbs: observe, apply, remove.

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use zeroize::Zeroize;

use crate::{
    edge::{
        Content, Desired, Edge, EdgeError, FIELD_MANAGER,
        manifest::{carries_uid, is_merged, uid_label},
    },
    model::{SyncedSecret, SyncedSecretId},
};

/// The Secret at the edge with the name of a synced secret.
pub enum Observed {
    /// There is no Secret.
    Absent,
    /// Our Secret.
    Ours {
        /// Its uid and version.
        written: Written,
        /// Its content.
        content: Content,
        /// The other manager that last wrote it, by the name in `managedFields`.
        other_manager: Option<String>,
    },
    /// Another tool's Secret.
    Foreign,
}

/// The identity of a Secret at the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
}

/// The owner of a Secret, by its metadata.
pub(in crate::edge) enum Owner {
    Us,
    /// Another tool, but our first write has merged our label into it.
    Merged,
    Other,
}

impl Edge {
    /// Reads the Secret of a synced secret, including its values, to compare them. They are wiped before this
    /// returns.
    pub async fn observe(
        &self,
        desired: &SyncedSecret,
        edge_uid: Option<&str>,
    ) -> Result<Observed, EdgeError> {
        let found = self.call(self.secrets.get_opt(desired.id.as_str())).await?;
        let Some(secret) = found else {
            return Ok(Observed::Absent);
        };
        let content = Content::of_edge(&secret, desired);
        let metadata = wiped(secret).metadata;
        match owner(&metadata, desired.uid, edge_uid) {
            Owner::Us => {
                let other_manager = last_other_manager([&metadata], &[FIELD_MANAGER]);
                Ok(Observed::Ours { written: written(&metadata), content, other_manager })
            }
            Owner::Merged | Owner::Other => Ok(Observed::Foreign),
        }
    }

    /// Whether the name is free for a new synced secret.
    pub async fn check_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        match self.find(&self.secrets, id.as_str()).await? {
            None => Ok(()),
            Some(_) => Err(EdgeError::conflict(id)),
        }
    }

    /// Fails if another tool's Secret has the name of a synced secret.
    pub async fn check_ours(&self, desired: &SyncedSecret, edge_uid: Option<&str>) -> Result<(), EdgeError> {
        let Some(found) = self.find(&self.secrets, desired.id.as_str()).await? else { return Ok(()) };
        match owner(&found.metadata, desired.uid, edge_uid) {
            Owner::Us => Ok(()),
            Owner::Merged => Err(self.withdraw_from_secret(&desired.id).await?),
            Owner::Other => Err(EdgeError::conflict(&desired.id)),
        }
    }

    /// Writes the desired Secret in one request.
    ///
    /// `edge_uid` is the uid of the Secret that we wrote before: the write forces conflicts on it, so it
    /// reverts changes by others. If that Secret is gone, a new one is created; if another one has replaced
    /// it, its owner is checked first. The first write forces nothing: if another tool creates a Secret at
    /// the same moment, that Secret is unchanged and this is a conflict.
    pub async fn apply(&self, desired: &Desired<'_>, edge_uid: Option<&str>) -> Result<Written, EdgeError> {
        let changed = match edge_uid {
            None => None,
            Some(uid) => match self.write_ours(desired, uid).await {
                Err(EdgeError::Changed(message)) => Some((uid, message)),
                done => return done,
            },
        };
        // The recorded Secret is gone or was replaced, or another manager wrote it between two of our writes.
        match (self.own_uid(desired, edge_uid).await?, changed) {
            (Some(uid), Some((known, message))) if uid == known => Err(EdgeError::Changed(message)),
            (Some(uid), _) => self.write_ours(desired, &uid).await,
            (None, _) => self.write_first(desired).await,
        }
    }

    /// Writes our Secret, and forces conflicts to revert changes by others.
    async fn write_ours(&self, desired: &Desired<'_>, uid: &str) -> Result<Written, EdgeError> {
        let metadata = self.write(desired, Some(uid), true, false).await?;
        self.drop_foreign_keys(desired, metadata).await
    }

    async fn write_first(&self, desired: &Desired<'_>) -> Result<Written, EdgeError> {
        let id = &desired.secret.id;
        let first = self.write(desired, None, false, false).await;
        let metadata = first.map_err(|error| match error {
            EdgeError::Changed(_) => EdgeError::conflict(id),
            other => other,
        })?;
        self.refuse_foreign(id, metadata).await
    }

    /// Asks the API server whether it would accept the Secret; changes nothing.
    pub async fn try_apply(&self, desired: &Desired<'_>, edge_uid: Option<&str>) -> Result<(), EdgeError> {
        self.write(desired, edge_uid, edge_uid.is_some(), true).await.map(|_| ())
    }

    /// Deletes our Secret. Does nothing if it doesn't exist or isn't ours.
    pub async fn remove(
        &self,
        id: &SyncedSecretId,
        uid: Uuid,
        edge_uid: Option<&str>,
    ) -> Result<(), EdgeError> {
        let Some(found) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(());
        };
        match owner(&found.metadata, uid, edge_uid) {
            Owner::Us => {}
            Owner::Merged => return self.withdraw_from_secret(id).await.map(drop),
            Owner::Other => return Ok(()),
        }
        self.remove_exactly(id, &found.metadata).await
    }

    /// Deletes exactly this Secret, and none that has replaced it.
    pub(in crate::edge) async fn remove_exactly(
        &self,
        id: &SyncedSecretId,
        found: &ObjectMeta,
    ) -> Result<(), EdgeError> {
        if found.deletion_timestamp.is_some() {
            return Err(EdgeError::terminating(id));
        }
        let parameters = DeleteParams::default()
            .preconditions(Preconditions { uid: found.uid.clone(), resource_version: None });
        match self.call(self.secrets.delete(id.as_str(), &parameters)).await {
            // It was probably replaced: the next reconciliation checks the owner.
            Err(EdgeError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
            Ok(answer) => match answer.left().map(wiped) {
                Some(remains)
                    if remains
                        .metadata
                        .finalizers
                        .as_ref()
                        .is_some_and(|finalizers| !finalizers.is_empty()) =>
                {
                    Err(EdgeError::terminating(id))
                }
                _ => Ok(()),
            },
        }
    }

    /// Deletes a Secret that only we wrote, for a synced secret that no longer exists. Returns whether there
    /// was one.
    pub async fn remove_orphan(&self, id: &SyncedSecretId, uid: Uuid) -> Result<bool, EdgeError> {
        let Some(found) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(false);
        };
        let metadata = found.metadata;
        let is_leaving = metadata.deletion_timestamp.is_some();
        if !carries_uid(&metadata, uid) || has_other_managers(&metadata) || is_leaving {
            return Ok(false);
        }
        let exactly = Preconditions { uid: metadata.uid, resource_version: metadata.resource_version };
        let parameters = DeleteParams::default().preconditions(exactly);
        match self.call(self.secrets.delete(id.as_str(), &parameters)).await {
            Ok(answer) => {
                drop(answer.left().map(wiped));
                Ok(true)
            }
            Err(EdgeError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The uid of our Secret if it exists, even if it is not recorded because the process was killed after
    /// the write.
    async fn own_uid(
        &self,
        desired: &Desired<'_>,
        edge_uid: Option<&str>,
    ) -> Result<Option<String>, EdgeError> {
        let id = &desired.secret.id;
        let Some(found) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(None);
        };
        match owner(&found.metadata, desired.secret.uid, edge_uid) {
            Owner::Us => Ok(found.metadata.uid),
            Owner::Merged => Err(self.withdraw_from_secret(id).await?),
            Owner::Other => Err(EdgeError::conflict(id)),
        }
    }

    /// Removes what our first write has merged into another tool's Secret. Returns the conflict to report.
    pub(in crate::edge) async fn withdraw_from_secret(
        &self,
        id: &SyncedSecretId,
    ) -> Result<EdgeError, EdgeError> {
        let nothing = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": id } });
        let parameters = PatchParams::apply(FIELD_MANAGER);
        self.call(self.secrets.patch_metadata(id.as_str(), &parameters, &Patch::Apply(nothing))).await?;
        Ok(EdgeError::conflict(id))
    }

    async fn write(
        &self,
        desired: &Desired<'_>,
        edge_uid: Option<&str>,
        force: bool,
        dry_run: bool,
    ) -> Result<ObjectMeta, EdgeError> {
        let parameters = PatchParams {
            dry_run,
            force,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Apply(desired.manifest(edge_uid));
        // Metadata only: a full answer would contain the values.
        let answer = self.secrets.patch_metadata(desired.secret.id.as_str(), &parameters, &patch);
        let metadata = self.call(answer).await?.metadata;
        match metadata.deletion_timestamp.is_some() {
            true => Err(EdgeError::terminating(&desired.secret.id)),
            false => Ok(metadata),
        }
    }

    /// Removes keys that others added: the Secret holds exactly the keys of the references.
    async fn drop_foreign_keys(
        &self,
        desired: &Desired<'_>,
        metadata: ObjectMeta,
    ) -> Result<Written, EdgeError> {
        let foreign: Map<String, Value> = data_keys(&metadata, |manager| manager != FIELD_MANAGER)
            .filter(|key| !desired.has_key(key))
            .map(|key| (key, Value::Null))
            .collect();
        if foreign.is_empty() {
            return Ok(written(&metadata));
        }
        let patch = Patch::Merge(json!({
            "metadata": { "resourceVersion": metadata.resource_version },
            "data": foreign,
        }));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let answer = self.secrets.patch_metadata(desired.secret.id.as_str(), &parameters, &patch);
        Ok(written(&self.call(answer).await?.metadata))
    }

    /// After a first write: a Secret with fields of others existed before. Removes our fields from it.
    async fn refuse_foreign(&self, id: &SyncedSecretId, metadata: ObjectMeta) -> Result<Written, EdgeError> {
        if !has_other_managers(&metadata) {
            return Ok(written(&metadata));
        }
        Err(self.withdraw_from_secret(id).await?)
    }
}

/// The owner of a Secret. The one with the recorded uid is ours, even without the label. For any other, the
/// label is only a hint: our first write merges it into any existing Secret, so if another manager wrote keys
/// or the type, the Secret existed before.
pub(in crate::edge) fn owner(metadata: &ObjectMeta, uid: Uuid, edge_uid: Option<&str>) -> Owner {
    let is_remembered = edge_uid.is_some() && metadata.uid.as_deref() == edge_uid;
    match uid_label(metadata) {
        Some(label) if label != uid.to_string() => Owner::Other,
        _ if is_remembered => Owner::Us,
        None => Owner::Other,
        Some(_) if is_merged(metadata, &["f:data", "f:type"]) => Owner::Merged,
        Some(_) => Owner::Us,
    }
}

pub(in crate::edge) fn written(metadata: &ObjectMeta) -> Written {
    Written {
        uid: metadata.uid.clone().unwrap_or_default(),
        resource_version: metadata.resource_version.clone().unwrap_or_default(),
    }
}

/// The manager, other than these, that wrote last.
pub(in crate::edge) fn last_other_manager<'a>(
    metadata: impl IntoIterator<Item = &'a ObjectMeta>,
    known: &[&str],
) -> Option<String> {
    let entries = metadata.into_iter().flat_map(|metadata| metadata.managed_fields.iter().flatten());
    let others = entries.filter(|entry| {
        entry.subresource.is_none()
            && entry.manager.as_deref().is_some_and(|manager| !known.contains(&manager))
    });
    others.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.clone()
}

fn has_other_managers(metadata: &ObjectMeta) -> bool {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))
}

/// The keys that the selected managers own.
pub(in crate::edge) fn data_keys(
    metadata: &ObjectMeta,
    of: impl Fn(&str) -> bool,
) -> impl Iterator<Item = String> {
    metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(move |entry| of(entry.manager.as_deref().unwrap_or_default()))
        .filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:data")?.as_object())
        .flat_map(|fields| fields.keys())
        .filter_map(|field| field.strip_prefix("f:").map(str::to_owned))
}

/// The Secret without its values.
pub(in crate::edge) fn wiped(mut secret: Secret) -> Secret {
    for ByteString(bytes) in secret.data.iter_mut().flat_map(|data| data.values_mut()) {
        bytes.zeroize();
    }
    secret
}
