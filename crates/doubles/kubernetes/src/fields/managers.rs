//! The owners of fields: the entries of `metadata.managedFields`.

use std::mem;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Manager, set::FieldSet};

/// All entries of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Managers(pub(super) Vec<Entry>);

/// The fields of one manager by one operation.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) manager: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<Timestamp>,
    pub(super) fields: FieldSet,
}

/// The operation by which fields came to be owned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By a server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// The maximum number of entries of updating managers; the oldest are merged into one.
const MOST_UPDATERS: usize = 10;
const OLDEST_UPDATERS: &str = "ancient-changes";

// === impl Managers ===

impl Managers {
    /// Reads the entries of an object; `None` if one of them is invalid.
    pub(super) fn of(object: &Value) -> Option<Self> {
        match &object["metadata"]["managedFields"] {
            Value::Null => Some(Self::default()),
            Value::Array(entries) => entries.iter().map(Entry::read).collect::<Option<_>>().map(Self),
            _ => None,
        }
    }

    /// Whether an object resets its entries, by an empty list or one empty entry.
    pub(super) fn are_reset_by(object: &Value) -> bool {
        let Some(entries) = object["metadata"]["managedFields"].as_array() else { return false };
        match entries.as_slice() {
            [] => true,
            [only] => only.as_object().is_some_and(|entry| entry.is_empty()),
            _ => false,
        }
    }

    /// Writes the entries into an object, in the apiserver's order. Without entries there is no list.
    pub(super) fn write_to(mut self, object: &mut Value) {
        let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        metadata.remove("managedFields");
        self.0.retain(|entry| !entry.fields.is_empty());
        if self.0.is_empty() {
            return;
        }
        self.0.sort_by(|a, b| a.order().cmp(&b.order()));
        metadata.insert("managedFields".to_owned(), self.0.iter().map(Entry::write).collect());
    }

    /// Removes and returns the fields that a manager applied last.
    pub(super) fn take_applied(&mut self, who: &Manager) -> Option<Entry> {
        let position = self.0.iter().position(|entry| entry.is_of(who, Operation::Apply))?;
        Some(self.0.remove(position))
    }

    /// Adds fields to those that a manager owns by update.
    pub(super) fn add_updated(&mut self, who: &Manager, fields: FieldSet) {
        if fields.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|entry| entry.is_of(who, Operation::Update)) {
            Some(entry) => {
                entry.fields.extend(fields);
                entry.time = Some(who.time);
            }
            None => self.0.push(Entry::new(who, Operation::Update, Some(who.time), fields)),
        }
    }

    /// Removes fields from all managers.
    pub(super) fn subtract(&mut self, fields: &FieldSet) {
        self.0.iter_mut().for_each(|entry| entry.fields.subtract(fields));
        self.0.retain(|entry| !entry.fields.is_empty());
    }

    /// The fields of all managers.
    pub(super) fn union(&self) -> FieldSet {
        self.0.iter().fold(FieldSet::default(), |all, entry| all.union(entry.fields.clone()))
    }

    /// Merges the oldest updates into one entry per version, until there are no more than [`MOST_UPDATERS`].
    pub(super) fn cap(&mut self) {
        let is_update = |entry: &Entry| entry.operation == Operation::Update;
        let mut excess = self.0.iter().filter(|entry| is_update(entry)).count().saturating_sub(MOST_UPDATERS);
        if excess == 0 {
            return;
        }
        self.0.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut kept: Vec<Entry> = Vec::with_capacity(self.0.len());
        for entry in mem::take(&mut self.0) {
            let older =
                kept.iter_mut().find(|older| is_update(older) && older.api_version == entry.api_version);
            match older {
                Some(older) if excess > 0 && is_update(&entry) => {
                    excess -= 1;
                    OLDEST_UPDATERS.clone_into(&mut older.manager);
                    older.subresource.clear();
                    older.time = entry.time;
                    older.fields.extend(entry.fields);
                }
                _ => kept.push(entry),
            }
        }
        self.0 = kept;
    }
}

// === impl Entry ===

impl Entry {
    pub(super) fn new(
        who: &Manager,
        operation: Operation,
        time: Option<Timestamp>,
        fields: FieldSet,
    ) -> Self {
        Self {
            manager: who.name().to_owned(),
            operation,
            api_version: who.api_version.clone(),
            subresource: who.subresource.clone(),
            time,
            fields,
        }
    }

    /// Whether the manager's fields by this operation belong to this entry. Applied fields are in one entry, whatever
    /// their version.
    fn is_of(&self, who: &Manager, operation: Operation) -> bool {
        self.manager == who.name()
            && self.operation == operation
            && (operation == Operation::Apply || self.api_version == who.api_version)
            && self.subresource == who.subresource
    }

    fn read(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let operation = match entry["operation"].as_str()? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        let api_version = text("apiVersion");
        if api_version.is_empty() || entry["fieldsType"] != "FieldsV1" {
            return None;
        }
        let time = match entry["time"].as_str() {
            Some(time) => Some(time.parse().ok()?),
            None => None,
        };
        let fields = match &entry["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::from_fields_v1(fields)?,
        };
        Some(Self {
            manager: text("manager"),
            operation,
            api_version,
            subresource: text("subresource"),
            time,
            fields,
        })
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": self.operation.as_str(),
            "apiVersion": self.api_version,
        });
        if let Some(time) = self.time {
            entry["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
        }
        entry["fieldsType"] = "FieldsV1".into();
        entry["fieldsV1"] = self.fields.to_fields_v1();
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }

    fn order(&self) -> impl Ord + use<'_> {
        let seconds = self.time.map_or(0, Timestamp::as_second);
        (self.operation, seconds, &self.manager, &self.api_version, &self.subresource)
    }
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}
