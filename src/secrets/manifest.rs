//! Reads a manifest: the resources in YAML or JSON text, of which only what can name a secret is kept. A
//! manifest may hold values, so no error repeats any of its text.

use std::cell::Cell;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::model::{GroupKind, SyncedSecretId, can_be_name};

/// Bytes of a manifest.
pub const MANIFEST_BYTES: usize = 262_144;
/// Resources in a manifest.
const RESOURCES: usize = 1_000;
/// Bytes of the paths and texts of all fields together: a few anchors, or one long name, can stand for far
/// more than the manifest has.
const FIELD_BYTES: usize = 16 * 1024 * 1024;
/// Values in all: each costs the memory of some hundred bytes, however short it is written.
const VALUES: usize = 65_536;
/// Brackets in a YAML document, whose parser takes time that grows with the square of those that are open.
const BRACKETS: usize = 4_096;
/// Longer texts can't name a secret and a key.
const NAME_BYTES: usize = 512;
/// Stands for a text that can't be a name, and may be a value.
const NO_NAME: &str = "?";
/// The key whose maps are merged into the map that holds it, in YAML.
const MERGE: &str = "<<";

const TOO_LARGE: &str = "stands for too many fields; split it, and write out what anchors repeat";
const TOO_MANY_BRACKETS: &str = "has too many [ and { in one document; split it, or write it in lines";
const DUPLICATE: &str = "has a field twice in one object";
const MERGES_NO_MAP: &str = "merges (<<) what is not a map";

/// The resources of a manifest. Its texts are wiped when it is dropped.
pub struct Manifest(Vec<Resource>);

/// A resource of a manifest.
pub struct Resource {
    /// `group/version`, or the version of the core group.
    pub api_version: String,
    /// Group and kind.
    pub group_kind: GroupKind,
    /// `None` if the manifest does not say.
    pub namespace: Option<String>,
    /// Empty if the manifest does not say.
    pub name: String,
    /// Its content.
    pub body: Value,
}

/// What is left of what a manifest may stand for, and why it was refused.
struct Limits {
    left: Cell<usize>,
    values: Cell<usize>,
    is_yaml: bool,
    refusal: Cell<Option<&'static str>>,
}

/// Reads one value, whose path is this long.
struct Node<'a> {
    limits: &'a Limits,
    path: usize,
}

/// Where a text could not be read.
struct Unreadable {
    rule: String,
    line: usize,
    column: usize,
}

// === impl Manifest ===

impl Manifest {
    /// Reads a manifest. The error completes a sentence that begins with the field.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MANIFEST_BYTES {
            return Err(format!("must have at most {MANIFEST_BYTES} bytes; split it"));
        }
        // Windows' editors and shells begin a file so.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = Self(documents(text)?.into_iter().map(Resource::unread).collect());
        let mut resources = Self(Vec::new());
        for (place, mut document) in documents.into_resources().into_iter().enumerate() {
            let items = document.items();
            let at = format!("document {}", place + 1);
            match items {
                Some(items) => {
                    let items = Self(items.into_iter().map(Resource::unread).collect());
                    for (item, mut resource) in items.into_resources().into_iter().enumerate() {
                        resource.identify().map_err(|rule| format!("{at}, item {}: {rule}", item + 1))?;
                        resources.0.push(resource);
                    }
                }
                None => {
                    document.identify().map_err(|rule| format!("{at}: {rule}"))?;
                    resources.0.push(document);
                }
            }
        }
        match resources.0.len() {
            0 => Err("must hold at least one resource, with apiVersion and kind".to_owned()),
            1..=RESOURCES => Ok(resources),
            _ => Err(format!("must hold at most {RESOURCES} resources; split it")),
        }
    }

    /// Its resources, in order.
    pub fn resources(&self) -> &[Resource] {
        &self.0
    }

    fn into_resources(mut self) -> Vec<Resource> {
        std::mem::take(&mut self.0)
    }
}

