//! A usage rule states which field of which kind names a secret, in one line, in the built-in table and in
//! the configuration.

use std::{fmt, str::FromStr, sync::Arc};

use serde_json::{Map, Value};

use super::{GroupKind, KeySet, Needs};
use crate::{NameError, SecretKey, SyncedSecretId};

/// Matches every kind of a group, every field of a map, every item of a list.
const ANY: &str = "*";
/// Matches any number of fields and items, also none.
const ANY_DEPTH: &str = "**";
/// Suffixes of field names that suggest that the field names a secret.
const GUESSED_SUFFIXES: [&str; 5] = ["SecretName", "secretName", "secretRef", "SecretRef", "secretKeyRef"];
/// The field of a reference in object form that names the secret.
const NAME: &str = "name";
/// States a use without a resource.
const FIXED: &str = "FIXED";
/// Maximum characters of the name of a secret and of a key.
const MAX_CHARS: usize = 253;

/// Which field of which kind names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRule {
    /// The kind is `*` if the rule covers every kind of the group.
    pub(super) group_kind: GroupKind,
    pub(super) finds: Finds,
}

/// How a rule finds the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finds {
    /// By its path.
    Field { path: Vec<Segment>, format: Format },
    /// By the suffix of its name, anywhere below `spec`.
    Names,
    /// In no field: a program uses the secret of this name.
    Fixed { program: String, secret: String },
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// The field of this name.
    Field(String),
    /// `*`: every field.
    AnyField,
    /// `[*]`: every item of a list.
    AnyItem,
    /// `**`: everything below, at any depth.
    AnyDepth,
}

/// The format of the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `SECRET/KEY`.
    Key,
    /// `SECRET`.
    Whole(Arc<[KeySet]>),
    /// `SECRET @FIELD`: the field beside it names the key.
    KeyBeside(String),
    /// `OUTPUT`: another program writes the secret that the field names. That is no use.
    Output,
}

// === impl UsageRule ===

impl UsageRule {
    /// The group that it covers; empty if it covers no resources.
    pub fn group(&self) -> &str {
        &self.group_kind.group
    }

    /// Whether it states a use without a resource.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.finds, Finds::Fixed { .. })
    }

    /// Whether it covers a kind.
    pub fn covers(&self, group: &str, kind: &str) -> bool {
        !self.is_fixed()
            && self.group_kind.group == group
            && (self.group_kind.kind == ANY || self.group_kind.kind == kind)
    }
}

impl FromStr for UsageRule {
    type Err = NameError;

    fn from_str(line: &str) -> Result<Self, NameError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (group_kind, finds) = match words.as_slice() {
            [kind] => (kind, Finds::Names),
            [kind, path, format] => {
                (kind, Finds::Field { path: path_of(path)?, format: format_of(format, None)? })
            }
            [kind, program, format, secret] if format.eq_ignore_ascii_case(FIXED) => {
                return fixed(kind, program, secret);
            }
            [kind, path, format, keys] => {
                (kind, Finds::Field { path: path_of(path)?, format: format_of(format, Some(keys))? })
            }
            _ => {
                let rule = "a rule is KIND.GROUP PATH SECRET/KEY, KIND.GROUP PATH SECRET [KEYS or @FIELD], KIND.GROUP PATH OUTPUT, KIND PROGRAM FIXED SECRET, or KIND.GROUP";
                return Err(NameError::new(rule));
            }
        };
        Ok(Self { group_kind: group_kind_of(group_kind)?, finds })
    }
}

