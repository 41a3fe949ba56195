//! The Kubernetes Secret that the extension makes: whose it is, and whose fields are in it. Never a value.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value, json};

use super::{
    EXTENSION, KnownUids, LABEL_PREFIX, SecretSync,
    managed_fields::{handed_over, labels_of},
};
use crate::{
    edge::{
        Edge, EdgeError, FIELD_MANAGER, Written,
        engine::direct::secret::{data_keys, last_other_manager, written},
        manifest::{carries_uid, is_reserved, labels},
    },
    model::{SyncedSecret, SyncedSecretId},
};

/// What stands under the name of a SecretSync.
#[derive(Debug, PartialEq, Eq)]
pub enum SecretState {
    /// No Secret.
    Missing,
    /// The Secret of this SecretSync, as the extension made it.
    Intact(Written),
    /// The Secret of this SecretSync, and someone else has written or removed keys or labels of it.
    Edited,
    /// A Secret that this SecretSync has not made.
    Foreign,
}

impl Edge {
    /// Looks at the Secret of the SecretSync of a synced secret. `wants_mark`: whether it must have a label
    /// of the extension.
    pub async fn secret_state(
        &self,
        asked: &SyncedSecret,
        known: KnownUids<'_>,
        wants_mark: bool,
    ) -> Result<SecretState, EdgeError> {
        let (secret, sync) = self.secret_and_sync(&asked.id, known).await?;
        let Some(secret) = secret else { return Ok(SecretState::Missing) };
        if !known.is_ours(&secret, sync.as_ref()) {
            return Ok(SecretState::Foreign);
        }
        Ok(match is_intact(&secret, sync.as_ref(), asked, wants_mark) {
            true => SecretState::Intact(written(&secret)),
            false => SecretState::Edited,
        })
    }

    /// The Secret under the name of a SecretSync, where it is that of this synced secret.
    pub async fn own_secret(
        &self,
        id: &SyncedSecretId,
        known: KnownUids<'_>,
    ) -> Result<Option<Written>, EdgeError> {
        let (secret, sync) = self.secret_and_sync(id, known).await?;
        let own = secret.filter(|secret| known.is_ours(secret, sync.as_ref()));
        Ok(own.map(|secret| written(&secret)))
    }

    /// Who else than this service and the extension wrote last to the SecretSync of a synced secret or to its
    /// Secret; nobody where that can't be told.
    pub async fn last_writer(&self, id: &SyncedSecretId) -> Option<String> {
        let syncs = self.syncs();
        let found = tokio::try_join!(self.find(&self.secrets, id.as_str()), self.find(&syncs, id.as_str()));
        let (secret, sync) = found.ok()?;
        let metadata =
            secret.iter().map(|secret| &secret.metadata).chain(sync.iter().map(|sync| &sync.metadata));
        last_other_manager(metadata, &[FIELD_MANAGER, EXTENSION])
    }

    /// Gives the keys and labels of a Secret to the extension, out of everybody's hands: it never takes
    /// anything by force. The values stay until it writes its own, and nothing in the Secret tells any more
    /// that they are not; keys that the synced secret does not have go.
    pub async fn release_keys(&self, asked: &SyncedSecret, known: KnownUids<'_>) -> Result<(), EdgeError> {
        let id = &asked.id;
        let is_key = |key: &str| asked.references.iter().any(|reference| reference.key.as_str() == key);
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
                "managedFields": handed_over(&metadata, asked, EXTENSION, is_key),
            },
        });
        if !foreign.is_empty() {
            patch["data"] = Value::Object(foreign);
        }
        self.patch_secret(id, patch).await.map(|_| ())
    }

    /// Takes out of somebody else's Secret what the extension merged into it for a SecretSync of ours: the
    /// owner, with which it would be garbage-collected, the labels, and the keys that are in nobody else's
    /// hands. The extension must have been halted before.
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
        // What the extension writes for somebody else's SecretSync is theirs.
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

    /// The metadata of the two that stand under a name.
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
    /// Whether the extension made a Secret for the SecretSync that is remembered, and that is gone.
    fn is_left_behind(&self, secret: &ObjectMeta) -> bool {
        let mut owners = secret.owner_references.iter().flatten();
        self.sync.is_some_and(|sync| owners.any(|owner| owner.uid == sync)) && is_made_by_extension(secret)
    }

    /// Whether a Secret is that of this synced secret: the one that is remembered, or one that its SecretSync
    /// has made for sure.
    pub(super) fn is_ours(&self, secret: &ObjectMeta, sync: Option<&ObjectMeta>) -> bool {
        let our_sync = sync.filter(|sync| self.has::<SecretSync>(sync));
        let owned_by = |sync: &ObjectMeta| {
            let mut owners = secret.owner_references.iter().flatten();
            owners.any(|owner| Some(&owner.uid) == sync.uid.as_ref())
        };
        if our_sync.is_none() && sync.is_some_and(owned_by) {
            // Somebody else's SecretSync has come in the place of ours, and goes on with the Secret.
            return false;
        }
        if sync.is_none() && self.is_left_behind(secret) {
            return true;
        }
        let is_remembered = self.secret.is_some() && secret.uid.as_deref() == self.secret;
        is_remembered || our_sync.is_some_and(|sync| owned_by(sync) && is_made_for(secret, sync))
    }
}

/// Whether the extension made a Secret for a SecretSync, and did not merge its keys into one that somebody
/// else made. That it is owned by the SecretSync proves nothing.
fn is_made_for(secret: &ObjectMeta, sync: &ObjectMeta) -> bool {
    secret.creation_timestamp.as_ref() >= sync.creation_timestamp.as_ref() && is_made_by_extension(secret)
}

/// Whether all keys of a Secret are the extension's, and nobody was there before it.
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

/// Whether somebody else than this service and the extension has keys in a Secret, or chose its type.
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

/// Whether a Secret of ours is owned by its SecretSync, has all keys and labels from the extension, and none
/// from anybody else.
fn is_intact(secret: &ObjectMeta, sync: Option<&ObjectMeta>, asked: &SyncedSecret, wants_mark: bool) -> bool {
    let mut owners = secret.owner_references.iter().flatten();
    let is_owned = owners.any(|owner| Some(&owner.uid) == sync.and_then(|sync| sync.uid.as_ref()));
    let has_foreign_keys = data_keys(secret, |manager| manager != EXTENSION).next().is_some();
    let keys: BTreeSet<String> = data_keys(secret, |manager| manager == EXTENSION).collect();
    // A key that somebody removes leaves nobody behind: it is missing from what the extension holds.
    let has_all_keys = asked.references.iter().all(|reference| keys.contains(reference.key.as_str()));
    let held = secret.labels.as_ref();
    let has_labels =
        labels(asked).iter().all(|(label, value)| held.and_then(|held| held.get(label)) == Some(value));
    // Which label the extension sets is its own affair, but without one its admission policy refuses the next
    // write.
    let has_mark = held.into_iter().flatten().any(|(label, _)| label.starts_with(LABEL_PREFIX));
    is_owned && !has_foreign_keys && has_all_keys && has_labels && (has_mark || !wants_mark)
}

/// The patch that takes out what the extension and we have in a Secret; none where there is nothing.
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
        // One empty entry empties the list; an empty list would be taken for one that was left out.
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
    fn that_the_extension_made_a_secret_is_believed_only_where_nobody_else_can_have() {
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
    fn a_secret_is_ours_by_its_uid_and_not_by_what_stands_in_it() {
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
    fn what_is_given_back_keeps_what_others_hold() {
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
