//! The fields of a synced secret in a request: references, labels, description.

use std::collections::{BTreeMap, HashMap};

use super::{Violations, in_collection, quoted, vault_secret::vault_secret};
use crate::{
    model::{
        Encoding, NewVaultSecret, Part, Reference, ReferenceStatus, SecretKey, SyncedSecretId,
        VaultSecretName, limits,
    },
    proto,
    secrets::{NewReference, is_reserved},
};

/// The field with the references of a synced secret.
pub(in crate::api::rpc) const REFERENCES: &str = "synced_secret.references";

/// The valid references. Reads every reference, even after an error, so that every value is wiped.
pub(in crate::api::rpc) fn references(
    list: &str,
    wire: Vec<proto::SecretReference>,
    violations: &mut Violations,
) -> Vec<NewReference> {
    if wire.is_empty() {
        violations.add(list, "must have at least one reference");
    }
    if wire.len() > limits::REFERENCES {
        let rule = format!("must have at most {} references; use several synced secrets", limits::REFERENCES);
        violations.add(list, rule);
    }
    let (mut keys, mut created) = (HashMap::new(), HashMap::new());
    let mut references = Vec::with_capacity(wire.len());
    for (place, wire) in wire.into_iter().enumerate() {
        let field = format!("{list}[{place}]");
        let Some(new) = reference(&field, wire, violations) else { continue };
        unique_key(list, place, &new.reference.key, &mut keys, violations);
        if new.create.is_some() {
            create_once(list, place, &new.reference.vault_secret, &mut created, violations);
        }
        references.push(new);
    }
    references
}

fn reference(field: &str, wire: proto::SecretReference, violations: &mut Violations) -> Option<NewReference> {
    let create = wire.create.map(|create| vault_secret(&format!("{field}.create"), create, violations));
    let key = violations.take(format!("{field}.key"), wire.key.parse::<SecretKey>());
    let vault_secret = in_collection::<VaultSecretName>("vaultSecrets", &wire.vault_secret);
    let vault_secret = violations.take(format!("{field}.vault_secret"), vault_secret);
    let version = match wire.version.as_str() {
        "" => None,
        _ if create.is_some() => {
            let rule = "must be empty: a vault secret that is created has no version yet";
            violations.add(format!("{field}.version"), rule);
            None
        }
        version => violations.take(format!("{field}.version"), version.parse()),
    };
    let given = violations.take(format!("{field}.encoding"), encoding(wire.encoding))?;
    // Of a vault secret that is created, the request knows the tag.
    let tagged =
        create.as_ref().and_then(|create| create.encoding.or_else(|| Encoding::of_tags(&create.tags)));
    let encoding = given.or(tagged).unwrap_or_default();
    check_encoding(field, encoding, create.as_ref(), violations);
    let given_part = violations.take(format!("{field}.part"), part(wire.part))?;
    let reference = Reference {
        key: key?,
        vault_secret: vault_secret?,
        version,
        encoding,
        part: given_part.unwrap_or_default(),
        create_pending: create.is_some(),
        create_generation: 0,
        status: ReferenceStatus::default(),
    };
    let (encoding_given, part_given) = (given.is_some(), given_part.is_some());
    Some(NewReference { reference, create, encoding_given, part_given, tagged })
}

fn unique_key(
    list: &str,
    place: usize,
    key: &SecretKey,
    keys: &mut HashMap<SecretKey, usize>,
    violations: &mut Violations,
) {
    if let Some(first) = keys.get(key) {
        let rule = format!("must be unique: {}[{first}] has the key {key:?} too", last_word(list));
        violations.add(format!("{list}[{place}].key"), rule);
    } else {
        keys.insert(key.clone(), place);
    }
}

fn create_once(
    list: &str,
    place: usize,
    name: &VaultSecretName,
    created: &mut HashMap<VaultSecretName, usize>,
    violations: &mut Violations,
) {
    if let Some(first) = created.get(name) {
        let list_name = last_word(list);
        let rule =
            format!("must be created once: {list_name}[{first}] creates {name:?} too (case is ignored)");
        violations.add(format!("{list}[{place}].vault_secret"), rule);
    } else {
        created.insert(name.clone(), place);
    }
}

