//! The Kubernetes Secret that the extension creates: its owner and the owners of its fields. Reads no values.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::{
    EXTENSION, KnownUids, LABEL_PREFIX, SecretSync,
    managed_fields::{handed_over, labels_of},
};
use crate::{
    edge::{
        Edge, EdgeError, FIELD_MANAGER, Written,
        engine::direct::secret::{data_keys, last_other_manager, wiped, written},
        manifest::{carries_uid, is_reserved, labels},
    },
    model::{CertificateFacts, SyncedSecret, SyncedSecretId, facts},
};

/// The state of the Secret with the name of a SecretSync.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretState {
    /// There is no Secret.
    Missing,
    /// The Secret of this SecretSync, as the extension wrote it.
    Intact(Written),
    /// The Secret of this SecretSync, but another manager has written or removed keys or labels.
    Edited,
    /// A Secret that was not created for this SecretSync.
    Foreign,
}

impl Edge {
    /// Reads the state of a synced secret's Secret. `needs_mark`: whether it must have a label of the
    /// extension.
    pub async fn secret_state(
        &self,
        desired: &SyncedSecret,
        known: KnownUids<'_>,
        needs_mark: bool,
    ) -> Result<SecretState, EdgeError> {
        let (secret, sync) = self.secret_and_sync(&desired.id, known).await?;
        let Some(secret) = secret else { return Ok(SecretState::Missing) };
        if !known.is_ours(&secret, sync.as_ref()) {
            return Ok(SecretState::Foreign);
        }
        Ok(match is_intact(&secret, sync.as_ref(), desired, needs_mark) {
            true => SecretState::Intact(written(&secret)),
            false => SecretState::Edited,
        })
    }

    /// What is to tell of the certificates in the Secret that the extension wrote, for each reference; nothing if the Secret has
    /// changed since. Looks at no private key, and wipes what it read.
    pub async fn certificates(
        &self,
        desired: &SyncedSecret,
        written: &Written,
    ) -> Result<Vec<Option<CertificateFacts>>, EdgeError> {
        let Some(secret) = self.call(self.secrets.get_opt(desired.id.as_str())).await? else {
            return Ok(Vec::new());
        };
        let data = secret.data.iter().flatten().collect::<BTreeMap<_, _>>();
        let contents = desired.references.iter().map(|reference| {
            let bytes = data.get(&reference.key.to_string()).map(|bytes| bytes.0.as_slice());
            bytes.unwrap_or_default()
        });
        let told = facts(&contents.collect::<Vec<_>>(), false);
        let metadata = wiped(secret).metadata;
        Ok(if self::written(&metadata) == *written { told } else { Vec::new() })
    }

    /// The Secret of a synced secret; none if the Secret with its name belongs to another tool.
    pub async fn own_secret(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
    ) -> Result<Option<Written>, EdgeError> {
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let own = secret.filter(|secret| known.is_ours(secret, sync.as_ref()));
        Ok(own.map(|secret| written(&secret)))
    }

    /// The manager, other than this service and the extension, that last wrote the SecretSync or the Secret
    /// of a synced secret; none if it is unknown.
    pub async fn last_writer(&self, id: &SyncedSecretId) -> Option<String> {
        let syncs = self.syncs();
        let found = tokio::try_join!(self.find(&self.secrets, id.as_str()), self.find(&syncs, id.as_str()));
        let (secret, sync) = found.ok()?;
        let metadata =
            secret.iter().map(|secret| &secret.metadata).chain(sync.iter().map(|sync| &sync.metadata));
        last_other_manager(metadata, &[FIELD_MANAGER, EXTENSION])
    }

    /// Makes the extension the only owner of the keys and labels of a Secret, because it never forces a
    /// conflict. The values stay until the extension writes its own; until then the Secret does not show that
    /// another manager wrote them. Removes keys that the synced secret does not have.
    pub async fn release_keys(&self, desired: &SyncedSecret, known: KnownUids<'_>) -> Result<(), EdgeError> {
        let id = &desired.id;
        let is_key = |key: &str| desired.references.iter().any(|reference| reference.key.as_str() == key);
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let Some(metadata) = secret else { return Ok(()) };
        if !known.is_ours(&metadata, sync.as_ref()) {
            return Err(EdgeError::conflict(id));
        }
        let foreign: Map<String, Value> = data_keys(&metadata, |manager| manager != EXTENSION)
            .filter(|key| !is_key(key))
            .map(|key| (key, Value::Null))
            .collect();
        let mut patch = json!({
            "metadata": {
                "resourceVersion": metadata.resource_version,
                "managedFields": handed_over(&metadata, desired, EXTENSION, is_key),
            },
        });
        if !foreign.is_empty() {
            patch["data"] = Value::Object(foreign);
        }
        self.patch_secret(id, patch).await.map(|_| ())
    }

