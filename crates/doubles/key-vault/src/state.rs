//! The vault's state in memory (live and deleted secrets with their versions), and the changes that are made to it and
//! to the disk.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use doubles_common::disk::{Disk, DiskError, Write};

/// The bucket of secrets, without their versions.
const SECRETS: &str = "vault-secrets";
/// The bucket of versions; the key is `SECRET/VERSION`.
const VERSIONS: &str = "vault-versions";

/// The secrets by name in lower case: names in Key Vault are case-insensitive.
#[derive(Default)]
pub(super) struct State {
    live: BTreeMap<String, Secret>,
    deleted: BTreeMap<String, (Secret, Deletion)>,
    /// Transitions in progress, by name. A restart ends them.
    transitions: HashMap<String, Transition>,
}

/// A secret with at least one version.
#[derive(Clone)]
pub(super) struct Secret {
    /// As first spelled.
    pub(super) name: String,
    /// Whether it belongs to a certificate.
    pub(super) managed: bool,
    /// By id, the order of the vault's list; it doesn't reflect age.
    pub(super) versions: BTreeMap<String, Version>,
    latest: String,
}

/// A version. Serialize it only to store it: the value is included.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    /// Numbers the versions of a secret, because creation times in whole seconds don't order them.
    pub(super) sequence: u64,
    #[serde(serialize_with = "expose", deserialize_with = "conceal")]
    pub(super) value: SecretString,
    pub(super) content_type: Option<String>,
    pub(super) tags: Option<BTreeMap<String, String>>,
    pub(super) enabled: bool,
    pub(super) not_before: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) created: i64,
    pub(super) updated: i64,
}

/// When a secret was deleted, and when it is due to be purged, in Unix seconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Deletion {
    pub(super) deleted: i64,
    pub(super) scheduled_purge: i64,
}

/// A transition in progress.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Deleting,
    Recovering,
    Purging,
}

struct Transition {
    doing: Doing,
    until: Timestamp,
}

/// One change of the state, with all that disk and memory need.
pub(super) enum Change {
    /// Adds or replaces a version; creates the secret if needed.
    Version { name: String, managed: bool, version: Version },
    /// Creates a secret with all its versions.
    Secret(Secret),
    /// Moves a live secret to the deleted ones.
    Delete { key: String, deletion: Deletion },
    /// Moves a deleted secret back.
    Recover { key: String },
    /// Purges a deleted secret.
    Purge { key: String },
}

/// A secret on disk and in a backup, without its versions.
#[derive(Serialize, Deserialize)]
struct Header {
    name: String,
    managed: bool,
    deletion: Option<Deletion>,
}

/// A backup, before it is sealed.
#[derive(Serialize, Deserialize)]
struct Backup {
    header: Header,
    versions: Vec<Version>,
}

/// The key of a name.
pub(super) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

// === impl State ===

impl State {
    /// The state on disk.
    pub(super) async fn load(disk: &Disk) -> Result<Self, DiskError> {
        let mut versions: BTreeMap<String, BTreeMap<String, Version>> = BTreeMap::new();
        for (path, bytes) in disk.load(VERSIONS).await? {
            let version: Version = decode(&Zeroizing::new(bytes))?;
            let key = path.split('/').next().unwrap_or_default().to_owned();
            versions.entry(key).or_default().insert(version.id.clone(), version);
        }
        let mut state = Self::default();
        for (key, bytes) in disk.load(SECRETS).await? {
            let header: Header = decode(&bytes)?;
            let secret = Secret::new(header.name, header.managed, versions.remove(&key).unwrap_or_default())
                .ok_or(DiskError::Sealed)?;
            match header.deletion {
                Some(deletion) => drop(state.deleted.insert(key, (secret, deletion))),
                None => drop(state.live.insert(key, secret)),
            }
        }
        Ok(state)
    }

    /// A live secret.
    pub(super) fn live(&self, key: &str) -> Option<&Secret> {
        self.live.get(key)
    }

    /// A deleted secret.
    pub(super) fn deleted(&self, key: &str) -> Option<&(Secret, Deletion)> {
        self.deleted.get(key)
    }

    /// The transition of a name.
    pub(super) fn doing(&self, key: &str, now: Timestamp) -> Option<Doing> {
        self.transitions
            .get(key)
            .filter(|transition| transition.until > now)
            .map(|transition| transition.doing)
    }

    /// Live secrets after a key, without those whose recovery is in progress.
    pub(super) fn live_after(
        &self,
        after: Option<&str>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &Secret)> {
        range_after(&self.live, after).filter(move |(key, _)| self.doing(key, now).is_none())
    }

    /// Deleted secrets after a key, without those whose deletion is in progress.
    pub(super) fn deleted_after(
        &self,
        after: Option<&str>,
        now: Timestamp,
    ) -> impl Iterator<Item = (&str, &(Secret, Deletion))> {
        range_after(&self.deleted, after).filter(move |(key, _)| self.doing(key, now).is_none())
    }

