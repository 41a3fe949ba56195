//! A SecretSync that somebody else made, in the terms of the model: pure.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{SecretProviderClass, SecretSync, Verdict, objects, objects::Object, verdict};
use crate::{
    edge::manifest::uid_label,
    model::{
        Condition, ConditionType, Encoding, Origin, Reason, Reference, ReferenceStatus, SecretKey, State,
        Status, SyncedSecret,
    },
};

/// The synced secret that a SecretSync of somebody else amounts to; nothing where it is ours, or no name or uid of ours fits it.
pub fn as_synced_secret(sync: &SecretSync, class: Option<&SecretProviderClass>) -> Option<SyncedSecret> {
    let metadata = &sync.metadata;
    if uid_label(metadata).is_some() {
        return None;
    }
    let created = metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let (state, condition) = state(sync);
    let generation = metadata.generation.unwrap_or(1);
    Some(SyncedSecret {
        id: metadata.name.as_deref()?.parse().ok()?,
        uid: metadata.uid.as_deref()?.parse::<Uuid>().ok()?,
        description: String::new(),
        secret_type: sync.spec.secret_object.r#type.parse().unwrap_or_default(),
        references: references(sync, class),
        labels: sync.spec.secret_object.labels.clone(),
        state,
        conditions: vec![condition],
        users: Vec::new(),
        origin: Origin::Unmanaged,
        create_time: created,
        update_time: created,
        sync_time: sync.status.as_ref().and_then(|status| status.last_successful_sync_time),
        generation,
        synced_generation: if state == State::Synced { generation } else { 0 },
    })
}

fn state(sync: &SecretSync) -> (State, Condition) {
    let condition = |status, reason, message| Condition::new(ConditionType::Synced, status, reason, message);
    let has_synced = sync.status.as_ref().is_some_and(|status| !status.sync_hash.is_empty());
    match verdict(sync.status.as_ref(), "") {
        Verdict::Done => {
            let message = "The Secret Store extension has synced it.".to_owned();
            (State::Synced, condition(Status::True, Reason::Synced, message))
        }
        Verdict::Silent => {
            let message = "The Secret Store extension has not said anything of it yet.".to_owned();
            (State::Pending, condition(Status::False, Reason::Pending, message))
        }
        Verdict::Trouble(trouble) => {
            let state = if has_synced { State::Degraded } else { State::Failed };
            (state, condition(Status::False, trouble.reason, trouble.message))
        }
    }
}

/// The references as the class tells them. One that it doesn't tell has a problem that says so.
fn references(sync: &SecretSync, class: Option<&SecretProviderClass>) -> Vec<Reference> {
    let parameters = class.map(|class| &class.spec.parameters);
    let objects = parameters.and_then(|all| all.get("objects")).map(|text| objects::read(text));
    let objects: HashMap<String, Object> =
        objects.unwrap_or_default().into_iter().map(|object| (object.path().to_owned(), object)).collect();
    let reference = |data: &super::SecretObjectData| {
        let key: SecretKey = data.target_key.parse().ok()?;
        let object = objects.get(&data.source_path);
        let name = object.map_or(data.source_path.as_str(), |object| object.object_name.as_str());
        let problem = object.is_none().then(|| unknown(sync, &data.source_path));
        Some(Reference {
            key,
            vault_secret: name.parse().ok()?,
            version: object.and_then(|object| object.object_version.as_deref()?.parse().ok()),
            encoding: object.map_or(Encoding::Utf8, encoding),
            create_pending: false,
            status: ReferenceStatus { problem, ..ReferenceStatus::default() },
        })
    };
    sync.spec.secret_object.data.iter().filter_map(reference).collect()
}

fn encoding(object: &Object) -> Encoding {
    let is_named = |encoding: &Encoding| object.object_encoding.as_deref() == Some(encoding.name());
    [Encoding::Base64, Encoding::Hex].into_iter().find(is_named).unwrap_or_default()
}

fn unknown(sync: &SecretSync, path: &str) -> Condition {
    let message = format!(
        "The SecretProviderClass {:?} has no object {path:?}. Name the vault secret when you adopt it.",
        sync.spec.secret_provider_class_name
    );
    Condition::new(ConditionType::Synced, Status::False, Reason::SettingsMissing, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(objects: &str) -> SecretProviderClass {
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
            "metadata": { "name": "spc-ops-1a2b3c4" },
            "spec": { "provider": "azure", "parameters": { "objects": objects } },
        });
        serde_json::from_value(class).unwrap()
    }

    fn sync() -> SecretSync {
        let sync = json!({
            "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync",
            "metadata": {
                "name": "edp1secrets", "uid": "6b4c1c2e-1d6e-4f6e-9d2a-0d2f6e1a2b3c", "generation": 3,
                "creationTimestamp": "2026-01-02T03:04:05Z",
            },
            "spec": {
                "secretProviderClassName": "spc-ops-1a2b3c4", "serviceAccountName": "aio-ssc-sa",
                "secretObject": { "type": "Opaque", "data": [
                    { "sourcePath": "opc-username", "targetKey": "username" },
                    { "sourcePath": "pw", "targetKey": "password" },
                    { "sourcePath": "gone", "targetKey": "other" },
                ]},
            },
        });
        serde_json::from_value(sync).unwrap()
    }

    #[test]
    fn the_references_are_those_that_the_class_tells() {
        let class = class(
            "array:\n- |\n  objectName: opc-username\n- |\n  objectName: opc-password\n  objectAlias: pw\n  \
             objectVersion: 0123456789abcdef0123456789abcdef\n  objectEncoding: hex\n",
        );
        let secret = as_synced_secret(&sync(), Some(&class)).unwrap();
        assert_eq!((secret.origin, secret.state), (Origin::Unmanaged, State::Pending));
        let told: Vec<_> = secret
            .references
            .iter()
            .map(|held| {
                (held.key.as_str(), held.vault_secret.as_str(), held.encoding, held.version.is_some())
            })
            .collect();
        assert_eq!(
            told,
            [
                ("username", "opc-username", Encoding::Utf8, false),
                ("password", "opc-password", Encoding::Hex, true),
                ("other", "gone", Encoding::Utf8, false),
            ]
        );
        let problems: Vec<_> = secret.references.iter().map(|held| held.status.problem.is_some()).collect();
        assert_eq!(problems, [false, false, true]);
    }

    #[test]
    fn what_carries_our_label_is_not_somebody_elses() {
        let mut ours = sync();
        let label = (crate::edge::UID_LABEL.to_owned(), Uuid::new_v4().to_string());
        ours.metadata.labels = Some([label].into());
        assert!(as_synced_secret(&ours, None).is_none());
    }
}