    /// Removes from another tool's Secret what the extension merged into it for our SecretSync: the owner
    /// reference, which would get it garbage-collected, the labels, and the keys that no other manager owns.
    /// The extension must have been stopped before.
    pub async fn remove_traces(&self, id: &SyncedSecretId, known: KnownUids<'_>) -> Result<(), EdgeError> {
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let Some(secret) = secret.filter(|secret| !known.is_ours(secret, sync.as_ref())) else {
            return Ok(());
        };
        let owned_by = |uid: Option<&str>| {
            secret.owner_references.iter().flatten().any(|owner| Some(owner.uid.as_str()) == uid)
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = sync.iter().partition(|sync| known.has::<SecretSync>(sync));
        let sync_uid = ours.first().and_then(|sync| sync.uid.as_deref()).or(known.sync);
        // What the extension writes for another tool's SecretSync belongs to that tool.
        let is_theirs = theirs.iter().any(|sync| owned_by(sync.uid.as_deref()));
        let is_merged = (sync_uid.is_some() && owned_by(sync_uid)) || carries_uid(&secret, known.uid);
        if is_theirs || !is_merged {
            return Ok(());
        }
        match without_traces(&secret, sync_uid) {
            Some(patch) => self.patch_secret(id, patch).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// The metadata of the Secret and the SecretSync with this name.
    pub(super) async fn secret_and_sync(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
    ) -> Result<(Option<ObjectMeta>, Option<ObjectMeta>), EdgeError> {
        let syncs = self.syncs();
        let (secret, sync) = tokio::try_join!(
            self.find(&self.secrets, id.as_str()),
            self.metadata_or_gone(&syncs, id.as_str(), known)
        )?;
        Ok((secret.map(|secret| secret.metadata), sync.map(|sync| sync.metadata)))
    }
}

// === impl KnownUids ===

impl KnownUids<'_> {
    /// Whether the extension created a Secret for the recorded SecretSync, which no longer exists.
    fn is_left_behind(&self, secret: &ObjectMeta) -> bool {
        let mut owners = secret.owner_references.iter().flatten();
        self.sync.is_some_and(|sync| owners.any(|owner| owner.uid == sync)) && is_made_by_extension(secret)
    }

    /// Whether a Secret belongs to this synced secret: it has the recorded uid, or it was certainly created
    /// for its SecretSync.
    pub(super) fn is_ours(&self, secret: &ObjectMeta, sync: Option<&ObjectMeta>) -> bool {
        let our_sync = sync.filter(|sync| self.has::<SecretSync>(sync));
        let owned_by = |sync: &ObjectMeta| {
            let mut owners = secret.owner_references.iter().flatten();
            owners.any(|owner| Some(&owner.uid) == sync.uid.as_ref())
        };
        if our_sync.is_none() && sync.is_some_and(owned_by) {
            // Another tool's SecretSync has replaced ours and now owns the Secret.
            return false;
        }
        if sync.is_none() && self.is_left_behind(secret) {
            return true;
        }
        let is_recorded = self.secret.is_some() && secret.uid.as_deref() == self.secret;
        is_recorded || our_sync.is_some_and(|sync| owned_by(sync) && is_made_for(secret, sync))
    }
}

/// Whether the extension created a Secret for a SecretSync, and did not merge its keys into an existing one.
/// An owner reference to the SecretSync is no proof: the extension adds it to an existing Secret, too.
fn is_made_for(secret: &ObjectMeta, sync: &ObjectMeta) -> bool {
    secret.creation_timestamp.as_ref() >= sync.creation_timestamp.as_ref() && is_made_by_extension(secret)
}

/// Whether the extension wrote all keys of a Secret, and no other manager wrote it earlier.
pub(in crate::edge) fn is_made_by_extension(secret: &ObjectMeta) -> bool {
    let created = secret.creation_timestamp.as_ref();
    let (extensions, others): (Vec<_>, Vec<_>) = secret
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER))
        .partition(|entry| is_of_extension(entry));
    let writes = |entry: &ManagedFieldsEntry, field: &str| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get(field).is_some())
    };
    let wrote_first = extensions.iter().any(|entry| entry.time.as_ref() <= created);
    let is_first = |entry: &&ManagedFieldsEntry| entry.time.as_ref() <= created;
    extensions.iter().any(|entry| writes(entry, "f:data"))
        && !others.iter().any(|entry| writes(entry, "f:data") || writes(entry, "f:type"))
        && (wrote_first || !others.iter().any(is_first))
}

