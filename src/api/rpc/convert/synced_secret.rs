//! Synced secrets that are asked for: ids, references, labels, descriptions.

use std::collections::{BTreeMap, HashMap};

use super::{Violations, in_collection, quoted, vault_secret::new_vault_secret};
use crate::{
    model::{
        Encoding, NewVaultSecret, Reference, ReferenceStatus, SecretKey, SecretType, SyncedSecretId,
        VaultSecretName, limits,
    },
    proto,
    secrets::{Adoption, Deletion, Error, NewReference, NewSyncedSecret, Referable, is_reserved},
};

/// Where a synced secret has its references.
pub(crate) const REFERENCES: &str = "synced_secret.references";

/// CreateSyncedSecret. Output-only fields are not looked at.
pub(crate) fn new_synced_secret(
    message: proto::CreateSyncedSecretRequest,
    mut violations: Violations,
) -> Result<NewSyncedSecret, Error> {
    let Some(wire) = message.synced_secret else {
        violations.take("synced_secret_id", id(&message.synced_secret_id));
        violations.add("synced_secret", "it is required: it brings the references");
        return violations.finish(None);
    };
    let id = read_id(&message.synced_secret_id, &wire.name, &mut violations);
    let secret_type = wire.secret_type.parse::<SecretType>();
    let secret_type = violations.take("synced_secret.secret_type", secret_type);
    let description = description(wire.description, &mut violations);
    let labels = labels(wire.labels, &mut violations);
    let references = references(REFERENCES, wire.references, &mut violations);
    let new = id.zip(secret_type).map(|(id, secret_type)| NewSyncedSecret {
        id,
        description,
        secret_type,
        references,
        labels,
    });
    violations.finish(new)
}

/// DeleteSyncedSecret.
pub(crate) fn deletion(
    message: proto::DeleteSyncedSecretRequest,
    mut violations: Violations,
) -> Result<Deletion, Error> {
    let id = violations.take("name", in_collection("syncedSecrets", &message.name));
    let (etag, force, allow_missing) = (message.etag, message.force, message.allow_missing);
    violations.finish(id.map(|id| Deletion { id, etag, force, allow_missing }))
}

/// AdoptSyncedSecret. Nothing is created in the vault by it.
pub(crate) fn adoption(
    message: proto::AdoptSyncedSecretRequest,
    mut violations: Violations,
) -> Result<Adoption, Error> {
    let id = violations.take("name", in_collection("syncedSecrets", &message.name));
    let references = match message.references.is_empty() {
        true => Vec::new(),
        false => references("references", message.references, &mut violations),
    };
    for (place, _) in references.iter().enumerate().filter(|(_, new)| new.create.is_some()) {
        let rule = "an adoption creates nothing in the vault; refer to what is there";
        violations.add(format!("references[{place}].create"), rule);
    }
    violations.finish(id.map(|id| Adoption { id, references, referable: Referable::default() }))
}

/// The valid references. Visits each, also after an error, so that no value stays behind.
pub(crate) fn references(
    list: &str,
    wire: Vec<proto::SecretReference>,
    violations: &mut Violations,
) -> Vec<NewReference> {
    if wire.is_empty() {
        violations.add(list, "at least one reference is required");
    }
    if wire.len() > limits::REFERENCES {
        let rule = format!(
            "a synced secret has at most {} references; spread them over several",
            limits::REFERENCES
        );
        violations.add(list, rule);
    }
    let (mut keys, mut created) = (HashMap::new(), HashMap::new());
    let mut references = Vec::with_capacity(wire.len());
    for (place, wire) in wire.into_iter().enumerate() {
        let field = format!("{list}[{place}]");
        let Some(new) = reference(&field, wire, violations) else { continue };
        unique_key(&field, place, &new.reference.key, &mut keys, violations);
        if new.create.is_some() {
            create_once(&field, place, &new.reference.vault_secret, &mut created, violations);
        }
        references.push(new);
    }
    references
}

fn reference(field: &str, wire: proto::SecretReference, violations: &mut Violations) -> Option<NewReference> {
    let create = wire.create.map(|create| new_vault_secret(&format!("{field}.create"), create, violations));
    let key = violations.take(format!("{field}.key"), wire.key.parse::<SecretKey>());
    let vault_secret = in_collection::<VaultSecretName>("vaultSecrets", &wire.vault_secret);
    let vault_secret = violations.take(format!("{field}.vault_secret"), vault_secret);
    let version = match wire.version.as_str() {
        "" => None,
        _ if create.is_some() => {
            let rule = "a vault secret that is yet to be created has no version to pin; leave it empty";
            violations.add(format!("{field}.version"), rule);
            None
        }
        version => violations.take(format!("{field}.version"), version.parse()),
    };
    let encoding = violations.take(format!("{field}.encoding"), encoding(wire.encoding))?;
    check_encoding(field, encoding, create.as_ref(), violations);
    let reference = Reference {
        key: key?,
        vault_secret: vault_secret?,
        version,
        encoding,
        create_pending: create.is_some(),
        create_generation: 0,
        status: ReferenceStatus::default(),
    };
    Some(NewReference { reference, create })
}

