//! Secrets of the Key Vault and their versions, without values; and the two types that carry a value.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Encoding, VaultSecretName, VaultVersion};

/// A secret in the vault, without its value. The vault keeps all but the name with each version; a secret has
/// those of its latest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultSecret {
    /// As the vault spells it.
    pub name: VaultSecretName,
    /// Whether the version may be read.
    pub enabled: bool,
    /// The content type that the creator gave; empty if none.
    pub content_type: String,
    /// When the version was created.
    pub create_time: Option<Timestamp>,
    /// When the attributes of the version last changed.
    pub update_time: Option<Timestamp>,
    /// Not valid before.
    pub not_before_time: Option<Timestamp>,
    /// Not valid after.
    pub expire_time: Option<Timestamp>,
    /// At most 15.
    pub tags: BTreeMap<String, String>,
    /// Whether the vault manages it as part of a certificate.
    pub managed: bool,
}

impl VaultSecret {
    /// A secret of which only the name is known: enabled, and without attributes.
    pub fn new(name: VaultSecretName) -> Self {
        Self {
            name,
            enabled: true,
            content_type: String::new(),
            create_time: None,
            update_time: None,
            not_before_time: None,
            expire_time: None,
            tags: BTreeMap::new(),
            managed: false,
        }
    }
}

/// A version of a vault secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultSecretVersion {
    /// The secret, as it was or will be while this version is the latest.
    #[serde(flatten)]
    pub secret: VaultSecret,
    /// Its version.
    pub version: VaultVersion,
}

/// A value on its way from the vault to the edge.
pub struct VaultValue {
    /// The value.
    pub value: SecretString,
    /// The version that was read.
    pub version: VaultSecretVersion,
    /// When the vault answered, by the vault's clock if known.
    pub read_time: Timestamp,
}

/// A new vault secret: a value on its way from the caller to the vault.
pub struct NewVaultSecret {
    /// At most [`super::limits::VALUE_BYTES`] bytes.
    pub value: SecretString,
    /// Empty for none.
    pub content_type: String,
    /// Not valid before.
    pub not_before_time: Option<Timestamp>,
    /// Not valid after.
    pub expire_time: Option<Timestamp>,
    /// At most [`super::limits::TAGS`]; the service adds one of its own.
    pub tags: BTreeMap<String, String>,
    /// The encoding of the value, if the caller names one: the tag [`super::ENCODING_TAG`] says so.
    pub encoding: Option<Encoding>,
    /// Whether that encoding is only the default for bytes: a new version keeps that of the one before.
    pub encoding_by_default: bool,
}

/// Changes to the attributes of a version of a vault secret. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultSecretUpdate {
    /// Whether the version may be read.
    pub enabled: Option<bool>,
    /// Not valid before.
    pub not_before_time: Option<Timestamp>,
    /// Not valid after.
    pub expire_time: Option<Timestamp>,
    /// Empty for none.
    pub content_type: Option<String>,
    /// All tags; those of before are replaced.
    pub tags: Option<BTreeMap<String, String>>,
}

impl fmt::Debug for VaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultValue").field("version", &self.version).finish_non_exhaustive()
    }
}

impl fmt::Debug for NewVaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewVaultSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The database keeps answers that carry versions: each release must read those of the ones before.
    #[test]
    fn a_recorded_version_keeps_its_format() {
        let recorded = serde_json::json!({
            "name": "edp1-user",
            "version": "1".repeat(32),
            "enabled": true,
            "content_type": "text/plain",
            "create_time": "2026-11-01T00:00:00Z",
            "update_time": "2026-11-02T00:00:00Z",
            "not_before_time": null,
            "expire_time": "2027-11-01T00:00:00Z",
            "tags": { "line": "4" },
            "managed": false,
        });
        let version: VaultSecretVersion = serde_json::from_value(recorded.clone()).unwrap();
        assert_eq!(serde_json::to_value(&version).unwrap(), recorded);
    }
}
