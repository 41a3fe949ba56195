//! The Kubernetes Secrets that this service writes: labels, annotations and the digest of their content.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    num::ParseIntError,
};

use base64::{display::Base64Display, engine::general_purpose::STANDARD};
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::FIELD_MANAGER;
use crate::{
    model::{
        ContentError, Data, Encoding, Part, Reference, ReferenceStatus, SecretKey, SecretType, SyncedSecret,
        VaultSecretName, VaultVersion, limits,
    },
    quote::Quote,
};

/// Label: the uid of the synced secret. It marks the objects that this service manages.
pub const UID_LABEL: &str = "secret-service.iotoperations/uid";
/// Label and value: this service is the manager.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "secret-service");

const PREFIX: &str = "secret-service.iotoperations/";
const VAULT: &str = "secret-service.iotoperations/vault";
const REFERENCES: &str = "secret-service.iotoperations/references";
const GENERATION: &str = "secret-service.iotoperations/generation";
const DESCRIPTION: &str = "secret-service.iotoperations/description";

/// The desired Kubernetes Secret.
pub struct Desired<'a> {
    /// The synced secret.
    pub secret: &'a SyncedSecret,
    /// The vault that the values come from.
    pub vault: &'a Url,
    /// Its keys.
    data: Data<'a>,
    /// The version of each reference, in the order of the references.
    versions: Vec<VaultVersion>,
}

/// The content of a Kubernetes Secret that this service manages, serialized for comparison.
pub struct Content(Zeroizing<Vec<u8>>);

/// The body of a server-side apply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    pub(super) metadata: ObjectMeta,
    r#type: &'a SecretType,
    data: BTreeMap<&'a SecretKey, Base64<'a>>,
}

struct Base64<'a>(&'a [u8]);

/// Whether a label belongs to this service and can't be set by callers.
pub fn is_reserved(label: &str) -> bool {
    label.starts_with(PREFIX) || label == MANAGED_BY.0
}

// === impl Desired ===

impl<'a> Desired<'a> {
    /// The Secret with these bytes and versions, in the order of the references. An error if they can't be composed as
    /// the references say.
    pub fn new(
        secret: &'a SyncedSecret,
        vault: &'a Url,
        values: Vec<(Zeroizing<Vec<u8>>, VaultVersion)>,
    ) -> Result<Self, ContentError> {
        let (values, versions) = values.into_iter().unzip();
        Ok(Self { secret, vault, data: secret.contents().data(&secret.references, values)?, versions })
    }

    /// Whether the values fit into a Kubernetes Secret.
    pub fn fits(&self) -> bool {
        self.data.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= limits::SECRET_BYTES
    }

    /// The desired content, to compare it with the current content.
    pub fn content(&self) -> Content {
        let data = self.data().map(|(key, bytes)| (key.as_str(), bytes));
        Content::of(self.secret.secret_type.as_str(), data, &self.labels(), &self.annotations())
    }

    /// The body of the apply. With a uid, the API server rejects it if the Secret has another uid.
    pub(super) fn manifest(&self, edge_uid: Option<&str>) -> Manifest<'_> {
        let metadata = ObjectMeta {
            name: Some(self.secret.id.to_string()),
            uid: edge_uid.map(str::to_owned),
            labels: Some(self.labels()),
            annotations: Some(self.annotations()),
            ..ObjectMeta::default()
        };
        let data = self.data().map(|(key, bytes)| (key, Base64(bytes))).collect();
        Manifest { api_version: "v1", kind: "Secret", metadata, r#type: &self.secret.secret_type, data }
    }

    /// Whether the desired Secret has this key.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.secret.has_data_key(key)
    }

    fn data(&self) -> impl Iterator<Item = (&SecretKey, &[u8])> {
        self.data.iter().map(|(key, bytes)| (*key, bytes.as_slice()))
    }

    fn labels(&self) -> BTreeMap<String, String> {
        labels(self.secret)
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        annotations(self.secret, self.vault, |place| self.versions.get(place))
    }
}

/// The annotations from which the database can be rebuilt.
pub(super) fn annotations<'a>(
    secret: &SyncedSecret,
    vault: &Url,
    synced_version: impl Fn(usize) -> Option<&'a VaultVersion>,
) -> BTreeMap<String, String> {
    let reference = |(place, reference): (usize, &Reference)| {
        let mut written = json!({
            "key": reference.key,
            "vaultSecret": reference.vault_secret,
            "version": reference.version,
            "encoding": reference.encoding.name(),
            "syncedVersion": synced_version(place),
        });
        // Nothing changes at the edge only because this release knows parts.
        if reference.part != Part::Whole {
            written["part"] = json!(reference.part);
        }
        written
    };
    let references: Vec<_> = secret.references.iter().enumerate().map(reference).collect();
    BTreeMap::from([
        (VAULT.to_owned(), vault.to_string()),
        (REFERENCES.to_owned(), json!(references).to_string()),
        (GENERATION.to_owned(), secret.generation.to_string()),
        (DESCRIPTION.to_owned(), secret.description.clone()),
    ])
}

