//! A reference of a synced secret: a key of the Kubernetes Secret and the vault secret whose value it holds.

mod content;

use std::collections::BTreeMap;

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use content::ValueError;

use super::{CertificateFacts, Condition, Part, SecretKey, VaultSecretName, VaultVersion};

/// The tag that Azure IoT Operations sets on vault secrets that hold a file: it names the encoding.
pub const ENCODING_TAG: &str = "file-encoding";

/// A key of a synced secret and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The key in the Kubernetes Secret.
    pub key: SecretKey,
    /// The vault secret whose value it holds.
    pub vault_secret: VaultSecretName,
    /// The pinned version; absent to follow the latest.
    pub version: Option<VaultVersion>,
    /// How the bytes at the edge come from the value.
    pub encoding: Encoding,
    /// The part of a certificate that the key takes.
    #[serde(default)]
    pub part: Part,
    /// True while the value of "Create new" is not known to be stored in the vault.
    pub create_pending: bool,
    /// The generation of the synced secret whose call brought that value: another call may bring another
    /// value for the same vault secret. 0 if an earlier release recorded it.
    #[serde(default)]
    pub create_generation: i64,
    /// Its last observed status.
    pub status: ReferenceStatus,
}

/// The last observed status of a reference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceStatus {
    /// The version that the edge holds.
    pub synced_version: Option<VaultVersion>,
    /// When that version expires.
    pub expire_time: Option<Timestamp>,
    /// The vault's `updated` of the secret when its value was last read.
    pub vault_update_time: Option<Timestamp>,
    /// False if `updated` could still hide a newer version, because the value was read within the same
    /// second.
    pub settled: bool,
    /// Why it is not in sync; absent if it is.
    pub problem: Option<Condition>,
    /// When the version at the edge becomes valid; absent if it has no such date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before_time: Option<Timestamp>,
    /// Until when the edge keeps this version, because the one that the vault has now, or that of another reference, is not
    /// valid before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// The certificate or revocation list that the edge holds under the key, as far as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFacts>,
}

/// What to do with a version that is not valid yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotBefore {
    /// Sync it, and say so in a condition.
    #[default]
    Warn,
    /// Keep what the edge holds until then.
    Hold,
}

/// How the bytes at the edge come from the value in the vault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// The value's bytes as they are.
    #[default]
    Utf8,
    /// The value is base64 (standard alphabet, padded; line breaks are ignored, as `base64 FILE` prints them); the edge
    /// gets the decoded bytes.
    Base64,
    /// The value is hex; the edge gets the decoded bytes.
    Hex,
}

/// The value is not what the encoding says. Never shows the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not valid {}", .0.name())]
pub struct EncodingError(pub Encoding);

// === impl Reference ===

impl Reference {
    /// Whether two references put the same bytes under the same key.
    pub fn has_same_spec(&self, other: &Self) -> bool {
        self.has_same_source(other) && self.encoding == other.encoding
    }

    /// Whether two references put the same part of the same value under the same key, decoded in whatever way.
    pub fn has_same_source(&self, other: &Self) -> bool {
        self.has_same_value(other) && self.part == other.part
    }

    /// Whether two references put the same value under the same key, or parts of it.
    pub fn has_same_value(&self, other: &Self) -> bool {
        self.key == other.key && self.vault_secret == other.vault_secret && self.version == other.version
    }

    /// Whether two references wait for the same value to be stored.
    pub fn creates_the_same(&self, other: &Self) -> bool {
        self.create_generation == other.create_generation && self.has_same_spec(other)
    }
}

/// The mapping for the audit: `username=edp1-username, password=edp1-password@<version>`.
pub fn mapping(references: &[Reference]) -> String {
    let one = |reference: &Reference| {
        let Reference { key, vault_secret, version, part, .. } = reference;
        let version = version.as_ref().map(|version| format!("@{version}")).unwrap_or_default();
        let part = if *part == Part::Whole { String::new() } else { format!(" ({})", part.as_str()) };
        format!("{key}={vault_secret}{version}{part}")
    };
    references.iter().map(one).collect::<Vec<_>>().join(", ")
}

// === impl Encoding ===

impl Encoding {
    /// The name: `utf-8`, `base64`, `hex`, as the Secret Store extension spells them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }

    /// The encoding with a name of [`Encoding::name`].
    pub fn named(name: &str) -> Option<Self> {
        [Self::Utf8, Self::Base64, Self::Hex].into_iter().find(|encoding| encoding.name() == name)
    }

