//! Handing a Secret over between the extension and this service, without a moment in which it is not there.
//!
//! Whoever gives it makes the other one the owner of its fields, and takes none of them out of everybody's
//! hands: a server-side apply removes what its manager owned and no longer asks for, and a field that nobody
//! owns stays for ever.
//!
//! Every step can be done again, and what was done shows at the edge: whoever is killed in between goes on
//! from there.

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

/// A class that is never there: with it, the extension stops before it writes.
const NO_CLASS: &str = "secret-service-handing-over";

/// Whether the extension still writes a Secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Suspension {
    /// There is no SecretSync.
    Absent,
    /// It has said that it has no class any more.
    Confirmed,
    /// It was told so, and has not said anything.
    Requested,
}

impl Edge {
    /// Takes what somebody else wrote into a SecretSync out of their hands, and makes it what it should be.
    /// The class that it named stays: others may use it.
    pub(super) async fn take_over(
        &self,
        pair: &Pair,
        there: &ObjectMeta,
        force: &str,
    ) -> Result<(), EdgeError> {
        let mut spec = pair.sync.spec.clone();
        spec.force_synchronization = Some(force.to_owned());
        // By a merge the list of keys is replaced; an apply would leave those of others in it.
        self.patch_sync(pair.name(), &json!({ "metadata": { "uid": there.uid }, "spec": spec })).await?;
        let fields = json!({ "f:spec": { "f:secretProviderClassName": {} } });
        let entry = entry_of(FIELD_MANAGER, &SecretSync::api_version(&()), fields);
        let nobodys = json!({ "metadata": { "uid": there.uid, "managedFields": [entry] } });
        self.patch_sync(pair.name(), &nobodys).await.map(|_| ())
    }

    /// Keeps the extension from writing the Secret any more.
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

    /// Makes the Secret of a SecretSync one that no object owns, that carries our label, and whose fields are
    /// ours. Its values stay. Of somebody else's Secret only what the extension merged into it is taken out.
    pub async fn take_from_extension(
        &self,
        asked: &SyncedSecret,
        known: KnownUids<'_>,
    ) -> Result<Option<Written>, EdgeError> {
        let id = &asked.id;
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let Some(secret) = secret else { return Ok(None) };
        if !known.is_ours(&secret, sync.as_ref()) {
            return self.remove_traces(id, known).await.map(|()| None);
        }
        let free = json!({ "metadata": {
            "resourceVersion": secret.resource_version,
            "ownerReferences": null,
            "managedFields": handed_over(&secret, asked, FIELD_MANAGER, |_| true),
            "labels": { UID_LABEL: known.uid.to_string() },
        }});
        self.patch_secret(id, free).await.map(Some)
    }

    /// Removes the pair, and leaves the Secret that was set free.
    pub async fn remove_pair_keep_secret(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
    ) -> Result<(), EdgeError> {
        self.remove_one(&self.syncs(), id.as_str(), known).await?;
        self.remove_one(&self.classes(), id.as_str(), known).await
    }

    /// Takes the keys of a Secret out of everybody's hands, ours included, and gives them to the extension,
    /// which never takes anything by force. Nothing of the Secret changes but our label.
    pub async fn release_to_extension(
        &self,
        asked: &SyncedSecret,
        edge_uid: Option<&str>,
    ) -> Result<Option<Written>, EdgeError> {
        let (id, uid) = (&asked.id, asked.uid);
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
            "managedFields": handed_over(&secret.metadata, asked, EXTENSION, |_| true),
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

/// Whether the extension says that the class is not there.
fn has_confirmed_suspension(sync: &SecretSync) -> bool {
    const NO_CLASS_SAID: [&str; 3] =
        ["SecretProviderClassMisconfigured", "ControllerSpcError", "ControllerSPCError"];
    let conditions = sync.status.iter().flat_map(|status| &status.conditions);
    let says_so = conditions.into_iter().any(|condition| NO_CLASS_SAID.contains(&condition.reason.as_str()));
    says_so && matches!(sync_outcome(sync.status.as_ref(), ""), SyncOutcome::Failed(_))
}