    /// Records a transition until then; drops those that have ended.
    pub(super) fn begin(&mut self, key: String, doing: Doing, until: Timestamp, now: Timestamp) {
        self.transitions.retain(|_, transition| transition.until > now);
        if until > now {
            self.transitions.insert(key, Transition { doing, until });
        }
    }

    /// The writes of a change to disk.
    pub(super) fn writes(&self, change: &Change) -> Vec<Write> {
        match change {
            Change::Version { name, managed, version } => {
                let key = key(name);
                let header = Header { name: name.clone(), managed: *managed, deletion: None };
                let header = (!self.live.contains_key(&key)).then(|| put(SECRETS, key.clone(), &header));
                header.into_iter().chain([put(VERSIONS, path(&key, &version.id), version)]).collect()
            }
            Change::Secret(secret) => {
                let key = key(&secret.name);
                let versions =
                    secret.versions.values().map(|version| put(VERSIONS, path(&key, &version.id), version));
                [put(SECRETS, key.clone(), &secret.header(None))].into_iter().chain(versions).collect()
            }
            Change::Delete { key, deletion } => self
                .live(key)
                .map(|secret| put(SECRETS, key.clone(), &secret.header(Some(*deletion))))
                .into_iter()
                .collect(),
            Change::Recover { key } => self
                .deleted(key)
                .map(|(secret, _)| put(SECRETS, key.clone(), &secret.header(None)))
                .into_iter()
                .collect(),
            Change::Purge { key } => {
                let versions = self.deleted(key).into_iter().flat_map(|(secret, _)| secret.versions.keys());
                let versions = versions.map(|id| Write::Delete { bucket: VERSIONS, key: path(key, id) });
                [Write::Delete { bucket: SECRETS, key: key.clone() }].into_iter().chain(versions).collect()
            }
        }
    }

    /// Makes a change in memory.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Version { name, managed, version } => match self.live.get_mut(&key(&name)) {
                Some(secret) => secret.put(version),
                None => {
                    let versions = BTreeMap::from([(version.id.clone(), version)]);
                    self.live.extend(
                        Secret::new(name, managed, versions).map(|secret| (key(&secret.name), secret)),
                    );
                }
            },
            Change::Secret(secret) => drop(self.live.insert(key(&secret.name), secret)),
            Change::Delete { key, deletion } => {
                let secret = self.live.remove(&key);
                self.deleted.extend(secret.map(|secret| (key, (secret, deletion))));
            }
            Change::Recover { key } => {
                let deleted = self.deleted.remove(&key);
                self.live.extend(deleted.map(|(secret, _)| (key, secret)));
            }
            Change::Purge { key } => drop(self.deleted.remove(&key)),
        }
    }
}

/// The entries after a key, or all.
fn range_after<'a, T>(
    map: &'a BTreeMap<String, T>,
    after: Option<&str>,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    map.range::<str, _>((from, Bound::Unbounded)).map(|(key, value)| (key.as_str(), value))
}

// === impl Secret ===

impl Secret {
    /// A secret with these versions; `None` without any.
    fn new(name: String, managed: bool, versions: BTreeMap<String, Version>) -> Option<Self> {
        let latest = versions.values().max_by_key(|version| version.sequence)?.id.clone();
        Some(Self { name, managed, versions, latest })
    }

    /// The version that was created last.
    pub(super) fn latest(&self) -> &Version {
        &self.versions[&self.latest]
    }

    /// A version, or the latest.
    pub(super) fn version(&self, id: Option<&str>) -> Option<&Version> {
        match id {
            Some(id) => self.versions.get(&id.to_ascii_lowercase()),
            None => Some(self.latest()),
        }
    }

    /// The whole secret as bytes, to be sealed.
    pub(super) fn backup(&self) -> Vec<u8> {
        let versions = self.versions.values().cloned().collect();
        encode(&Backup { header: self.header(None), versions })
    }

    /// A secret from the bytes of [`Secret::backup`].
    pub(super) fn restore(bytes: &[u8]) -> Result<Self, DiskError> {
        let Backup { header, versions } = decode(bytes)?;
        let versions = versions.into_iter().map(|version| (version.id.clone(), version)).collect();
        Self::new(header.name, header.managed, versions).ok_or(DiskError::Sealed)
    }

    fn put(&mut self, version: Version) {
        if version.sequence > self.latest().sequence {
            self.latest.clone_from(&version.id);
        }
        self.versions.insert(version.id.clone(), version);
    }

    fn header(&self, deletion: Option<Deletion>) -> Header {
        Header { name: self.name.clone(), managed: self.managed, deletion }
    }
}

fn path(key: &str, version: &str) -> String {
    format!("{key}/{version}")
}

fn put(bucket: &'static str, key: String, content: &impl Serialize) -> Write {
    Write::Put { bucket, key, value: encode(content) }
}

fn encode(content: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(content).expect("these types have only string keys and no floats")
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DiskError> {
    // Sealed with our key but unreadable: damaged, or from another release.
    serde_json::from_slice(bytes).map_err(|_| DiskError::Sealed)
}

fn expose<S: Serializer>(value: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(value.expose_secret())
}

fn conceal<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(SecretString::from)
}
