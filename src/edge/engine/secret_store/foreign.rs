//! Converts a SecretSync of another tool to the model. No I/O.

use jiff::Timestamp;

use super::{
    PROVIDER, SecretObjectData, SecretProviderClass, SecretSync, SyncOutcome, objects, objects::Object,
    sync_outcome,
};
use crate::{
    edge::{adoption::owner_of, manifest::uid_label},
    model::{
        Condition, ConditionType, Encoding, Origin, Part, Reason, Reference, ReferenceStatus, SecretKey,
        State, Status, SyncedSecret, VaultSecretName, VaultVersion,
    },
    quote::Quote,
};

/// A key of a SecretSync that another tool created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The key in the Kubernetes Secret.
    pub key: String,
    /// The equivalent reference, as far as one can express the key; with a problem if there is an obstacle.
    pub reference: Option<Reference>,
    /// Why no reference is exactly equivalent: a sentence.
    pub obstacle: Option<String>,
}

/// The synced secret that shows a SecretSync of another tool. None if the SecretSync is ours, or if its name
/// or uid is not valid for a synced secret. `vault_name` is the vault of this service.
pub fn as_synced_secret(
    sync: &SecretSync,
    class: Option<&SecretProviderClass>,
    vault_name: &str,
) -> Option<SyncedSecret> {
    let metadata = &sync.metadata;
    if uid_label(metadata).is_some() {
        return None;
    }
    let created = metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let (state, mut condition) = state(sync);
    let generation = metadata.generation.unwrap_or(1);
    let (shown, hidden): (Vec<_>, Vec<_>) =
        foreign_keys(sync, class, vault_name).into_iter().partition(|key| key.reference.is_some());
    let secret_type = sync.spec.secret_object.r#type.parse();
    let untold_type = secret_type.as_ref().err().map(|error| format!("Its type is not shown: {error}."));
    // Keys that no reference can name appear in the condition at least.
    let owned =
        owner_of(metadata).map(|owner| format!("{owner} owns it and keeps writing it: it can't be adopted."));
    for obstacle in hidden.iter().filter_map(|key| key.obstacle.as_ref()).chain(&untold_type).chain(&owned) {
        condition.message = format!("{} {obstacle}", condition.message);
    }
    let (id, uid) = (metadata.name.as_deref()?.parse().ok()?, metadata.uid.as_deref()?.parse().ok()?);
    Some(SyncedSecret {
        secret_type: secret_type.unwrap_or_default(),
        references: shown.into_iter().filter_map(|key| key.reference).collect(),
        labels: sync.spec.secret_object.labels.clone(),
        state,
        conditions: vec![condition],
        sync_time: sync.status.as_ref().and_then(|status| status.last_successful_sync_time),
        generation,
        synced_generation: if state == State::Synced { generation } else { 0 },
        ..SyncedSecret::new(id, uid, Origin::Unmanaged, created)
    })
}

/// All keys of a SecretSync, including those that no reference can express.
pub fn foreign_keys(
    sync: &SecretSync,
    class: Option<&SecretProviderClass>,
    vault_name: &str,
) -> Vec<ForeignKey> {
    let parameter = |name: &str| class.and_then(|class| class.spec.parameters.get(name));
    let objects = parameter("objects").map(|text| objects::read(text)).unwrap_or_default();
    let source = source_obstacle(sync, class, vault_name);
    let key = |data: &SecretObjectData| {
        let mut found = objects.iter().filter(|object| object.is_at(&data.source_path));
        let object = found.next();
        let obstacle = match (&source, object) {
            (Some(source), _) => Some(source.clone()),
            (None, None) => Some((Reason::SettingsMissing, unknown(sync, &data.source_path))),
            (None, Some(object)) => {
                let twice = found.any(|other| other != object).then(|| {
                    format!("{:?} names two different objects of its SecretProviderClass", data.source_path)
                });
                twice.or_else(|| object_obstacle(object, data)).map(|why| (Reason::NotAdoptable, why))
            }
        };
        foreign_key(data, object, obstacle)
    };
    sync.spec.secret_object.data.iter().map(key).collect()
}