/// No synced secret is changed that often: a larger number is forged. The next generation must not overflow.
const MAX_GENERATION: i64 = i64::MAX / 2;

/// The generation in the annotations, no matter who wrote it; none if it is missing or invalid.
pub(super) fn annotated_generation(metadata: &ObjectMeta) -> Option<i64> {
    let generation = metadata.annotations.as_ref()?.get(GENERATION)?.parse().ok()?;
    (1..=MAX_GENERATION).contains(&generation).then_some(generation)
}

/// The specification of a synced secret, parsed from the annotations that [`annotations`] wrote.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AnnotatedSpec {
    /// The vault that the values come from, unparsed.
    pub(super) vault: String,
    /// The references, with the versions that were written.
    pub(super) references: Vec<Reference>,
    /// The generation of the specification.
    pub(super) generation: i64,
    /// The description.
    pub(super) description: String,
}

/// One of the references in the annotation, as [`annotations`] writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnnotatedReference {
    key: SecretKey,
    vault_secret: VaultSecretName,
    version: Option<VaultVersion>,
    encoding: String,
    /// Releases that knew no parts wrote none.
    #[serde(default)]
    part: Part,
    synced_version: Option<VaultVersion>,
}

/// Parses what [`annotations`] wrote. The error is a clause that a message can embed.
pub(super) fn parse_annotations(annotations: &BTreeMap<String, String>) -> Result<AnnotatedSpec, String> {
    let text = |name: &str| annotations.get(name).ok_or_else(|| format!("its annotation {name} is missing"));
    let unreadable =
        |name: &str, why: &dyn fmt::Display| format!("its annotation {name} can't be read: {why}");
    let references: Vec<AnnotatedReference> = serde_json::from_str(text(REFERENCES)?)
        .map_err(|error| unreadable(REFERENCES, &Quote::error(&error)))?;
    let references: Result<Vec<_>, _> = references.into_iter().map(AnnotatedReference::into_model).collect();
    let references = references.map_err(|why| unreadable(REFERENCES, &why))?;
    let keys: BTreeSet<&str> = references.iter().map(|reference| reference.key.as_str()).collect();
    if references.is_empty() || keys.len() != references.len() {
        return Err(unreadable(REFERENCES, &"it must name one or more keys, each once"));
    }
    let generation: i64 =
        text(GENERATION)?.parse().map_err(|error: ParseIntError| unreadable(GENERATION, &error))?;
    if !(1..=MAX_GENERATION).contains(&generation) {
        return Err(unreadable(GENERATION, &"it must be a number of at least 1"));
    }
    let description = annotations.get(DESCRIPTION).cloned().unwrap_or_default();
    Ok(AnnotatedSpec { vault: text(VAULT)?.clone(), references, generation, description })
}

impl AnnotatedReference {
    fn into_model(self) -> Result<Reference, String> {
        let encoding = Encoding::named(&self.encoding);
        Ok(Reference {
            key: self.key,
            vault_secret: self.vault_secret,
            version: self.version,
            encoding: encoding.ok_or_else(|| format!("{:?} is not an encoding", self.encoding))?,
            part: self.part,
            create_pending: false,
            create_generation: 0,
            status: ReferenceStatus { synced_version: self.synced_version, ..ReferenceStatus::default() },
        })
    }
}

/// The labels of the objects that this service writes.
pub(super) fn labels(secret: &SyncedSecret) -> BTreeMap<String, String> {
    let mut labels = secret.labels.clone();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels.insert(UID_LABEL.to_owned(), secret.uid.to_string());
    labels
}

/// Whether metadata carries the uid of this synced secret.
pub(super) fn carries_uid(metadata: &ObjectMeta, uid: Uuid) -> bool {
    uid_label(metadata).is_some_and(|label| label == uid.to_string())
}

/// The value of the uid label, if any.
pub(super) fn uid_label(metadata: &ObjectMeta) -> Option<&str> {
    metadata.labels.as_ref()?.get(UID_LABEL).map(String::as_str)
}

/// Whether `managedFields` lists the field at this path for the manager.
pub(super) fn is_written_by(metadata: &ObjectMeta, manager: &str, path: &[&str]) -> bool {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.manager.as_deref() == Some(manager) && writes(entry, path))
}

/// Whether this service wrote the annotations that [`parse_annotations`] reads.
pub(super) fn has_own_annotations(metadata: &ObjectMeta) -> bool {
    [VAULT, REFERENCES, GENERATION].iter().all(|annotation| {
        is_written_by(metadata, FIELD_MANAGER, &["f:metadata", "f:annotations", &format!("f:{annotation}")])
    })
}

fn writes(entry: &ManagedFieldsEntry, path: &[&str]) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    path.iter().fold(fields, |fields, part| fields?.get(*part)).is_some()
}