fn last_word(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The keys of references to remove. They must differ, and none may be one of those that are set.
pub(in crate::api::rpc) fn remove_keys(
    wire: &[String],
    set: &[NewReference],
    violations: &mut Violations,
) -> Vec<SecretKey> {
    if wire.len() > limits::REFERENCES {
        violations.add("remove_keys", format!("must have at most {} keys", limits::REFERENCES));
    }
    let mut keys: Vec<SecretKey> = Vec::new();
    for (place, text) in wire.iter().take(limits::REFERENCES).enumerate() {
        let field = format!("remove_keys[{place}]");
        let Some(key) = violations.take(&field, text.parse::<SecretKey>()) else { continue };
        if keys.contains(&key) {
            violations.add(field, "must be unique");
        } else if set.iter().any(|new| new.reference.key == key) {
            violations.add(field, "must not be the key of one of set_references, too");
        } else {
            keys.push(key);
        }
    }
    keys
}

/// A value that is not in its encoding could be stored, but never be synced.
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

/// The encoding that a request names; `None` if it names none.
pub(super) fn encoding(wire: i32) -> Result<Option<Encoding>, &'static str> {
    match proto::secret_reference::Encoding::try_from(wire) {
        Ok(proto::secret_reference::Encoding::Unspecified) => Ok(None),
        Ok(proto::secret_reference::Encoding::Base64) => Ok(Some(Encoding::Base64)),
        Ok(proto::secret_reference::Encoding::Hex) => Ok(Some(Encoding::Hex)),
        Ok(proto::secret_reference::Encoding::Utf8) => Ok(Some(Encoding::Utf8)),
        Err(_) => Err("is not an encoding that this release knows"),
    }
}

/// The part that a request names; `None` if it names none.
fn part(wire: i32) -> Result<Option<Part>, &'static str> {
    Ok(match proto::secret_reference::Part::try_from(wire) {
        Ok(proto::secret_reference::Part::Unspecified) => None,
        Ok(proto::secret_reference::Part::Certificate) => Some(Part::Certificate),
        Ok(proto::secret_reference::Part::Chain) => Some(Part::Chain),
        Ok(proto::secret_reference::Part::PrivateKey) => Some(Part::PrivateKey),
        Ok(proto::secret_reference::Part::FullChain) => Some(Part::FullChain),
        Ok(proto::secret_reference::Part::Pfx) => Some(Part::Pfx),
        Ok(proto::secret_reference::Part::Whole) => Some(Part::Whole),
        Err(_) => return Err("is not a part that this release knows"),
    })
}

pub(in crate::api::rpc) fn description(text: String, violations: &mut Violations) -> String {
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().count() > limits::DESCRIPTION_CHARS || !text.chars().all(printable) {
        let rule = format!("must have at most {} printable characters", limits::DESCRIPTION_CHARS);
        violations.add("synced_secret.description", rule);
    }
    text
}

/// Labels follow the rules of Kubernetes, because the Kubernetes Secret has them too.
pub(in crate::api::rpc) fn labels(
    labels: BTreeMap<String, String>,
    violations: &mut Violations,
) -> BTreeMap<String, String> {
    const FIELD: &str = "synced_secret.labels";
    if labels.len() > limits::LABELS {
        violations.add(FIELD, format!("must have at most {} labels", limits::LABELS));
    }
    for (key, value) in &labels {
        if is_reserved(key) {
            violations
                .add(FIELD, format!("must not contain the label {}, which this service sets", quoted(key)));
        } else if !is_label_key(key) {
            violations.add(
                FIELD,
                format!(
                    "contains {}, which is not a label key: an optional DNS subdomain and '/', then 1 to 63 letters, digits, \
                     '-', '_' and '.', beginning and ending with a letter or digit",
                    quoted(key)
                ),
            );
        } else if !(value.is_empty() || is_label_part(value)) {
            violations.add(
                FIELD,
                format!(
                    "contains a value of {} that is not a label value: at most 63 letters, digits, '-', '_' and '.', beginning \
                     and ending with a letter or digit",
                    quoted(key)
                ),
            );
        }
    }
    labels
}

fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        // A prefix is an RFC 1123 subdomain, as an id is.
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