/// The documents that are not empty.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    // What the YAML parser calls an end that it did not expect.
    let is_empty = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(is_empty) {
        return Ok(Vec::new());
    }
    let is_json = text.trim_start().starts_with('{');
    let json = is_json.then(|| json(text));
    let failed = match json {
        Some(Ok(documents)) => return Ok(documents),
        Some(Err(failed)) => Some(failed),
        None => None,
    };
    // A map in YAML may begin like JSON. If it is neither, whoever came further knows better what is wrong.
    yaml(text).map_err(|yaml| {
        let best = match failed {
            Some(json) if (json.line, json.column) > (yaml.line, yaml.column) => json,
            _ => yaml,
        };
        match best.line {
            0 => best.rule,
            line => format!("line {line}, column {}: {}", best.column, best.rule),
        }
    })
}

fn json(text: &str) -> Result<Vec<Value>, Unreadable> {
    let limits = Limits::new(false);
    let mut documents = Vec::new();
    let mut rest = serde_json::Deserializer::from_str(text);
    loop {
        let read = match rest.end() {
            Ok(()) => return Ok(documents),
            Err(_) => Node { limits: &limits, path: 0 }.deserialize(&mut rest),
        };
        match read {
            Ok(document) => documents.push(document),
            Err(error) => {
                documents.iter_mut().for_each(wipe);
                return Err(limits.unreadable("JSON", error.line(), error.column()));
            }
        }
    }
}

fn yaml(text: &str) -> Result<Vec<Value>, Unreadable> {
    if let Some(line) = too_many_brackets(text) {
        return Err(Unreadable { rule: TOO_MANY_BRACKETS.to_owned(), line, column: 1 });
    }
    let limits = Limits::new(true);
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        match (Node { limits: &limits, path: 0 }).deserialize(document) {
            Ok(Value::Null) => {}
            Ok(document) => documents.push(document),
            Err(error) => {
                documents.iter_mut().for_each(wipe);
                let (line, column) =
                    error.location().map_or((0, 0), |location| (location.line(), location.column()));
                return Err(limits.unreadable("YAML", line, column));
            }
        }
    }
    Ok(documents)
}

/// The line in which a document has more brackets than allowed. Closing ones don't count back: a quoted one closes
/// nothing.
fn too_many_brackets(text: &str) -> Option<usize> {
    let mut brackets = 0;
    let exceeds = |line: &str| {
        if line.starts_with("---") {
            brackets = 0;
        }
        brackets += line.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
        brackets > BRACKETS
    };
    text.lines().position(exceeds).map(|line| line + 1)
}

/// Overwrites every text. What the parsers themselves have copied, the allocator of the process overwrites.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        _ => {}
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        wipe(&mut self.body);
    }
}

// === impl Resource ===

impl Resource {
    fn unread(body: Value) -> Self {
        let group_kind = GroupKind { group: String::new(), kind: String::new() };
        Self { api_version: String::new(), group_kind, namespace: None, name: String::new(), body }
    }

    /// The items, if it is a list such as `kubectl get -o yaml` prints.
    fn items(&mut self) -> Option<Vec<Value>> {
        let is_list = self.body.get("kind")?.as_str()?.ends_with("List");
        match self.body.get_mut("items") {
            Some(Value::Array(items)) if is_list => Some(std::mem::take(items)),
            _ => None,
        }
    }