/// Whether another manager created the object (it wrote one of `created_by` fields) and our first write only
/// merged our label into it. If another manager owns the label, it restored a copy of our object: not merged.
pub(super) fn is_merged(metadata: &ObjectMeta, created_by: &[&str]) -> bool {
    let label = format!("f:{UID_LABEL}");
    let others = || {
        let entries = metadata.managed_fields.iter().flatten();
        entries.filter(|entry| entry.manager.as_deref() != Some(FIELD_MANAGER) && entry.subresource.is_none())
    };
    let is_created = others().any(|entry| created_by.iter().any(|field| writes(entry, &[*field])));
    is_created && !others().any(|entry| writes(entry, &["f:metadata", "f:labels", &label]))
}

// === impl Content ===

impl Content {
    /// The input of the keyed digest. It contains the values: never store it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The managed content of a Secret at the edge: all data, our annotations and the labels that we set.
    pub(super) fn of_edge(secret: &Secret, desired: &SyncedSecret) -> Self {
        let empty = BTreeMap::new();
        let data = secret.data.as_ref().into_iter().flatten();
        let ours = labels(desired);
        let set = secret.metadata.labels.as_ref().unwrap_or(&empty);
        let set = set.iter().filter(|(key, _)| ours.contains_key(*key)).map(owned).collect();
        let notes = secret.metadata.annotations.as_ref().unwrap_or(&empty);
        let notes = notes.iter().filter(|(key, _)| key.starts_with(PREFIX)).map(owned).collect();
        let data = data.map(|(key, ByteString(bytes))| (key.as_str(), bytes.as_slice()));
        Self::of(secret.type_.as_deref().unwrap_or_default(), data, &set, &notes)
    }

    /// Prefixes every part with its length, so that different contents have different bytes.
    fn of<'a>(
        secret_type: &str,
        data: impl Iterator<Item = (&'a str, &'a [u8])>,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let data: BTreeMap<&str, &[u8]> = data.collect();
        let size = data.values().map(|bytes| bytes.len() + 512).sum::<usize>() + 8_192;
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        let mut part = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        };
        part(secret_type.as_bytes());
        for (key, value) in &data {
            part(key.as_bytes());
            part(value);
        }
        for map in [labels, annotations] {
            part(b"");
            for (key, value) in map {
                part(key.as_bytes());
                part(value.as_bytes());
            }
        }
        Self(bytes)
    }
}

fn owned((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

// === values that must not be printed ===

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

impl fmt::Debug for Manifest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Url {
        "https://contoso.vault.azure.net/".parse().unwrap()
    }

    #[test]
    fn annotations_parse_back_to_the_same_spec() {
        let mut secret = SyncedSecret::example("edp1secrets");
        secret.description = "\"quoted\", ünïcode\n".to_owned();
        secret.generation = 7;
        let version: VaultVersion = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let first = secret.references[0].clone();
        let pinned = |key: &str, encoding| Reference {
            key: key.parse().unwrap(),
            version: Some(version.clone()),
            encoding,
            ..first.clone()
        };
        secret.references.extend([pinned("bytes", Encoding::Base64), pinned("hex", Encoding::Hex)]);
        let spec =
            parse_annotations(&annotations(&secret, &vault(), |place| (place == 1).then_some(&version)))
                .unwrap();
        assert_eq!((spec.vault.as_str(), spec.generation), (vault().as_str(), 7));
        assert_eq!(spec.description, secret.description);
        for (place, (read, expected)) in spec.references.iter().zip(&secret.references).enumerate() {
            assert!(read.has_same_spec(expected), "{read:?}");
            assert_eq!(read.status.synced_version.is_some(), place == 1);
        }
    }

    #[test]
    fn damaged_annotations_are_rejected() {
        let written = annotations(&SyncedSecret::example("a"), &vault(), |_| None);
        for (name, damage) in [
            (VAULT, None),
            (REFERENCES, None),
            (REFERENCES, Some("")),
            (REFERENCES, Some("[]")),
            (REFERENCES, Some("{}")),
            (REFERENCES, Some(r#"[{"key":"..","vaultSecret":"v","encoding":"utf-8"}]"#)),
            (REFERENCES, Some(r#"[{"key":"k","vaultSecret":"no_name","encoding":"utf-8"}]"#)),
            (REFERENCES, Some(r#"[{"key":"k","vaultSecret":"v","encoding":"rot13"}]"#)),
            (REFERENCES, Some(r#"[{"key":"k","vaultSecret":"v","version":"latest","encoding":"utf-8"}]"#)),
            (
                REFERENCES,
                Some(
                    r#"[{"key":"k","vaultSecret":"v","encoding":"utf-8"},{"key":"k","vaultSecret":"w","encoding":"utf-8"}]"#,
                ),
            ),
            (GENERATION, None),
            (GENERATION, Some("0")),
            (GENERATION, Some("seven")),
            (GENERATION, Some("9223372036854775807")),
        ] {
            let mut annotations = written.clone();
            annotations.remove(name);
            annotations.extend(damage.map(|damage| (name.to_owned(), damage.to_owned())));
            let why = parse_annotations(&annotations).unwrap_err();
            assert!(why.contains(name), "{name}: {damage:?}: {why}");
        }
    }
}