fn foreign_key(
    data: &SecretObjectData,
    object: Option<&Object>,
    obstacle: Option<(Reason, String)>,
) -> ForeignKey {
    let sentence = |why: &str| {
        format!(
            "Key {:?}: {}. Specify a reference for it when you adopt this with AdoptSyncedSecret.",
            Quote::from(&data.target_key),
            Quote::from(why)
        )
    };
    let path = data.source_path.split_once('/').map_or(data.source_path.as_str(), |(name, _)| name);
    let name = object.map_or(path, |object| object.object_name.as_str());
    let (key, vault_secret) = (data.target_key.parse::<SecretKey>(), name.parse::<VaultSecretName>());
    let obstacle = obstacle.map(|(reason, why)| (reason, sentence(&why)));
    let named = match (key, vault_secret) {
        (Ok(key), Ok(vault_secret)) => Ok((key, vault_secret)),
        (Err(error), _) => Err(sentence(&error.to_string())),
        (_, Err(error)) => Err(sentence(&format!("{name:?} is not a valid vault secret name: {error}"))),
    };
    let (key, vault_secret) = match named {
        Ok(named) => named,
        Err(why) => {
            let obstacle = obstacle.map_or(why, |(_, obstacle)| obstacle);
            return ForeignKey { key: data.target_key.clone(), reference: None, obstacle: Some(obstacle) };
        }
    };
    let problem = obstacle
        .as_ref()
        .map(|(reason, message)| Condition::new(ConditionType::Synced, Status::False, *reason, message));
    let reference = Reference {
        key,
        vault_secret,
        version: object.and_then(|object| object.object_version.as_deref()?.parse().ok()),
        encoding: object.and_then(encoding).unwrap_or_default(),
        part: object.map(part).unwrap_or_default(),
        create_pending: false,
        create_generation: 0,
        status: ReferenceStatus { problem, ..ReferenceStatus::default() },
    };
    let obstacle = obstacle.map(|(_, message)| message);
    ForeignKey { key: data.target_key.clone(), reference: Some(reference), obstacle }
}

/// Why the keys of a SecretSync do not come from the vault of this service.
fn source_obstacle(
    sync: &SecretSync,
    class: Option<&SecretProviderClass>,
    vault_name: &str,
) -> Option<(Reason, String)> {
    let name = &sync.spec.secret_provider_class_name;
    let Some(class) = class else {
        let why = format!("its SecretProviderClass {name:?} does not exist");
        return Some((Reason::SettingsMissing, why));
    };
    let provider = &class.spec.provider;
    if provider != PROVIDER {
        let why =
            format!("its SecretProviderClass {name:?} uses the provider {provider:?}, not {PROVIDER:?}");
        return Some((Reason::NotAdoptable, why));
    }
    let vault = class.spec.parameters.get("keyvaultName").map(|name| name.trim()).unwrap_or_default();
    if !vault.eq_ignore_ascii_case(vault_name) {
        let why = format!("it comes from the vault {vault:?}, but this service uses {vault_name:?}");
        return Some((Reason::NotAdoptable, why));
    }
    None
}

/// Why no reference is equivalent to an object of a class.
fn object_obstacle(object: &Object, data: &SecretObjectData) -> Option<String> {
    let name = &object.object_name;
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if !["secret", "cert"].contains(&object.object_type.as_str()) {
        let kind = &object.object_type;
        return Some(format!(
            "{name:?} has the objectType {kind:?}; references support only secrets and certificates"
        ));
    }
    if object.object_version_history > 1 {
        let path = &data.source_path;
        return Some(format!(
            "{path:?} selects an older version of {name:?} (objectVersionHistory); references support only the \
             latest or a pinned version"
        ));
    }
    if let Some(version) = set(&object.object_version).filter(|text| text.parse::<VaultVersion>().is_err()) {
        return Some(format!("{version:?} is not a valid version of {name:?}"));
    }
    if object.object_type == "secret" && encoding(object).is_none() {
        let encoding = set(&object.object_encoding).unwrap_or_default();
        return Some(format!("references do not support the objectEncoding {encoding:?}"));
    }
    let format = set(&object.object_format).filter(|format| !format.eq_ignore_ascii_case("pem"));
    let format = format.filter(|_| part(object) == Part::Whole)?;
    let encoding = set(&object.object_encoding).unwrap_or_default();
    Some(format!(
        "references do not support the objectFormat {format:?} with the objectEncoding {encoding:?}"
    ))
}

