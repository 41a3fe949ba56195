//! A witness: a callback for every change of the vault, with which a test checks what its clients believe.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::state::{self, Change};

/// The callback.
pub(super) type Witness = Box<dyn Fn(Happened<'_>) + Send + Sync>;

/// A change of the vault.
pub enum Happened<'a> {
    /// A version was added, or its properties were changed.
    Version(Version<'a>),
    /// A secret was deleted.
    Deleted(&'a str),
    /// A deleted secret was recovered.
    Recovered(&'a str),
    /// A deleted secret was purged.
    Purged(&'a str),
}

/// A version of a secret.
pub struct Version<'a> {
    /// The secret's name, in lower case.
    pub name: String,
    /// 32 hexadecimal digits.
    pub id: &'a str,
    /// Numbers the versions of a secret; the highest is the latest.
    pub sequence: u64,
    /// Its value.
    pub value: &'a SecretString,
    /// Its tags.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// Whether it is enabled.
    pub enabled: bool,
}

/// Reports one change.
pub(super) fn tell(witness: &Witness, change: &Change) {
    let version = |name: &str, version: &state::Version| {
        witness(Happened::Version(Version {
            name: state::key(name),
            id: &version.id,
            sequence: version.sequence,
            value: &version.value,
            tags: version.tags.as_ref(),
            enabled: version.enabled,
        }));
    };
    match change {
        Change::Version { name, version: changed, .. } => version(name, changed),
        Change::Secret(secret) => secret.versions.values().for_each(|held| version(&secret.name, held)),
        Change::Delete { key, .. } => witness(Happened::Deleted(key)),
        Change::Recover { key } => witness(Happened::Recovered(key)),
        Change::Purge { key } => witness(Happened::Purged(key)),
    }
}