/// Whether a manager other than this service and the extension owns keys of a Secret, or set its type.
pub(in crate::edge) fn has_keys_of_others(secret: &ObjectMeta) -> bool {
    let mut others = secret
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| !is_of_extension(entry) && entry.manager.as_deref() != Some(FIELD_MANAGER));
    others.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.is_some_and(|fields| fields.get("f:data").is_some() || fields.get("f:type").is_some())
    })
}

/// Whether our Secret is owned by its SecretSync and has all its keys and labels from the extension, and none
/// from another manager.
fn is_intact(
    secret: &ObjectMeta,
    sync: Option<&ObjectMeta>,
    desired: &SyncedSecret,
    needs_mark: bool,
) -> bool {
    let mut owners = secret.owner_references.iter().flatten();
    let is_owned = owners.any(|owner| Some(&owner.uid) == sync.and_then(|sync| sync.uid.as_ref()));
    let has_foreign_keys = data_keys(secret, |manager| manager != EXTENSION).next().is_some();
    let keys: BTreeSet<String> = data_keys(secret, |manager| manager == EXTENSION).collect();
    // A removed key leaves no manager entry, but it is missing from the keys that the extension owns.
    let has_all_keys = desired.references.iter().all(|reference| keys.contains(reference.key.as_str()));
    let held = secret.labels.as_ref();
    let has_labels =
        labels(desired).iter().all(|(label, value)| held.and_then(|held| held.get(label)) == Some(value));
    // The extension chooses its label itself, but without one its admission policy rejects the next write.
    let has_mark = held.into_iter().flatten().any(|(label, _)| label.starts_with(LABEL_PREFIX));
    is_owned && !has_foreign_keys && has_all_keys && has_labels && (has_mark || !needs_mark)
}

/// The patch that removes the extension's and our fields from a Secret; none if there are none.
fn without_traces(secret: &ObjectMeta, sync_uid: Option<&str>) -> Option<Value> {
    let is_ours = |entry: &ManagedFieldsEntry| {
        is_of_extension(entry) || entry.manager.as_deref() == Some(FIELD_MANAGER)
    };
    let entries = || secret.managed_fields.iter().flatten();
    let theirs: Vec<Value> = entries().filter(|entry| !is_ours(entry)).map(|entry| json!(entry)).collect();
    let owners: Vec<Value> = secret
        .owner_references
        .iter()
        .flatten()
        .filter(|owner| Some(owner.uid.as_str()) != sync_uid)
        .map(|owner| json!(owner))
        .collect();
    let is_owned = owners.len() < secret.owner_references.iter().flatten().count();
    let is_manager_ours = |manager: &str| manager == EXTENSION || manager == FIELD_MANAGER;
    let their_keys: BTreeSet<String> = data_keys(secret, |manager| !is_manager_ours(manager)).collect();
    let keys: Map<String, Value> = data_keys(secret, is_manager_ours)
        .filter(|key| !their_keys.contains(key))
        .map(|key| (key, Value::Null))
        .collect();
    let is_label_ours = |label: &str| is_reserved(label) || label.starts_with(LABEL_PREFIX);
    let their_labels: BTreeSet<String> =
        labels_of(entries().filter(|entry| !is_ours(entry))).filter(|label| !is_label_ours(label)).collect();
    let labels: Map<String, Value> = labels_of(entries().filter(|entry| is_ours(entry)))
        .filter(|label| !their_labels.contains(label))
        .map(|label| (label, Value::Null))
        .collect();
    if !is_owned && keys.is_empty() && labels.is_empty() && theirs.len() == entries().count() {
        return None;
    }
    let mut metadata = json!({
        "resourceVersion": secret.resource_version,
        "labels": labels,
        // One empty entry clears the list; the API server ignores an empty list.
        "managedFields": if theirs.is_empty() { vec![json!({})] } else { theirs },
    });
    if is_owned {
        metadata["ownerReferences"] = if owners.is_empty() { Value::Null } else { json!(owners) };
    }
    let mut patch = json!({ "metadata": metadata });
    if !keys.is_empty() {
        patch["data"] = Value::Object(keys);
    }
    Some(patch)
}