/// The part that an object takes of a certificate.
fn part(object: &Object) -> Part {
    let is = |text: &Option<String>, named: &str| {
        text.as_deref().is_some_and(|text| text.eq_ignore_ascii_case(named))
    };
    if object.object_type == "cert" {
        Part::Certificate
    } else if is(&object.object_format, "pfx") && is(&object.object_encoding, Encoding::Base64.name()) {
        Part::Pfx
    } else {
        Part::Whole
    }
}

fn state(sync: &SecretSync) -> (State, Condition) {
    let condition = |status, reason, message| Condition::new(ConditionType::Synced, status, reason, message);
    let has_synced = sync.status.as_ref().is_some_and(|status| !status.sync_hash.is_empty());
    match sync_outcome(sync.status.as_ref(), "") {
        SyncOutcome::Synced => {
            let message = "The Secret Store extension has synced the Secret.".to_owned();
            (State::Synced, condition(Status::True, Reason::Synced, message))
        }
        SyncOutcome::Unanswered => {
            let message = "The Secret Store extension has not reported a result yet.".to_owned();
            (State::Pending, condition(Status::False, Reason::Pending, message))
        }
        SyncOutcome::Failed(failed) => {
            let state = if has_synced { State::Degraded } else { State::Failed };
            (state, condition(Status::False, failed.reason, failed.message))
        }
    }
}

/// The encoding of an object; none if references do not support it. The provider decodes no certificate.
fn encoding(object: &Object) -> Option<Encoding> {
    if object.object_type == "cert" {
        return Some(Encoding::Utf8);
    }
    let named = object.object_encoding.as_deref().unwrap_or_default();
    let is_named = |encoding: &Encoding| named.eq_ignore_ascii_case(encoding.name());
    match named {
        "" => Some(Encoding::Utf8),
        _ => [Encoding::Utf8, Encoding::Base64, Encoding::Hex].into_iter().find(is_named),
    }
}

