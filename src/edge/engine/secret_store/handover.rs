//! Handing a Secret over between the extension and this service, without a moment in which it is not there.
//!
//! Whoever gives it makes the other one the owner of its fields, and takes none of them out of everybody's hands: a server-side apply removes
//! what its manager owned and no longer asks for, and a field that nobody owns stays for ever.
//!
//! Every step can be done again, and what was done shows at the edge: whoever is killed in between goes on from there.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    EXTENSION, KnownUids, LABEL_PREFIX, Pair, SecretSync, SyncOutcome, secret::labels_of, sync_outcome,
};
use crate::{
    edge::{
        Edge, EdgeError, FIELD_MANAGER, UID_LABEL, Written,
        engine::direct::secret::{Owner, data_keys, owner, written},
        manifest::labels,
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

    /// Makes the Secret of a SecretSync one that no object owns, that carries our label, and whose fields are ours. Its values stay. Of
    /// somebody else's Secret only what the extension merged into it is taken out.
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

    /// Takes the keys of a Secret out of everybody's hands, ours included, and gives them to the extension, which never takes anything by
    /// force. Nothing of the Secret changes but our label.
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

/// The entries of `managedFields` with all that this service or the extension writes into a Secret in one's hands, as if it had applied just
/// that: the type, the labels, and the keys that are wanted. What else others have, they keep.
pub(super) fn handed_over(
    metadata: &ObjectMeta,
    asked: &SyncedSecret,
    receiver: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Value> {
    let entries = || metadata.managed_fields.iter().flatten();
    let is_applied = |entry: &ManagedFieldsEntry| {
        entry.operation.as_deref() == Some("Apply") && entry.subresource.is_none()
    };
    let is_of_receiver =
        |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(receiver) && is_applied(entry);
    // Somebody may have edited a label that is asked for, and it is theirs alone since.
    let of_both =
        entries().filter(|entry| matches!(entry.manager.as_deref(), Some(EXTENSION | FIELD_MANAGER)));
    let marks = metadata.labels.iter().flatten().map(|(label, _)| label);
    let marks = marks.filter(|label| label.starts_with(LABEL_PREFIX)).cloned();
    let given: BTreeSet<String> = labels_of(of_both).chain(labels(asked).into_keys()).chain(marks).collect();
    let mut received = entries()
        .find(is_of_receiver)
        .map_or_else(|| entry_of(receiver, "v1", json!({})), |entry| json!(entry));
    let fields = &mut received["fieldsV1"];
    for key in data_keys(metadata, |_| true).filter(|key| is_wanted(key)) {
        fields["f:data"][format!("f:{key}")] = json!({});
    }
    fields["f:type"] = json!({});
    let there = metadata.labels.iter().flatten().map(|(label, _)| label);
    for label in there.filter(|label| given.contains(*label)) {
        fields["f:metadata"]["f:labels"][format!("f:{label}")] = json!({});
    }
    let is_kept = |entry: &&ManagedFieldsEntry| {
        // All that the extension has in a Secret is what it gives.
        !is_of_receiver(entry) && entry.manager.as_deref() != Some(EXTENSION)
    };
    let others = entries().filter(is_kept).map(|entry| without(json!(entry), &given));
    let is_left = |entry: &Value| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty());
    others.filter(is_left).chain([received]).collect()
}

/// An entry without the content of a Secret and these labels.
fn without(mut entry: Value, labels: &BTreeSet<String>) -> Value {
    let Some(fields) = entry["fieldsV1"].as_object_mut() else { return entry };
    fields.remove("f:data");
    fields.remove("f:type");
    if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
        if let Some(held) = metadata.get_mut("f:labels").and_then(Value::as_object_mut) {
            held.retain(|label, _| {
                label != "." && !label.strip_prefix("f:").is_some_and(|label| labels.contains(label))
            });
            if held.is_empty() {
                metadata.remove("f:labels");
            }
        }
        if metadata.is_empty() {
            fields.remove("f:metadata");
        }
    }
    entry
}

/// An entry of `managedFields`, as of an apply. Where there is none at all, the API server gives every field to a manager `before-first-apply`
/// at the next apply, and that one would stand in the way.
fn entry_of(manager: &str, api_version: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": "Apply", "apiVersion": api_version,
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }

    fn secret(entries: &[Value]) -> ObjectMeta {
        let labels = json!({ "ours": "1", "theirs": "1", "app.kubernetes.io/managed-by": "somebody" });
        serde_json::from_value(json!({ "name": "a", "labels": labels, "managedFields": entries })).unwrap()
    }

    /// The fields of each manager.
    fn fields(entries: &[Value]) -> Vec<(&str, &Value)> {
        entries.iter().map(|entry| (entry["manager"].as_str().unwrap(), &entry["fieldsV1"])).collect()
    }

    #[test]
    fn whoever_receives_a_secret_owns_all_that_either_of_both_wrote_and_others_keep_the_rest() {
        let asked = SyncedSecret::example("a");
        let given = entry(
            FIELD_MANAGER,
            "Apply",
            json!({
                "f:data": { "f:kept": {}, "f:dropped": {} }, "f:type": {},
                "f:metadata": { "f:labels": { "f:ours": {}, "f:gone": {} }, "f:annotations": { "f:a": {} } },
            }),
        );
        let edited = entry(
            "kubectl-edit",
            "Update",
            json!({
                "f:data": { ".": {}, "f:extra": {} },
                "f:metadata": { "f:labels": { "f:theirs": {}, "f:app.kubernetes.io/managed-by": {} } },
            }),
        );
        let handed = handed_over(&secret(&[given, edited]), &asked, EXTENSION, |key| key != "extra");
        let labels = json!({ "f:ours": {}, "f:app.kubernetes.io/managed-by": {} });
        assert_eq!(
            fields(&handed),
            [
                (FIELD_MANAGER, &json!({ "f:metadata": { "f:annotations": { "f:a": {} } } })),
                ("kubectl-edit", &json!({ "f:metadata": { "f:labels": { "f:theirs": {} } } })),
                (
                    EXTENSION,
                    &json!({
                        "f:data": { "f:kept": {}, "f:dropped": {} }, "f:type": {},
                        "f:metadata": { "f:labels": labels },
                    })
                ),
            ]
        );
    }

    #[test]
    fn what_the_receiver_had_stays_its_own_and_of_the_extension_nothing_is_left() {
        let asked = SyncedSecret::example("a");
        let had = entry(FIELD_MANAGER, "Apply", json!({ "f:metadata": { "f:annotations": { "f:a": {} } } }));
        let owner = json!({ "f:data": { "f:k": {} }, "f:metadata": { "f:ownerReferences": {} } });
        let handed =
            handed_over(&secret(&[had, entry(EXTENSION, "Apply", owner)]), &asked, FIELD_MANAGER, |_| true);
        let labels = json!({ "f:app.kubernetes.io/managed-by": {} });
        let metadata = json!({ "f:annotations": { "f:a": {} }, "f:labels": labels });
        let all = json!({ "f:data": { "f:k": {} }, "f:type": {}, "f:metadata": metadata });
        assert_eq!(fields(&handed), [(FIELD_MANAGER, &all)]);
    }
}
