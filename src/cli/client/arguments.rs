//! The syntax of arguments: names, KEY=VAULT_SECRET[@VERSION], KEY=VALUE, times.
//!
//! Errors never repeat the text after a `=`: somebody may have put a secret value there.

use std::{collections::BTreeMap, fmt::Display, path::PathBuf, str::FromStr, time::SystemTime};

use prost_types::Timestamp;

use crate::{
    cli::CommandError,
    model::{Resource, SecretKey, SyncedSecretId, VaultSecretName, VaultVersion},
    proto::{
        SecretReference,
        secret_reference::{Encoding, Part},
    },
};

/// The id of a resource, given as `pump-7` or with its collection as `syncedSecrets/pump-7`, which is what
/// `-o name` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceName<Id>(Id);

pub(super) type SyncedName = ResourceName<SyncedSecretId>;
pub(super) type VaultName = ResourceName<VaultSecretName>;

/// The ids of a collection.
pub(super) trait CollectionId: FromStr<Err: Display> {
    const COLLECTION: Resource;

    fn text(&self) -> &str;
}

impl CollectionId for SyncedSecretId {
    const COLLECTION: Resource = Resource::SyncedSecrets;

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl CollectionId for VaultSecretName {
    const COLLECTION: Resource = Resource::VaultSecrets;

    fn text(&self) -> &str {
        self.as_str()
    }
}

// === impl ResourceName ===

impl<Id: CollectionId> ResourceName<Id> {
    pub fn id(&self) -> &str {
        self.0.text()
    }

    pub fn full(&self) -> String {
        format!("{}/{}", Id::COLLECTION.collection(), self.id())
    }
}

impl<Id: CollectionId> FromStr for ResourceName<Id> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix(Id::COLLECTION.collection()).and_then(|rest| rest.strip_prefix('/'));
        bare.unwrap_or(text).parse().map(Self).map_err(|error: Id::Err| error.to_string())
    }
}

/// Parses `KEY=VAULT_SECRET` or, if a version may be pinned, `KEY=VAULT_SECRET@VERSION`.
pub(super) fn reference(flag: &str, text: &str, may_pin: bool) -> Result<SecretReference, CommandError> {
    let (key, rest) = pair(flag, text)?;
    let wrong = |problem: String| CommandError::usage(format!("{flag} {key}=…: {problem}"));
    let key: SecretKey = key.parse().map_err(|error| wrong(format!("{error}")))?;
    let (vault_secret, version) = match rest.split_once('@') {
        Some(_) if !may_pin => {
            return Err(wrong("a secret that is yet to be created has no version to pin".to_owned()));
        }
        Some((name, version)) => {
            let version: VaultVersion = version.parse().map_err(|error| wrong(format!("{error}")))?;
            (name, version.as_str().to_owned())
        }
        None => (rest, String::new()),
    };
    let vault_secret: VaultName = vault_secret.parse().map_err(wrong)?;
    Ok(SecretReference {
        key: key.as_str().to_owned(),
        vault_secret: vault_secret.full(),
        version,
        ..Default::default()
    })
}

/// Applies `KEY=base64` or `KEY=hex` to the references with these keys.
pub(super) fn encode(references: &mut [SecretReference], encodings: &[String]) -> Result<(), CommandError> {
    for text in encodings {
        let (key, word) = pair("--encoding", text)?;
        let encoding = match word {
            "base64" => Encoding::Base64,
            "hex" => Encoding::Hex,
            "none" => Encoding::Unspecified,
            _ => {
                return Err(CommandError::usage(format!("--encoding {key}=…: expected base64, hex or none")));
            }
        };
        let named = references.iter_mut().find(|reference| reference.key == key);
        named.ok_or_else(|| no_key("--encoding", key))?.set_encoding(encoding);
    }
    Ok(())
}

/// The parts of a certificate that a reference may take, by their words on the command line.
const PARTS: [(&str, Part); 6] = [
    ("whole", Part::Whole),
    ("certificate", Part::Certificate),
    ("chain", Part::Chain),
    ("private-key", Part::PrivateKey),
    ("full-chain", Part::FullChain),
    ("pfx", Part::Pfx),
];

/// The word of a part.
pub(super) fn part_word(part: Part) -> &'static str {
    PARTS.iter().find(|(_, named)| *named == part).map_or("", |(word, _)| word)
}

/// Applies `KEY=PART` to the references with these keys.
pub(super) fn take_parts(references: &mut [SecretReference], parts: &[String]) -> Result<(), CommandError> {
    for text in parts {
        let (key, word) = pair("--part", text)?;
        let Some((_, part)) = PARTS.iter().find(|(named, _)| *named == word) else {
            let words: Vec<_> = PARTS.iter().map(|(word, _)| *word).collect();
            return Err(CommandError::usage(format!("--part {key}=…: expected one of {}", words.join(", "))));
        };
        let named = references.iter_mut().find(|reference| reference.key == key);
        named.ok_or_else(|| no_key("--part", key))?.set_part(*part);
    }
    Ok(())
}

