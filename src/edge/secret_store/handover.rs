//! Handing a Secret over between the extension and this service, without a moment in which it is not there.
//!
//! Every step can be done again, and what was done shows at the edge: whoever is killed in between goes on from there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry, ObjectMeta};
use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{EXTENSION, FIELD_MANAGER, Known, Pair, SecretSync, Verdict, verdict};
use crate::{
    edge::{
        Edge, EdgeError, UID_LABEL,
        secrets::{Owner, Written, owner, written},
    },
    model::SyncedSecretId,
};

/// A class that is never there: with it, the extension stops before it writes.
const NO_CLASS: &str = "secret-service-handing-over";

/// Whether the extension still writes a Secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Halt {
    /// There is no SecretSync.
    Gone,
    /// It has said that it has no class any more.
    Noticed,
    /// It was told so, and has not said anything.
    Told,
}

impl Edge {
    /// Takes what somebody else wrote into a SecretSync out of their hands, and makes it what it should be. The class that it named
    /// stays: others may use it.
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
        let entry = entry_of_ours(
            &SecretSync::api_version(&()),
            json!({ "f:spec": { "f:secretProviderClassName": {} } }),
        );
        let nobodys = json!({ "metadata": { "uid": there.uid, "managedFields": [entry] } });
        self.patch_sync(pair.name(), &nobodys).await.map(|_| ())
    }

    /// Keeps the extension from writing the Secret any more.
    pub async fn halt(&self, id: &SyncedSecretId, known: Known<'_>, force: &str) -> Result<Halt, EdgeError> {
        let Some(there) = self.ours(&self.syncs(), id.as_str(), known).await? else {
            return Ok(Halt::Gone);
        };
        let sync = self.call(self.syncs().get(id.as_str())).await?;
        if sync.spec.secret_provider_class_name != NO_CLASS {
            let spec = json!({ "secretProviderClassName": NO_CLASS, "forceSynchronization": force });
            self.patch_sync(id.as_str(), &json!({ "metadata": { "uid": there.uid }, "spec": spec })).await?;
            return Ok(Halt::Told);
        }
        Ok(if has_noticed(&sync) { Halt::Noticed } else { Halt::Told })
    }

    /// Makes the Secret of a SecretSync a Secret that nobody owns, and that carries our label. Its values stay. Of somebody else's Secret
    /// only what the extension merged into it is taken out.
    pub async fn set_free(
        &self,
        id: &SyncedSecretId,
        known: Known<'_>,
    ) -> Result<Option<Written>, EdgeError> {
        let (secret, sync) = self.secret_and_sync(id).await?;
        let Some(secret) = secret else { return Ok(None) };
        if !known.is_ours(&secret, sync.as_ref()) {
            return self.give_back(id, known).await.map(|()| None);
        }
        let free = json!({ "metadata": {
            "resourceVersion": secret.resource_version,
            "ownerReferences": null,
            "managedFields": [entry_of_ours("v1", label_field())],
            "labels": { UID_LABEL: known.uid.to_string() },
        }});
        self.patch_secret(id, free).await.map(Some)
    }

    /// Removes the pair, and leaves the Secret that was set free.
    pub async fn drop_pair(&self, id: &SyncedSecretId, known: Known<'_>) -> Result<(), EdgeError> {
        self.remove_one(&self.syncs(), id.as_str(), known).await?;
        self.remove_one(&self.classes(), id.as_str(), known).await
    }

    /// Takes the keys of a Secret out of everybody's hands, ours included, so that the extension can write them: it never takes
    /// anything by force. Nothing of the Secret changes but our label.
    pub async fn let_go(
        &self,
        id: &SyncedSecretId,
        edge_uid: Option<&str>,
        uid: Uuid,
    ) -> Result<Option<Written>, EdgeError> {
        let Some(secret) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(None);
        };
        match owner(&secret.metadata, uid, edge_uid) {
            Owner::Us => {}
            Owner::Merged => return Err(self.leave_to_others(id).await?),
            Owner::Other => return Err(EdgeError::conflict(id)),
        }
        let kept = without_keys(&secret.metadata);
        let metadata = json!({
            "resourceVersion": secret.metadata.resource_version,
            "managedFields": kept,
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

/// The entries of `managedFields` with all that the extension writes in nobody's hands but its own.
pub(super) fn without_keys(metadata: &ObjectMeta) -> Vec<Value> {
    let let_go = |entry: &ManagedFieldsEntry| {
        let mut entry = entry.clone();
        if entry.manager.as_deref() != Some(EXTENSION)
            && let Some(FieldsV1(Value::Object(fields))) = &mut entry.fields_v1
        {
            fields.remove("f:data");
            fields.remove("f:type");
            if let Some(Value::Object(metadata)) = fields.get_mut("f:metadata") {
                metadata.remove("f:labels");
            }
        }
        json!(entry)
    };
    let is_left = |entry: &Value| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty());
    let left: Vec<_> = metadata.managed_fields.iter().flatten().map(let_go).filter(is_left).collect();
    if left.is_empty() { vec![entry_of_ours("v1", label_field())] } else { left }
}

/// An entry of `managedFields`: where there is none at all, the API server gives every field to a manager `before-first-apply` at
/// the next apply, and that one would stand in the way.
fn entry_of_ours(api_version: &str, fields: Value) -> Value {
    json!({
        "manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": api_version,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

fn label_field() -> Value {
    json!({ "f:metadata": { "f:labels": { format!("f:{UID_LABEL}"): {} } } })
}

pub(super) fn as_us() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() }
}

/// Whether the extension says that the class is not there.
fn has_noticed(sync: &SecretSync) -> bool {
    const NO_CLASS_SAID: [&str; 3] =
        ["SecretProviderClassMisconfigured", "ControllerSpcError", "ControllerSPCError"];
    let conditions = sync.status.iter().flat_map(|status| &status.conditions);
    let says_so = conditions.into_iter().any(|condition| NO_CLASS_SAID.contains(&condition.reason.as_str()));
    says_so && matches!(verdict(sync.status.as_ref(), ""), Verdict::Trouble(_))
}