impl fmt::Display for UsageRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.group_kind)?;
        let (path, format) = match &self.finds {
            Finds::Field { path, format } => (path, format),
            Finds::Names => return Ok(()),
            Finds::Fixed { program, secret } => return write!(f, " {program} {FIXED} {secret}"),
        };
        for (place, segment) in path.iter().enumerate() {
            f.write_str(match (place, segment) {
                (0, _) => " ",
                (_, Segment::AnyItem) => "",
                _ => ".",
            })?;
            match segment {
                Segment::Field(name) => f.write_str(name)?,
                Segment::AnyField => f.write_str(ANY)?,
                Segment::AnyDepth => f.write_str(ANY_DEPTH)?,
                Segment::AnyItem => f.write_str("[*]")?,
            }
        }
        match format {
            Format::Key => f.write_str(" SECRET/KEY"),
            Format::KeyBeside(field) => write!(f, " SECRET @{field}"),
            Format::Output => f.write_str(" OUTPUT"),
            Format::Whole(sets) if sets.is_empty() => f.write_str(" SECRET"),
            Format::Whole(sets) => {
                let keys = |set: &KeySet| {
                    let optional = set.optional.iter().map(|key| format!("{key}?"));
                    set.required.iter().cloned().chain(optional).collect::<Vec<_>>().join("+")
                };
                write!(f, " SECRET {}", sets.iter().map(keys).collect::<Vec<_>>().join("|"))
            }
        }
    }
}

/// A use without a resource: `KIND PROGRAM FIXED SECRET`.
fn fixed(kind: &str, program: &str, secret: &str) -> Result<UsageRule, NameError> {
    if !is_kind(kind) {
        return Err(NameError::new(format!("{kind:?} is not the kind of a program, such as OpcUaConnector")));
    }
    // Both follow the rule of ids: an RFC 1123 subdomain.
    let (program, secret) = (program.parse::<SyncedSecretId>()?, secret.parse::<SyncedSecretId>()?);
    let group_kind = GroupKind { group: String::new(), kind: kind.to_owned() };
    Ok(UsageRule {
        group_kind,
        finds: Finds::Fixed { program: program.as_str().to_owned(), secret: secret.as_str().to_owned() },
    })
}

