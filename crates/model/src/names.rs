//! The names of the domain. Each is checked when it is parsed and follows the rules of the system that owns
//! it.

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name: one sentence that states the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// The name of a secret in the Key Vault: `^[0-9a-zA-Z-]{1,127}$`. Compares case-insensitively, as the vault
/// does, and keeps its spelling.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VaultSecretName(String);

/// A version of a vault secret: the 32 hex digits that the vault gave it, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VaultVersion(String);

/// The id of a synced secret, which is the name of its Kubernetes Secret: an RFC 1123 subdomain of at most
/// 253 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SyncedSecretId(String);

/// A key in a Kubernetes Secret: `[-._a-zA-Z0-9]{1,253}`, neither `.` nor starting with `..`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretKey(String);

// === impl NameError ===

impl NameError {
    pub(crate) fn new(rule: impl Into<String>) -> Self {
        Self(rule.into())
    }
}

// === impl VaultSecretName ===

impl VaultSecretName {
    /// The name in lower case, for comparisons.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl FromStr for VaultSecretName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = (1..=127).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        valid.then(|| Self(text.to_owned())).ok_or_else(|| {
            NameError("a vault secret name has 1 to 127 characters, each a letter, a digit or '-'".to_owned())
        })
    }
}

impl PartialEq for VaultSecretName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for VaultSecretName {}

impl Hash for VaultSecretName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl PartialOrd for VaultSecretName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VaultSecretName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

// === impl VaultVersion ===

impl FromStr for VaultVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid
            .then(|| Self(text.to_ascii_lowercase()))
            .ok_or_else(|| NameError("a version is the 32 hex digits that the vault gave it".to_owned()))
    }
}

// === impl SyncedSecretId ===

impl FromStr for SyncedSecretId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let label = |label: &str| {
            let bytes = label.as_bytes();
            let inner = bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
            inner && !bytes.is_empty() && bytes[0] != b'-' && bytes[bytes.len() - 1] != b'-'
        };
        ((1..=253).contains(&text.len()) && text.split('.').all(label))
            .then(|| Self(text.to_owned()))
            .ok_or_else(|| {
                NameError(
                    "an id is the name of a Kubernetes Secret: 1 to 253 lower case letters, digits, '-' and \
                     '.', each part between dots starting and ending with a letter or digit"
                        .to_owned(),
                )
            })
    }
}

// === impl SecretKey ===

impl FromStr for SecretKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = (1..=253).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            && text != "."
            && !text.starts_with("..");
        valid.then(|| Self(text.to_owned())).ok_or_else(|| {
            NameError(
                "a key has 1 to 253 letters, digits, '-', '_' and '.', is not '.' and does not start with \
                 '..'"
                    .to_owned(),
            )
        })
    }
}

// === what all names share ===

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name!(VaultSecretName);
name!(VaultVersion);
name!(SyncedSecretId);
name!(SecretKey);

/// Whether a character could control a terminal or deceive a reader: control characters, and marks that
/// reverse or hide text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn vault_secret_names_are_letters_digits_and_dashes_up_to_127() {
        assert!("Edp1-Password".parse::<VaultSecretName>().is_ok());
        assert!("a".repeat(127).parse::<VaultSecretName>().is_ok());
        for bad in ["", "a_b", "a/b", "../x", "ä", "a\0", &"a".repeat(128)] {
            assert!(bad.parse::<VaultSecretName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn vault_secret_names_compare_without_case_and_keep_their_spelling() {
        let (one, other): (VaultSecretName, VaultSecretName) =
            ("Pump".parse().unwrap(), "pUMP".parse().unwrap());
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "Pump");
    }

    #[test]
    fn synced_secret_ids_are_rfc_1123_subdomains() {
        for good in ["edp1secrets", "a", "a.b-c.9", &"a".repeat(253)] {
            assert!(good.parse::<SyncedSecretId>().is_ok(), "{good:?}");
        }
        for bad in ["", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", "a/b", &"a".repeat(254)] {
            assert!(bad.parse::<SyncedSecretId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keys_follow_the_rules_of_kubernetes() {
        for good in ["username", "tls.crt", "_x", ".dockerconfigjson", "A-1"] {
            assert!(good.parse::<SecretKey>().is_ok(), "{good:?}");
        }
        for bad in ["", ".", "..", "..a", "a b", "a/b", &"a".repeat(254)] {
            assert!(bad.parse::<SecretKey>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_parsing_panic_and_parsed_names_round_trip(text in ".*") {
            if let Ok(name) = text.parse::<VaultSecretName>() { prop_assert_eq!(name.as_str(), &text) }
            if let Ok(name) = text.parse::<SyncedSecretId>() { prop_assert_eq!(name.as_str(), &text) }
            if let Ok(name) = text.parse::<SecretKey>() { prop_assert_eq!(name.as_str(), &text) }
            if let Ok(name) = text.parse::<VaultVersion>() { prop_assert_eq!(name.as_str(), &text.to_ascii_lowercase()) }
        }
    }
}