fn unique_key(
    field: &str,
    place: usize,
    key: &SecretKey,
    keys: &mut HashMap<SecretKey, usize>,
    violations: &mut Violations,
) {
    if let Some(first) = keys.get(key) {
        let rule = format!("keys are unique: {key:?} is the key of references[{first}] already");
        violations.add(format!("{field}.key"), rule);
    } else {
        keys.insert(key.clone(), place);
    }
}

fn create_once(
    field: &str,
    place: usize,
    name: &VaultSecretName,
    created: &mut HashMap<VaultSecretName, usize>,
    violations: &mut Violations,
) {
    if let Some(first) = created.get(name) {
        let rule = format!("references[{first}] creates {name:?} already; names compare without case");
        violations.add(format!("{field}.vault_secret"), rule);
    } else {
        created.insert(name.clone(), place);
    }
}

/// A value that is not in its encoding would be stored and could never be synced.
fn check_encoding(
    field: &str,
    encoding: Encoding,
    create: Option<&NewVaultSecret>,
    violations: &mut Violations,
) {
    if let Some(create) = create
        && let Err(error) = encoding.decode(&create.value)
    {
        violations.add(format!("{field}.encoding"), error);
    }
}

fn encoding(wire: i32) -> Result<Encoding, &'static str> {
    match proto::secret_reference::Encoding::try_from(wire) {
        Ok(proto::secret_reference::Encoding::Unspecified) => Ok(Encoding::Utf8),
        Ok(proto::secret_reference::Encoding::Base64) => Ok(Encoding::Base64),
        Ok(proto::secret_reference::Encoding::Hex) => Ok(Encoding::Hex),
        Err(_) => Err("it is not an encoding that this release knows"),
    }
}

fn id(text: &str) -> Result<SyncedSecretId, String> {
    match text.strip_prefix("syncedSecrets/") {
        Some(id) => Err(format!("it is an id, not a name: use {}", quoted(id))),
        None => text.parse::<SyncedSecretId>().map_err(|error| error.to_string()),
    }
}

/// The id; the name, where it is given too, must say the same.
fn read_id(text: &str, name: &str, violations: &mut Violations) -> Option<SyncedSecretId> {
    let id = violations.take("synced_secret_id", id(text));
    if !name.is_empty() {
        let named = in_collection::<SyncedSecretId>("syncedSecrets", name);
        let named = violations.take("synced_secret.name", named);
        if let (Some(id), Some(named)) = (&id, &named)
            && id != named
        {
            violations.add(
                "synced_secret.name",
                format!("synced_secret_id says syncedSecrets/{id}; leave it empty"),
            );
        }
    }
    id
}

pub(crate) fn description(text: String, violations: &mut Violations) -> String {
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().count() > limits::DESCRIPTION_CHARS || !text.chars().all(printable) {
        let rule = format!("a description has at most {} printable characters", limits::DESCRIPTION_CHARS);
        violations.add("synced_secret.description", rule);
    }
    text
}

/// Labels by the rules of Kubernetes, because the Kubernetes Secret carries them too.
pub(crate) fn labels(
    labels: BTreeMap<String, String>,
    violations: &mut Violations,
) -> BTreeMap<String, String> {
    const FIELD: &str = "synced_secret.labels";
    if labels.len() > limits::LABELS {
        violations.add(FIELD, format!("a synced secret has at most {} labels", limits::LABELS));
    }
    for (key, value) in &labels {
        if is_reserved(key) {
            violations.add(FIELD, format!("the label {} is this service's own", quoted(key)));
        } else if !is_label_key(key) {
            violations.add(
                FIELD,
                format!(
                    "{} is not a label key: an optional DNS subdomain and '/', then 1 to 63 letters, digits, '-', '_' \
                     and '.', with a letter or digit at both ends",
                    quoted(key)
                ),
            );
        } else if !(value.is_empty() || is_label_part(value)) {
            violations.add(
                FIELD,
                format!(
                    "the value of {} is not a label value: at most 63 letters, digits, '-', '_' and '.', with a letter \
                     or digit at both ends",
                    quoted(key)
                ),
            );
        }
    }
    labels
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        // A prefix follows the rule of ids: an RFC 1123 subdomain.
        Some((prefix, name)) => prefix.parse::<SyncedSecretId>().is_ok() && is_label_part(name),
        None => is_label_part(key),
    }
}

fn is_label_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}
