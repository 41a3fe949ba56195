//! The two resources of a synced secret in the Secret Store engine: a class of its own, so that one bad
//! reference never breaks another synced secret, and the SecretSync.

use std::{collections::BTreeMap, sync::LazyLock};

use kube::Resource;
use regex::Regex;
use serde_json::json;
use url::Url;

use super::{
    LABEL_PREFIX,
    objects::{self, Object},
    resources::{
        SecretObject, SecretObjectData, SecretProviderClass, SecretProviderClassSpec, SecretSync,
        SecretSyncSpec,
    },
};
use crate::{
    edge::manifest::{annotations, labels},
    model::{Encoding, Part, Reference, SecretType, SyncedSecret, VaultSecret},
};

/// The pattern of `sourcePath` and `targetKey` in SecretSync's schema, stricter than that of Kubernetes for
/// keys.
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[A-Za-z0-9.]([-A-Za-z0-9]+([-._a-zA-Z0-9]?[A-Za-z0-9])*)?(/([0-9]+))*$")
        .expect("it is a regex")
});
/// Labels of SecretSync's schema: keys and values have fewer characters than this.
const LABEL_CHARS: usize = 63;

/// The identity and the vault that the extension uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionIdentity {
    /// The service account in the instance's namespace.
    pub service_account: String,
    /// The identity that is federated with it.
    pub client_id: String,
    /// That identity's tenant.
    pub tenant_id: String,
    /// The vault's name: the first label of its host.
    pub vault_name: String,
    /// The vault's cloud.
    pub cloud: ProviderCloud,
}

/// A cloud in terms of Azure's provider, which makes the vault's host and the authority from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProviderCloud {
    /// The provider's default, which is the public cloud.
    #[default]
    Default,
    /// One that it knows by this name.
    Named(&'static str),
    /// One that it reads from a file, at this path in its container.
    File(String),
    /// A custom one whose file is not known: no class can lead to its vaults.
    Unknown,
}

/// The desired class and SecretSync of a synced secret.
pub struct Pair {
    pub(super) class: SecretProviderClass,
    pub(super) sync: SecretSync,
}

/// A field that the schema of SecretSync does not accept, and why.
pub struct Violation {
    /// The path in the proto's names.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

// === impl ProviderCloud ===

impl ProviderCloud {
    /// What a class says of it. Whatever the custom cloud is, the provider reads the file only under this name.
    fn parameters(&self) -> Vec<(String, String)> {
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Self::Default | Self::Unknown => Vec::new(),
            Self::Named(name) => vec![parameter("cloudName", name)],
            Self::File(path) => {
                vec![parameter("cloudName", "AzureStackCloud"), parameter("cloudEnvFileName", path)]
            }
        }
    }
}

// === impl Pair ===

impl Pair {
    /// The pair for a synced secret.
    pub fn of(secret: &SyncedSecret, vault: &Url, access: &ExtensionIdentity) -> Self {
        let name = secret.id.as_str();
        let mut class = SecretProviderClass::new(name, class_spec(secret, access));
        class.meta_mut().labels = Some(labels(secret));
        let mut sync = SecretSync::new(name, sync_spec(secret, access));
        sync.meta_mut().labels = Some(labels(secret));
        sync.meta_mut().annotations = Some(annotations(secret, vault, |_| None));
        Self { class, sync }
    }

    /// The desired content, as the input of a digest.
    pub fn content(&self) -> Vec<u8> {
        json!([self.class, self.sync]).to_string().into_bytes()
    }

    /// Whether the objects at the edge, in the generation that was written, still have all of this content
    /// and no additions. Changes of labels and annotations don't increase the generation, so they are compared
    /// here.
    pub fn is_held_by(&self, class: &SecretProviderClass, sync: &SecretSync) -> bool {
        let (desired, held) = (&self.sync.spec, &sync.spec);
        let data = |spec: &SecretSyncSpec| -> BTreeMap<String, String> {
            let entries = spec.secret_object.data.iter();
            entries.map(|entry| (entry.target_key.clone(), entry.source_path.clone())).collect()
        };
        desired.secret_provider_class_name == held.secret_provider_class_name
            && desired.service_account_name == held.service_account_name
            && desired.secret_object.r#type == held.secret_object.r#type
            && data(desired) == data(held)
            && self.class.spec == class.spec
            && holds(Some(&held.secret_object.labels), Some(&desired.secret_object.labels))
            && holds(sync.meta().labels.as_ref(), self.sync.meta().labels.as_ref())
            && holds(sync.meta().annotations.as_ref(), self.sync.meta().annotations.as_ref())
            && holds(class.meta().labels.as_ref(), self.class.meta().labels.as_ref())
    }