fn unknown(sync: &SecretSync, path: &str) -> String {
    format!(
        "its SecretProviderClass {:?} has no object {path:?}, or the object is malformed",
        sync.spec.secret_provider_class_name
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(objects: &str) -> SecretProviderClass {
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
            "metadata": { "name": "spc-ops-1a2b3c4" },
            "spec": { "provider": "azure", "parameters": { "keyvaultName": "Contoso-AIO", "objects": objects } },
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
    fn the_references_come_from_the_class() {
        let class = class(
            "array:\n- |\n  objectName: opc-username\n  objectType: secret\n- |\n  objectName: opc-password\n  objectType: secret\n  objectAlias: pw\n  \
             objectVersion: 0123456789abcdef0123456789abcdef\n  objectEncoding: hex\n",
        );
        let secret = as_synced_secret(&sync(), Some(&class), "contoso-aio").unwrap();
        assert_eq!((secret.origin, secret.state), (Origin::Unmanaged, State::Pending));
        let references: Vec<_> = secret
            .references
            .iter()
            .map(|held| {
                (held.key.as_str(), held.vault_secret.as_str(), held.encoding, held.version.is_some())
            })
            .collect();
        assert_eq!(
            references,
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
    fn an_object_with_our_label_is_not_foreign() {
        let mut ours = sync();
        let label = (crate::edge::UID_LABEL.to_owned(), uuid::Uuid::new_v4().to_string());
        ours.metadata.labels = Some([label].into());
        assert!(as_synced_secret(&ours, None, "contoso-aio").is_none());
    }

    /// The message about the key of a SecretSync with one key, whose class has this object.
    fn said_of(object: &str, path: &str) -> ForeignKey {
        let mut sync = sync();
        let data = SecretObjectData { source_path: path.to_owned(), target_key: "password".to_owned() };
        sync.spec.secret_object.data = vec![data];
        let objects = serde_json::json!({ "array": [object] }).to_string();
        let mut keys = foreign_keys(&sync, Some(&class(&objects)), "contoso-aio");
        assert_eq!(keys.len(), 1);
        keys.remove(0)
    }

    #[test]
    fn certificates_and_pfx_files_are_parts() {
        for (object, part, encoding) in [
            ("objectType: cert", Part::Certificate, Encoding::Utf8),
            ("objectType: cert\nobjectEncoding: base32", Part::Certificate, Encoding::Utf8),
            ("objectType: secret\nobjectFormat: PFX\nobjectEncoding: base64", Part::Pfx, Encoding::Base64),
            ("objectType: secret\nobjectFormat: pem", Part::Whole, Encoding::Utf8),
        ] {
            let key = said_of(&format!("objectName: db\n{object}"), "db");
            assert_eq!(key.obstacle, None, "{object}");
            let reference = key.reference.unwrap();
            assert_eq!((reference.part, reference.encoding), (part, encoding), "{object}");
        }
    }

    #[test]
    fn a_key_that_no_reference_can_express_is_listed_with_its_reason() {
        for (object, path, why) in [
            ("objectName: db\nobjectType: secret\nobjectVersionHistory: 2", "db/0", "objectVersionHistory"),
            (
                "objectName: db\nobjectType: secret\nobjectVersionHistory: '2'",
                "db/1",
                "has no object \"db/1\"",
            ),
            ("objectName: db\nobjectType: key", "db", "objectType \"key\""),
            ("objectName: db", "db", "objectType \"\""),
            (
                "objectName: db\nobjectType: secret\nobjectVersion: newest",
                "db",
                "\"newest\" is not a valid version",
            ),
            ("objectName: db\nobjectType: secret\nobjectEncoding: base32", "db", "objectEncoding \"base32\""),
            ("objectName: db\nobjectType: secret\nobjectFormat: pfx", "db", "objectFormat \"pfx\""),
        ] {
            let key = said_of(object, path);
            let reference = key.reference.expect("it has a name");
            assert_eq!((reference.key.as_str(), reference.vault_secret.as_str()), ("password", "db"));
            let obstacle = key.obstacle.unwrap();
            assert!(obstacle.contains(why) && obstacle.contains("\"password\""), "{object}: {obstacle}");
            assert_eq!(reference.status.problem.unwrap().message, obstacle);
        }
        for object in [
            "objectName: db\nobjectType: secret",
            "objectName: db\nobjectType: secret\nobjectVersionHistory: 1\nobjectFormat: pem\nobjectEncoding: UTF-8",
        ] {
            assert_eq!(said_of(object, "db").obstacle, None, "{object}");
        }
    }

    #[test]
    fn a_key_with_an_invalid_name_is_reported_in_the_condition() {
        let key = said_of("objectName: my_db\nobjectType: secret", "my_db");
        assert_eq!((key.key.as_str(), &key.reference), ("password", &None));
        let mut sync = sync();
        sync.spec.secret_object.data =
            vec![SecretObjectData { source_path: "my_db".to_owned(), target_key: "password".to_owned() }];
        let class = class("array: [\"objectName: my_db\\nobjectType: secret\"]");
        let secret = as_synced_secret(&sync, Some(&class), "contoso-aio").unwrap();
        assert!(secret.references.is_empty());
        assert!(
            secret.conditions[0].message.contains("Key \"password\": \"my_db\""),
            "{:?}",
            secret.conditions
        );
    }

    #[test]
    fn another_vault_another_provider_and_a_missing_class_are_reported_for_each_key() {
        let objects = "array: [\"objectName: opc-username\\nobjectType: secret\"]";
        let other_vault = foreign_keys(&sync(), Some(&class(objects)), "fabrikam");
        let mut other = class(objects);
        other.spec.provider = "vault".to_owned();
        let other_provider = foreign_keys(&sync(), Some(&other), "contoso-aio");
        let missing = foreign_keys(&sync(), None, "contoso-aio");
        for (keys, why) in [
            (other_vault, "the vault \"Contoso-AIO\""),
            (other_provider, "the provider \"vault\""),
            (missing, "\"spc-ops-1a2b3c4\" does not exist"),
        ] {
            assert_eq!(keys.len(), 3);
            for key in keys {
                assert!(key.obstacle.as_ref().is_some_and(|said| said.contains(why)), "{key:?}");
            }
        }
    }
}