    /// The encoding that the tag of a vault secret names; `None` without one, or with another text.
    pub fn of_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        let named = tags.get(ENCODING_TAG)?.to_ascii_lowercase();
        Self::named(if named == "utf8" { "utf-8" } else { &named })
    }

    /// The text that the vault keeps for bytes; `None` if they are no text and must be one. The buffer is
    /// allocated once, because one that grows leaves copies behind.
    pub fn encode(self, data: &[u8]) -> Option<SecretString> {
        let mut text = Zeroizing::new(match self {
            Self::Utf8 => data.to_vec(),
            Self::Base64 => vec![0; data.len().div_ceil(3) * 4],
            Self::Hex => vec![0; data.len() * 2],
        });
        match self {
            Self::Utf8 => {}
            Self::Base64 => drop(STANDARD.encode_slice(data, &mut text)),
            Self::Hex => drop(hex::encode_to_slice(data, &mut text)),
        }
        std::str::from_utf8(&text).ok()?;
        let text = String::from_utf8(std::mem::take(&mut *text)).ok()?;
        Some(SecretString::from(text))
    }

    /// The bytes that the edge gets for a value.
    pub fn decode(self, value: &SecretString) -> Result<Zeroizing<Vec<u8>>, EncodingError> {
        let value = value.expose_secret().as_bytes();
        let bytes = match self {
            Self::Utf8 => Some(value.to_vec()),
            Self::Base64 => decode_base64(value),
            Self::Hex => hex::decode(value.trim_ascii()).ok(),
        };
        bytes.map(Zeroizing::new).ok_or(EncodingError(self))
    }
}

/// Decodes what Go's `base64.StdEncoding` does, with which the Secret Store extension decodes, so that both engines
/// write the same bytes: line breaks may be anywhere, and the unused bits of the last character may be set.
fn decode_base64(value: &[u8]) -> Option<Vec<u8>> {
    const LIKE_GO: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let value = value.trim_ascii();
    if !value.iter().any(|byte| b"\r\n".contains(byte)) {
        return LIKE_GO.decode(value).ok();
    }
    // Allocated once: a buffer that grows leaves copies behind.
    let mut unbroken = Zeroizing::new(Vec::with_capacity(value.len()));
    unbroken.extend(value.iter().filter(|byte| !b"\r\n".contains(byte)));
    LIKE_GO.decode(&*unbroken).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, value: &str) -> Option<Vec<u8>> {
        encoding.decode(&SecretString::from(value)).ok().map(|bytes| bytes.to_vec())
    }

    #[test]
    fn a_value_reaches_the_edge_as_its_encoding_says() {
        assert_eq!(decoded(Encoding::Utf8, "pässword\n"), Some("pässword\n".as_bytes().to_vec()));
        assert_eq!(decoded(Encoding::Base64, "AAEC\n"), Some(vec![0, 1, 2]));
        assert_eq!(decoded(Encoding::Hex, "00fF"), Some(vec![0, 255]));
    }

    #[test]
    fn wrapped_base64_has_the_same_bytes_as_its_single_line() {
        let bytes: Vec<u8> = (0..=255).collect();
        let line = base64::engine::general_purpose::STANDARD.encode(&bytes);
        for end in ["\n", "\r\n"] {
            let lines: Vec<_> =
                line.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
            let wrapped = lines.join(end) + end;
            assert!(wrapped.matches(end).count() > 3, "{wrapped:?}");
            assert_eq!(decoded(Encoding::Base64, &wrapped), Some(bytes.clone()), "{wrapped:?}");
        }
        // Between any two characters, also inside of the padding, and nothing but line breaks.
        assert_eq!(decoded(Encoding::Base64, "A\nA=\n="), Some(vec![0]));
        assert_eq!(decoded(Encoding::Base64, "AB=="), Some(vec![0]), "unused bits are ignored");
        for broken in ["AA EC", "AA\tEC", "AAE\n", "AAEC\nAA=", "AA==\nAAEC"] {
            assert_eq!(decoded(Encoding::Base64, broken), None, "{broken:?}");
        }
    }

    #[test]
    fn bytes_become_a_text_that_decodes_to_them_again() {
        for data in [&[][..], &[0, 255, 7], b"pump", &[1; 100]] {
            for encoding in [Encoding::Base64, Encoding::Hex] {
                let text = encoding.encode(data).unwrap();
                assert_eq!(encoding.decode(&text).unwrap().as_slice(), data);
            }
        }
        assert!(Encoding::Utf8.encode(&[255]).is_none());
        assert_eq!(Encoding::Utf8.encode(b"pump").unwrap().expose_secret(), "pump");
    }

    #[test]
    fn a_tag_names_the_encoding_in_any_case() {
        let of = |text: &str| Encoding::of_tags(&[(ENCODING_TAG.to_owned(), text.to_owned())].into());
        assert_eq!(of("HEX"), Some(Encoding::Hex));
        assert_eq!(of("utf8"), Some(Encoding::Utf8));
        assert_eq!(of("rot13"), None);
        assert_eq!(Encoding::of_tags(&BTreeMap::new()), None);
    }

    #[test]
    fn a_value_that_is_not_in_its_encoding_is_refused_without_showing_it() {
        assert_eq!(decoded(Encoding::Base64, "hunter2!"), None);
        let error = Encoding::Hex.decode(&SecretString::from("hunter2")).unwrap_err();
        assert_eq!(error.to_string(), "the value is not valid hex");
    }
}