    /// Keys that another manager added to the SecretSync.
    pub(super) fn added_keys(&self, sync: &SecretSync) -> Vec<String> {
        let desired = &self.sync.spec.secret_object.data;
        let added = sync.spec.secret_object.data.iter().filter(|entry| !desired.contains(entry));
        added.map(|entry| entry.target_key.clone()).collect()
    }

    /// Parameters that another manager added to the class.
    pub(super) fn added_parameters(&self, class: &SecretProviderClass) -> Vec<String> {
        let desired = &self.class.spec.parameters;
        class.spec.parameters.keys().filter(|name| !desired.contains_key(*name)).cloned().collect()
    }

    pub(super) fn name(&self) -> &str {
        self.sync.metadata.name.as_deref().unwrap_or_default()
    }
}

/// The fields of a synced secret that the schema of SecretSync does not accept.
pub fn violations(
    secret_type: &SecretType,
    references: &[&Reference],
    labels: &BTreeMap<String, String>,
) -> Vec<Violation> {
    let parts = references.iter().enumerate();
    let parts = parts.filter_map(|(place, reference)| part_violation(secret_type, place, reference));
    let keys = references.iter().enumerate().filter(|(_, reference)| !KEY.is_match(reference.key.as_str()));
    let keys = keys.map(|(place, reference)| Violation {
        field: format!("references[{place}].key"),
        message: format!(
            "the Secret Store extension does not accept the key {:?}: begin with a letter, a digit or '.', then at least one \
             more letter, digit or '-', and put no two of '.' and '_' side by side",
            reference.key.as_str()
        ),
    });
    let is_bad = |(key, value): &(&String, &String)| {
        key.len() >= LABEL_CHARS || value.len() >= LABEL_CHARS || key.starts_with(LABEL_PREFIX)
    };
    let labels = labels.iter().filter(is_bad).map(|(key, _)| Violation {
        field: "labels".to_owned(),
        message: format!(
            "the Secret Store extension does not accept the label {key:?}: key and value have fewer than {LABEL_CHARS} \
             characters, and the key does not begin with {LABEL_PREFIX}"
        ),
    });
    keys.chain(parts).chain(labels).collect()
}

/// What the extension can't take out of any value.
fn part_violation(secret_type: &SecretType, place: usize, reference: &Reference) -> Option<Violation> {
    let key = reference.key.as_str();
    if secret_type.is_tls() && !["tls.crt", "tls.key"].contains(&key) {
        return Some(Violation {
            field: format!("references[{place}].key"),
            message: format!(
                "the Secret Store extension writes only the keys tls.crt and tls.key of a Secret of the type {secret_type}; sync \
                 {key:?} in another synced secret, or use the direct engine"
            ),
        });
    }
    let is_tls_key = secret_type.is_tls() && key == "tls.key";
    let why = match reference.part {
        Part::Whole => return None,
        Part::PrivateKey if is_tls_key => return None,
        Part::PrivateKey => {
            "the Secret Store extension takes a private key only for tls.key of a Secret of the type kubernetes.io/tls; use that \
             type and key, a vault secret that holds the key alone, or the direct engine"
        }
        Part::Chain | Part::FullChain => {
            "the Secret Store extension can't take the chain out of a certificate; leave the part out to get the whole value, \
             which in a Secret of the type kubernetes.io/tls is all certificates for tls.crt, or use the direct engine"
        }
        Part::Certificate | Part::Pfx if is_tls_key => {
            "the Secret Store extension writes the private key under tls.key; leave the part out"
        }
        Part::Pfx if secret_type.is_tls() => {
            "the Secret Store extension writes PEM into a Secret of the type kubernetes.io/tls; use another type"
        }
        Part::Certificate | Part::Pfx if reference.create_pending => {
            "the Secret Store extension takes this part only out of a certificate of the vault; leave the part out, or use the \
             direct engine"
        }
        Part::Certificate if reference.encoding != Encoding::Utf8 => {
            "the Secret Store extension takes a certificate without an encoding; use the encoding UTF8"
        }
        Part::Pfx if reference.encoding == Encoding::Hex => {
            "the vault keeps a PFX in base64; leave the encoding out"
        }
        Part::Certificate | Part::Pfx => return None,
    };
    Some(Violation { field: format!("references[{place}].part"), message: why.to_owned() })
}

