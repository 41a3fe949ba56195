//! Hands a Secret over between the extension and this service. The Secret exists at all times.
//!
//! The previous writer makes the next one the owner of its fields, and leaves no field without an owner: a
//! server-side apply removes the fields that its manager owned and no longer sets, but a field without an
//! owner stays forever.
//!
//! Every step is idempotent, and its result is visible at the edge: after a crash, the hand-over resumes
//! there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    EXTENSION, KnownUids, Pair, SecretSync, SyncOutcome,
    managed_fields::{entry_of, handed_over},
    sync_outcome,
};
use crate::{
    edge::{
        Edge, EdgeError, FIELD_MANAGER, UID_LABEL, Written,
        engine::direct::secret::{Owner, owner, written},
    },
    model::{SyncedSecret, SyncedSecretId},
};

/// A class that never exists: with it, the extension stops before it writes.
const NO_CLASS: &str = "secret-service-handing-over";

/// Whether the extension still writes a Secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Suspension {
    /// There is no SecretSync.
    Absent,
    /// The extension has reported that the class is missing, so it no longer writes.
    Confirmed,
    /// The class was removed, but the extension has not reported that yet.
    Requested,
}

impl Edge {
    /// Takes the ownership of all fields of another tool's SecretSync, and sets the desired spec. The
    /// previous class stays, because others may use it.
    pub(super) async fn take_over(
        &self,
        pair: &Pair,
        there: &ObjectMeta,
        force: &str,
    ) -> Result<(), EdgeError> {
        let mut spec = pair.sync.spec.clone();
        spec.force_synchronization = Some(force.to_owned());
        // A merge patch replaces the list of keys; a server-side apply would keep the keys of others.
        self.patch_sync(pair.name(), &json!({ "metadata": { "uid": there.uid }, "spec": spec })).await?;
        let fields = json!({ "f:spec": { "f:secretProviderClassName": {} } });
        let entry = entry_of(FIELD_MANAGER, &SecretSync::api_version(&()), fields);
        let nobodys = json!({ "metadata": { "uid": there.uid, "managedFields": [entry] } });
        self.patch_sync(pair.name(), &nobodys).await.map(|_| ())
    }

    /// Stops the extension from writing the Secret.
    pub async fn suspend(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
        force: &str,
    ) -> Result<Suspension, EdgeError> {
        let Some(there) = self.ours(&self.syncs(), id.as_str(), known).await? else {
            return Ok(Suspension::Absent);
        };
        let sync = self.call(self.syncs().get(id.as_str())).await?;
        if sync.spec.secret_provider_class_name != NO_CLASS {
            let spec = json!({ "secretProviderClassName": NO_CLASS, "forceSynchronization": force });
            self.patch_sync(id.as_str(), &json!({ "metadata": { "uid": there.uid }, "spec": spec })).await?;
            return Ok(Suspension::Requested);
        }
        Ok(if has_confirmed_suspension(&sync) { Suspension::Confirmed } else { Suspension::Requested })
    }

    /// Takes the Secret of a SecretSync from the extension: removes the owner reference, sets our label, and
    /// makes us the manager of its fields. The values stay. From another tool's Secret, only the fields that
    /// the extension merged into it are removed.
    pub async fn take_from_extension(
        &self,
        desired: &SyncedSecret,
        known: KnownUids<'_>,
    ) -> Result<Option<Written>, EdgeError> {
        let id = &desired.id;
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let Some(secret) = secret else { return Ok(None) };
        if !known.is_ours(&secret, sync.as_ref()) {
            return self.remove_traces(id, known).await.map(|()| None);
        }
        let free = json!({ "metadata": {
            "resourceVersion": secret.resource_version,
            "ownerReferences": null,
            "managedFields": handed_over(&secret, desired, FIELD_MANAGER, |_| true),
            "labels": { UID_LABEL: known.uid.to_string() },
        }});
        self.patch_secret(id, free).await.map(Some)
    }

    /// Removes the SecretSync and the class, and keeps the Secret, which has been taken from the extension.
    pub async fn remove_pair_keep_secret(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
    ) -> Result<(), EdgeError> {
        self.remove_one(&self.syncs(), id.as_str(), known).await?;
        self.remove_one(&self.classes(), id.as_str(), known).await
    }

    /// Makes the extension the manager of all keys of a Secret, because the extension never forces conflicts.
    /// Nothing else changes in the Secret, except our label.
    pub async fn release_to_extension(
        &self,
        desired: &SyncedSecret,
        edge_uid: Option<&str>,
    ) -> Result<Option<Written>, EdgeError> {
        let (id, uid) = (&desired.id, desired.uid);
        let Some(secret) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(None);
        };
        match owner(&secret.metadata, uid, edge_uid) {
            Owner::Us => {}
            Owner::Merged => return Err(self.withdraw_from_secret(id).await?),
            Owner::Other => return Err(EdgeError::conflict(id)),
        }
        let metadata = json!({
            "resourceVersion": secret.metadata.resource_version,
            "managedFields": handed_over(&secret.metadata, desired, EXTENSION, |_| true),
            "labels": { UID_LABEL: uid.to_string() },
        });
        self.patch_secret(id, json!({ "metadata": metadata })).await.map(Some)
    }

    pub(super) async fn patch_secret(&self, id: &SyncedSecretId, patch: Value) -> Result<Written, EdgeError> {
        let (parameters, patch) = (as_us(), Patch::Merge(patch));
        let answer = self.secrets.patch_metadata(id.as_str(), &parameters, &patch);
        Ok(written(&self.call(answer).await?.metadata))
    }

    pub(super) async fn patch_sync(&self, name: &str, patch: &Value) -> Result<SecretSync, EdgeError> {
        self.call(self.syncs().patch(name, &as_us(), &Patch::Merge(patch))).await
    }
}

pub(super) fn as_us() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Whether the extension reports that the class is missing.
fn has_confirmed_suspension(sync: &SecretSync) -> bool {
    const NO_CLASS_SAID: [&str; 3] =
        ["SecretProviderClassMisconfigured", "ControllerSpcError", "ControllerSPCError"];
    let conditions = sync.status.iter().flat_map(|status| &status.conditions);
    let says_so = conditions.into_iter().any(|condition| NO_CLASS_SAID.contains(&condition.reason.as_str()));
    says_so && matches!(sync_outcome(sync.status.as_ref(), ""), SyncOutcome::Failed(_))
}