    /// Reads what it is. The error does not repeat what it found.
    fn identify(&mut self) -> Result<(), &'static str> {
        let Value::Object(fields) = &self.body else { return Err("is not an object") };
        let text = |fields: &Map<String, Value>, field: &str| match fields.get(field) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(()),
        };
        let api_version = text(fields, "apiVersion").unwrap_or_default();
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        if !(is_word(version) && (group.is_empty() || is_name(group))) {
            return Err("needs an apiVersion such as connectivity.iotoperations.azure.com/v1");
        }
        let kind = text(fields, "kind").unwrap_or_default();
        if !(is_word(&kind) && kind.starts_with(|first: char| first.is_ascii_uppercase())) {
            return Err("needs a kind such as DataflowEndpoint");
        }
        let nothing = Map::new();
        let metadata = match fields.get("metadata") {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(metadata)) => metadata,
            Some(_) => return Err("has metadata that are not an object"),
        };
        let name = text(metadata, "name").ok().filter(|name| name.is_empty() || is_name(name));
        let name = name.ok_or("has a metadata.name that is not the name of a resource")?;
        let namespace = text(metadata, "namespace").ok().filter(|name| name.is_empty() || is_name(name));
        let namespace = namespace.ok_or("has a metadata.namespace that is not the name of a namespace")?;
        self.group_kind = GroupKind { group: group.to_owned(), kind };
        (self.api_version, self.name) = (api_version, name);
        self.namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
        Ok(())
    }
}

/// Names of resources follow the rule of ids, an RFC 1123 subdomain.
fn is_name(text: &str) -> bool {
    text.parse::<SyncedSecretId>().is_ok()
}

fn is_word(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

// === impl Limits ===

impl Limits {
    fn new(is_yaml: bool) -> Self {
        Self { left: Cell::new(FIELD_BYTES), values: Cell::new(VALUES), is_yaml, refusal: Cell::new(None) }
    }

    /// Takes a value, and the bytes of its path and text.
    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = (self.left.get().checked_sub(bytes + 1), self.values.get().checked_sub(1));
        let (Some(left), Some(values)) = left else { return Err(self.refuse(TOO_LARGE)) };
        self.left.set(left);
        self.values.set(values);
        Ok(())
    }

    fn refuse<E: serde::de::Error>(&self, rule: &'static str) -> E {
        self.refusal.set(Some(rule));
        E::custom(rule)
    }

    /// What the parser itself says may repeat what it has read, so only the place counts.
    fn unreadable(&self, format: &str, line: usize, column: usize) -> Unreadable {
        let rule = self.refusal.take().map_or_else(|| format!("is not {format}"), str::to_owned);
        Unreadable { rule, line, column }
    }
}

// === impl Node ===

impl<'a> Node<'a> {
    /// A value below, by a name or an index of this length.
    fn below(&self, name: usize) -> Self {
        Self { limits: self.limits, path: self.path + name + 2 }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.limits.take(self.path).map(|()| Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.limits.take(self.path).map(|()| Value::Bool(value))
    }

    // Numbers name nothing; that there is one is enough.
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Value, E> {
        self.visit_f64(0.0)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Value, E> {
        self.visit_f64(0.0)
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        self.visit_f64(0.0)
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Value, E> {
        self.visit_f64(0.0)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        self.limits.take(self.path).map(|()| Value::from(0))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.limits.take(self.path + text.len())?;
        // What can't be a name is more likely a value, and is not kept.
        let is_name = text.len() <= NAME_BYTES && can_be_name(text);
        Ok(Value::String(if is_name { text } else { NO_NAME }.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.limits.take(self.path)?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.below(5))? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.limits.take(self.path)?;
        let (mut all, mut merged) = (Map::new(), Vec::new());
        while let Some(name) = fields.next_key::<String>()? {
            let value = fields.next_value_seed(self.below(name.len()))?;
            if self.limits.is_yaml && name == MERGE {
                match value {
                    Value::Object(fields) => merged.push(Value::Object(fields)),
                    Value::Array(maps) => merged.extend(maps),
                    _ => return Err(self.limits.refuse(MERGES_NO_MAP)),
                }
            } else if all.insert(name, value).is_some() {
                return Err(self.limits.refuse(DUPLICATE));
            }
        }
        for map in merged {
            let Value::Object(fields) = map else { return Err(self.limits.refuse(MERGES_NO_MAP)) };
            for (name, value) in fields {
                all.entry(name).or_insert(value);
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests;