fn is_kind(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn group_kind_of(text: &str) -> Result<GroupKind, NameError> {
    let (kind, group) = text.split_once('.').unwrap_or((text, ""));
    let is_kind = kind == ANY || is_kind(kind);
    // Groups follow the rule of ids: an RFC 1123 subdomain.
    match is_kind && group.parse::<SyncedSecretId>().is_ok() {
        true => Ok(GroupKind { group: group.to_owned(), kind: kind.to_owned() }),
        false => Err(NameError::new(format!(
            "{text:?} is not KIND.GROUP, such as Device.namespaces.deviceregistry.microsoft.com, or *.GROUP"
        ))),
    }
}

pub(super) fn path_of(text: &str) -> Result<Vec<Segment>, NameError> {
    let mut path = Vec::new();
    for part in text.split('.') {
        let name = part.trim_end_matches("[*]");
        if name.is_empty() || name.contains(['[', ']']) {
            let rule = "a path consists of names separated by dots, where * is any field and [*] after a \
                name is any item";
            return Err(NameError::new(format!("{text:?} is not a path: {rule}")));
        }
        path.push(match name {
            ANY => Segment::AnyField,
            ANY_DEPTH => Segment::AnyDepth,
            name => Segment::Field(name.to_owned()),
        });
        path.extend((0..(part.len() - name.len()) / "[*]".len()).map(|_| Segment::AnyItem));
    }
    check_depths(text, &path)?;
    Ok(path)
}

/// At most one `**`, so that a resource is searched in one pass; and a field after it, to know what to find.
fn check_depths(text: &str, path: &[Segment]) -> Result<(), NameError> {
    let depths = path.iter().filter(|segment| **segment == Segment::AnyDepth).count();
    let is_last = path.last() == Some(&Segment::AnyDepth);
    match depths > 1 || is_last {
        true => {
            Err(NameError::new(format!("{text:?} is not a path: it may have one **, with a field after it")))
        }
        false => Ok(()),
    }
}

fn format_of(text: &str, keys: Option<&str>) -> Result<Format, NameError> {
    match (text.to_ascii_uppercase().as_str(), keys) {
        ("SECRET/KEY", None) => Ok(Format::Key),
        ("SECRET/KEY", Some(_)) => {
            Err(NameError::new("SECRET/KEY already names its key: leave the keys out"))
        }
        ("OUTPUT", None) => Ok(Format::Output),
        ("OUTPUT", Some(_)) => Err(NameError::new("OUTPUT has no keys: leave them out")),
        ("SECRET", Some(keys)) if keys.starts_with('@') => match &keys[1..] {
            field if !field.is_empty() && !field.contains(['.', '[', ']', '*', '@']) => {
                Ok(Format::KeyBeside(field.to_owned()))
            }
            _ => Err(NameError::new(format!("{keys:?} is not @ and the name of the field beside it"))),
        },
        ("SECRET", keys) => {
            let sets = keys.iter().flat_map(|keys| keys.split('|')).map(key_set);
            sets.collect::<Result<Arc<[KeySet]>, _>>().map(Format::Whole)
        }
        _ => Err(NameError::new(format!("{text:?} is not a format: SECRET/KEY, SECRET or OUTPUT"))),
    }
}

fn key_set(text: &str) -> Result<KeySet, NameError> {
    let mut set = KeySet { required: Vec::new(), optional: Vec::new() };
    for word in text.split('+') {
        let (key, keys) = match word.strip_suffix('?') {
            Some(key) => (key, &mut set.optional),
            None => (word, &mut set.required),
        };
        key.parse::<SecretKey>()?;
        keys.push(key.to_owned());
    }
    Ok(set)
}

/// Whether a text can be the name of a secret or of a key, by its characters: what has blanks is more likely a value.
pub fn can_be_name(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

// === impl Format ===

impl Format {
    /// The secret that a text names, and what the field needs from it; `None` if the text can't be a name.
    /// `beside` holds the fields next to it.
    pub(super) fn read(&self, text: &str, beside: Option<&Map<String, Value>>) -> Option<(String, Needs)> {
        let (secret, key) = match self {
            Self::Key => text.split_once('/').unwrap_or((text, "")),
            Self::Whole(_) | Self::Output => (text, ""),
            Self::KeyBeside(field) => {
                (text, beside.and_then(|beside| beside.get(field)?.as_str()).unwrap_or(""))
            }
        };
        if secret.is_empty()
            || secret.len() > MAX_CHARS
            || key.len() > MAX_CHARS
            || !can_be_name(text)
            || !can_be_name(key)
        {
            return None;
        }
        let needs = match self {
            Self::Key | Self::KeyBeside(_) => Needs::Key(key.to_owned()),
            Self::Whole(sets) => Needs::Whole(sets.clone()),
            Self::Output => Needs::Whole(Arc::new([])),
        };
        Some((secret.to_owned(), needs))
    }
}

/// Whether the name of a field suggests that it names a secret.
pub(super) fn is_guessed(name: &str) -> bool {
    GUESSED_SUFFIXES.iter().any(|end| name.ends_with(end))
}

/// The secret that a field of unknown format names, and the field below it that holds the name, if the value
/// is an object such as `{name, key}`; `None` if it can't be a name.
pub(super) fn guess(value: &Value) -> Option<(Option<&'static str>, String, Needs)> {
    let text = |value: &Value, field: &str| value.get(field)?.as_str().map(str::to_owned);
    let (below, secret, key) = match value {
        Value::String(text) => match text.split_once('/') {
            Some((secret, key)) => (None, secret.to_owned(), Some(key.to_owned())),
            None => (None, text.clone(), None),
        },
        object => (Some(NAME), text(object, NAME)?, text(object, "key")),
    };
    secret.parse::<SyncedSecretId>().ok()?;
    let needs = match key {
        Some(key) => Needs::Key(key.parse::<SecretKey>().ok()?.into()),
        None => Needs::Whole(Arc::new([])),
    };
    Some((below, secret, needs))
}