/// Why the extension can't take what the reference says out of this vault secret; none if it can.
pub fn extension_objection(reference: &Reference, secret: &VaultSecret) -> Option<String> {
    let name = secret.name.as_str();
    match reference.part {
        Part::Certificate | Part::Pfx if !secret.managed => Some(format!(
            "the Secret Store extension takes this part only out of a certificate of the vault, and {name:?} is a secret; leave the \
             part out, or use the direct engine"
        )),
        Part::Pfx if !secret.is_pfx() => {
            Some(format!("the vault keeps the certificate {name:?} in PEM; leave the part out"))
        }
        Part::Whole if secret.is_pfx() && reference.encoding != Encoding::Utf8 => Some(format!(
            "the Secret Store extension writes the PFX of the certificate {name:?} as PEM, which has no encoding; use the encoding \
             UTF8, or the part PFX for the bytes of the file"
        )),
        _ => None,
    }
}

/// The extension writes each value under a key of its own.
pub fn cant_compose(secret: &SyncedSecret) -> Option<Violation> {
    secret.contents().is_composed().then(|| Violation {
        field: "references".to_owned(),
        message: "the Secret Store extension can't compose .dockerconfigjson from a host, a user name and a password: refer to \
                  one vault secret that holds the whole JSON under the key \".dockerconfigjson\", or use the direct engine"
            .to_owned(),
    })
}

/// Whether a map has all desired entries; it may have others.
fn holds(held: Option<&BTreeMap<String, String>>, desired: Option<&BTreeMap<String, String>>) -> bool {
    desired.into_iter().flatten().all(|(key, value)| held.and_then(|held| held.get(key)) == Some(value))
}

fn class_spec(secret: &SyncedSecret, access: &ExtensionIdentity) -> SecretProviderClassSpec {
    let objects: Vec<Object> = secret.references.iter().map(object).collect();
    let mut parameters = BTreeMap::from([
        ("clientID".to_owned(), access.client_id.clone()),
        ("tenantID".to_owned(), access.tenant_id.clone()),
        ("keyvaultName".to_owned(), access.vault_name.clone()),
        ("objects".to_owned(), objects::write(&objects)),
    ]);
    parameters.extend(access.cloud.parameters());
    SecretProviderClassSpec { provider: super::PROVIDER.to_owned(), parameters }
}

/// The key is the alias: every reference has one, they are unique, and the schema has the same pattern for
/// both.
fn object(reference: &Reference) -> Object {
    let encoding = match reference.part {
        Part::Certificate => None,
        Part::Pfx => Some(Encoding::Base64),
        _ => Some(reference.encoding).filter(|encoding| *encoding != Encoding::Utf8),
    };
    let object_type = if reference.part == Part::Certificate { "cert" } else { "secret" };
    Object {
        object_name: reference.vault_secret.to_string(),
        object_type: object_type.to_owned(),
        object_alias: Some(reference.key.to_string()),
        object_version: reference.version.as_ref().map(ToString::to_string),
        object_encoding: encoding.map(|encoding| encoding.name().to_owned()),
        object_format: (reference.part == Part::Pfx).then(|| "pfx".to_owned()),
        ..Object::default()
    }
}

fn sync_spec(secret: &SyncedSecret, access: &ExtensionIdentity) -> SecretSyncSpec {
    let data = |reference: &Reference| SecretObjectData {
        source_path: reference.key.to_string(),
        target_key: reference.key.to_string(),
    };
    SecretSyncSpec {
        secret_provider_class_name: secret.id.to_string(),
        service_account_name: access.service_account.clone(),
        secret_object: SecretObject {
            r#type: secret.secret_type.to_string(),
            data: secret.references.iter().map(data).collect(),
            labels: labels(secret),
        },
        force_synchronization: None,
    }
}
