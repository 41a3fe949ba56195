//! Secrets of the Key Vault and their versions, without values; and the two types that carry a value.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{VaultSecretName, VaultVersion};

/// A secret in the vault, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSecret {
    /// As the vault spells it.
    pub name: VaultSecretName,
    /// Whether the latest version may be read.
    pub enabled: bool,
    /// The content type that the creator gave; empty if none.
    pub content_type: String,
    /// When the latest version was created.
    pub create_time: Option<Timestamp>,
    /// When the attributes of the latest version last changed, or a version was added.
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

/// A version of a vault secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultSecretVersion {
    /// The secret it belongs to.
    pub name: VaultSecretName,
    /// Its version.
    pub version: VaultVersion,
    /// Whether it may be read.
    pub enabled: bool,
    /// The content type that the creator gave; empty if none.
    pub content_type: String,
    /// When it was created.
    pub create_time: Option<Timestamp>,
    /// When its attributes last changed.
    pub update_time: Option<Timestamp>,
    /// Not valid before.
    pub not_before_time: Option<Timestamp>,
    /// Not valid after.
    pub expire_time: Option<Timestamp>,
    /// Tags of this version.
    pub tags: BTreeMap<String, String>,
    /// Whether the vault manages it as part of a certificate.
    pub managed: bool,
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