/// Parses `KEY=FILE` into files by key.
pub(super) fn files(texts: &[String]) -> Result<BTreeMap<String, PathBuf>, CommandError> {
    let pairs = texts.iter().map(|text| pair("--value-file", text));
    pairs.map(|pair| pair.map(|(key, file)| (key.to_owned(), file.into()))).collect()
}

/// Parses `ENTRY=FILE`.
pub(super) fn entry_file(text: &str) -> Result<(String, PathBuf), CommandError> {
    pair("ENTRY=FILE", text).map(|(entry, file)| (entry.to_owned(), file.into()))
}

/// Parses `KEY=VAULT_SECRET` into names by key.
pub(super) fn vault_names(flag: &str, texts: &[String]) -> Result<BTreeMap<String, VaultName>, CommandError> {
    let named = |text: &String| {
        let (key, name) = pair(flag, text)?;
        let name =
            name.parse().map_err(|problem| CommandError::usage(format!("{flag} {key}=…: {problem}")))?;
        Ok((key.to_owned(), name))
    };
    texts.iter().map(named).collect()
}

/// Parses labels or tags: `KEY=VALUE`.
pub(super) fn words(flag: &str, texts: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    let pairs = texts.iter().map(|text| pair(flag, text));
    pairs.map(|pair| pair.map(|(key, word)| (key.to_owned(), word.to_owned()))).collect()
}

/// The error if no reference has the key that a flag names.
pub(super) fn no_key(flag: &str, key: &str) -> CommandError {
    CommandError::usage(format!("{flag} {key}: no reference has this key"))
}

/// Parses a time in the past: RFC 3339, or a duration ago.
pub(super) fn past(text: &str) -> Result<Timestamp, String> {
    moment(text, |now, span| now.checked_sub(span))
}

/// Parses a time in the future: RFC 3339, or a duration from now.
pub(super) fn future(text: &str) -> Result<Timestamp, String> {
    moment(text, |now, span| now.checked_add(span))
}

fn moment(
    text: &str,
    from_now: impl FnOnce(SystemTime, std::time::Duration) -> Option<SystemTime>,
) -> Result<Timestamp, String> {
    let time = match humantime::parse_duration(text) {
        Ok(span) => from_now(SystemTime::now(), span),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(SystemTime::from),
    };
    let wrong = "expected a time such as 2027-01-31T12:00:00Z or a duration such as 90d";
    // The vault stores whole seconds.
    let seconds = time.ok_or(wrong)?.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| wrong)?.as_secs();
    Ok(Timestamp { seconds: i64::try_from(seconds).map_err(|_| wrong)?, nanos: 0 })
}

fn pair<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str), CommandError> {
    let both = text.split_once('=').filter(|(key, _)| !key.is_empty());
    both.ok_or_else(|| CommandError::usage(format!("{flag}: expected KEY=…, with a key before the first =")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_names_a_key_a_vault_secret_and_optionally_a_version() {
        let plain = reference("--from", "user=pump-7-user", true).unwrap();
        assert_eq!((plain.key.as_str(), plain.vault_secret.as_str()), ("user", "vaultSecrets/pump-7-user"));
        assert!(plain.version.is_empty());
        let pinned = reference("--from", &format!("a=vaultSecrets/b@{VERSION}"), true).unwrap();
        assert_eq!((pinned.vault_secret.as_str(), pinned.version.as_str()), ("vaultSecrets/b", VERSION));
    }

    #[test]
    fn an_invalid_reference_is_refused_without_quoting_a_possible_value() {
        for wrong in ["canary!", "=canary", "key=canary!word", "key=a@canary", "key="] {
            let failure = reference("--new", wrong, true).unwrap_err().to_string();
            assert!(!failure.contains("canary"), "{failure}");
        }
        assert!(reference("--new", &format!("a=b@{VERSION}"), false).is_err());
    }

    #[test]
    fn an_encoding_goes_to_the_reference_of_its_key() {
        let mut references = [reference("--from", "a=x", true).unwrap()];
        encode(&mut references, &["a=hex".to_owned()]).unwrap();
        assert_eq!(references[0].encoding(), Encoding::Hex);
        assert!(encode(&mut references, &["b=hex".to_owned()]).is_err());
        assert!(encode(&mut references, &["a=rot13".to_owned()]).is_err());
    }

    #[test]
    fn names_are_accepted_as_o_name_prints_them() {
        let name: SyncedName = "syncedSecrets/pump-7".parse().unwrap();
        assert_eq!(Ok(&name), "pump-7".parse().as_ref());
        assert_eq!(name.full(), "syncedSecrets/pump-7");
        assert!("Pump 7".parse::<SyncedName>().is_err() && "a/b".parse::<VaultName>().is_err());
    }

    #[test]
    fn times_are_absolute_or_relative_to_now() {
        assert_eq!(past("1970-01-01T00:00:07Z").unwrap().seconds, 7);
        let (ago, ahead) = (past("1h").unwrap().seconds, future("1h").unwrap().seconds);
        assert!((7_199..=7_201).contains(&(ahead - ago)));
        assert!(past("yesterday").is_err());
    }
}