fn is_of_extension(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(EXTENSION)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::edge::secret_store::KnownUids;

    const SECOND: &str = "2026-01-02T03:04:05Z";
    const LATER: &str = "2026-01-02T03:04:09Z";
    const EARLIER: &str = "2026-01-02T03:04:01Z";

    fn entry(manager: &str, time: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields })
    }

    fn secret(created: &str, entries: &[Value]) -> ObjectMeta {
        let metadata = json!({
            "name": "edp1", "uid": "of-the-secret", "creationTimestamp": created, "managedFields": entries,
            "ownerReferences": [{ "apiVersion": "v", "kind": "SecretSync", "name": "edp1", "uid": "of-the-sync" }],
        });
        serde_json::from_value(metadata).unwrap()
    }

    fn sync(created: &str) -> ObjectMeta {
        let metadata = json!({ "name": "edp1", "uid": "of-the-sync", "creationTimestamp": created });
        serde_json::from_value(metadata).unwrap()
    }

    fn of_extension(time: &str) -> Value {
        entry(EXTENSION, time, json!({ "f:data": { "f:username": {} }, "f:type": {} }))
    }

    #[test]
    fn a_secret_counts_as_the_extensions_only_if_no_other_manager_can_have_created_it() {
        let annotates =
            |time| entry("reloader", time, json!({ "f:metadata": { "f:annotations": { "f:a": {} } } }));
        let creates = entry("kubectl-create", SECOND, json!({ "f:data": { "f:theirs": {} }, "f:type": {} }));
        let creates_none = entry("kubectl-create", SECOND, json!({ "f:type": {} }));
        for (what, created, entries, is_made) in [
            ("alone", SECOND, vec![of_extension(SECOND)], true),
            ("alone, and written again", SECOND, vec![of_extension(LATER)], true),
            ("annotated since", SECOND, vec![of_extension(SECOND), annotates(LATER)], true),
            ("annotated within the second", SECOND, vec![of_extension(SECOND), annotates(SECOND)], true),
            ("somebody was there first", SECOND, vec![annotates(SECOND), of_extension(LATER)], false),
            ("merged", SECOND, vec![creates, of_extension(SECOND)], false),
            ("merged into one without keys", SECOND, vec![creates_none, of_extension(SECOND)], false),
            ("there before its SecretSync", EARLIER, vec![of_extension(SECOND)], false),
            ("the extension has nothing in it", SECOND, vec![annotates(SECOND)], false),
        ] {
            assert_eq!(is_made_for(&secret(created, &entries), &sync(SECOND)), is_made, "{what}");
        }
    }

    #[test]
    fn a_secret_is_ours_by_its_uid_and_not_by_its_content() {
        let uid = uuid::Uuid::nil();
        let merged = secret(
            SECOND,
            &[entry("kubectl-create", SECOND, json!({ "f:data": { "f:a": {} } })), of_extension(SECOND)],
        );
        let knows = |secret| KnownUids {
            uid,
            secret,
            sync: Some("of-the-sync"),
            class: None,
            trusts_label: false,
            are_kinds_gone: false,
        };
        assert!(knows(Some("of-the-secret")).is_ours(&merged, Some(&sync(SECOND))));
        assert!(knows(Some("of-the-secret")).is_ours(&merged, None));
        assert!(!knows(None).is_ours(&merged, Some(&sync(SECOND))));
        assert!(!knows(Some("another")).is_ours(&merged, Some(&sync(SECOND))));
        let left = secret(SECOND, &[of_extension(SECOND)]);
        assert!(knows(None).is_ours(&left, None), "the SecretSync that it was made for is remembered");
        assert!(!knows(None).is_ours(&merged, None));
        let theirs = KnownUids { sync: Some("another"), ..knows(Some("of-the-secret")) };
        assert!(!theirs.is_ours(&merged, Some(&sync(SECOND))), "somebody else's SecretSync goes on with it");
    }

    #[test]
    fn removing_our_fields_keeps_the_fields_of_other_managers() {
        let merged = secret(
            SECOND,
            &[
                entry(
                    "kubectl-create",
                    SECOND,
                    json!({
                        "f:data": { "f:theirs": {}, "f:both": {} },
                        "f:metadata": { "f:labels": { "f:app": {} } },
                    }),
                ),
                entry(
                    EXTENSION,
                    SECOND,
                    json!({
                        "f:data": { "f:username": {}, "f:both": {} },
                        "f:metadata": { "f:labels": { "f:app": {}, "f:secrets-store.sync.x-k8s.io": {} } },
                    }),
                ),
            ],
        );
        let patch = without_traces(&merged, Some("of-the-sync")).unwrap();
        assert_eq!(patch["data"], json!({ "username": null }));
        assert_eq!(patch["metadata"]["labels"], json!({ "secrets-store.sync.x-k8s.io": null }));
        assert_eq!(patch["metadata"]["ownerReferences"], Value::Null);
        assert_eq!(patch["metadata"]["managedFields"].as_array().unwrap().len(), 1);
        let untouched = ObjectMeta {
            owner_references: None,
            ..secret(SECOND, &[entry("kubectl-create", SECOND, json!({ "f:data": { "f:a": {} } }))])
        };
        assert_eq!(without_traces(&untouched, Some("of-the-sync")), None);
    }
}
