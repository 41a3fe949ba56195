//! Field management like the apiserver's: who owns which fields of an object, and what an apply may change.
//!
//! Pure functions over objects as JSON. The caller must:
//! - set defaults before [`update`] (the writer owns them) and after [`apply`] (nobody owns them);
//! - before both, restore fields that a write may not change (`status` beside a subresource, system metadata);
//! - pass objects of built-in types without nulls and empty maps and lists, as the apiserver's decoder leaves them, and
//!   refuse lists whose items can't be identified (here they would count as one field).

#[cfg(test)]
mod laws;
mod managers;
mod merge;
mod schema;
mod set;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde_json::{Map, Value};

pub use self::{managers::Operation, schema::FieldSchema};
use self::{
    managers::{Entry, Managers},
    set::{FieldSet, PathElement},
};

/// The writer, and the time.
#[derive(Clone, Debug)]
pub struct Manager {
    /// The field manager's name; empty counts as `unknown`.
    pub name: String,
    /// The group and version of the request: `v1`, `apps/v1`.
    pub api_version: String,
    /// The time of the request; stored in whole seconds.
    pub time: Timestamp,
    /// The written subresource, such as `status`; empty for the object itself.
    pub subresource: String,
}

/// A field that an apply would change and that another manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The other manager.
    pub manager: String,
    /// The operation by which it owns the field.
    pub operation: Operation,
    /// The version of its write.
    pub api_version: String,
    /// The subresource that it wrote; empty for the object itself.
    pub subresource: String,
    /// The field in the form of the apiserver: `.data.username`.
    pub field: String,
}

/// The conflicts of a refused apply, by manager. Displays like the apiserver's message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Conflicts(pub Vec<Conflict>);

/// The result of a server-side apply to `live`, with `metadata.managedFields`.
///
/// # Errors
/// If another manager owns a field whose value would change, unless `force` is set.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    who: &Manager,
    force: bool,
    schema: &FieldSchema,
) -> Result<Value, Conflicts> {
    let nothing = nothing();
    let mut others = live.and_then(Managers::of).unwrap_or_default();
    let live = live.unwrap_or(&nothing);
    if others.0.is_empty() {
        let someone = Manager { name: "before-first-apply".to_owned(), ..who.clone() };
        others.add_updated(&someone, strip(merge::compare(&nothing, live, schema).written));
    }

    let last = others.take_applied(who);
    let fields = merge::fields_of(applied, schema);
    let merged = merge::merge(live, applied, schema);
    let before = last.as_ref().map(|last| last.fields.clone()).unwrap_or_default();
    let managed = others.union().union(fields.clone());
    let merge::Pruned { mut object, emptied } = merge::prune(merged, &before, &managed, schema);

    let mut changes = merge::compare(live, &object, schema);
    changes.removed.subtract(&emptied);
    if !force {
        others.refuse(&changes.written)?;
    }
    others.subtract(&changes.written);
    others.subtract(&changes.removed);

    let unchanged = object == *live;
    let time = if unchanged { last.and_then(|last| last.time) } else { Some(who.time) };
    others.0.push(Entry::new(who, Operation::Apply, time, strip(fields)));
    others.write_to(&mut object);
    Ok(object)
}

/// The result of any other write to `live`: `new`, with `metadata.managedFields`.
///
/// Entries in `new` replace those of `live`, unless they are invalid or a subresource is written. An empty list, or one
/// empty entry, resets the managers of an object until the next apply.
pub fn update(live: Option<&Value>, mut new: Value, who: &Manager, schema: &FieldSchema) -> Value {
    let mut managers = Managers::after(live, &new, who);
    if live.is_some() && managers.0.is_empty() {
        managers.write_to(&mut new);
        return new;
    }
    let changes = merge::compare(live.unwrap_or(&nothing()), &new, schema);
    managers.subtract(&changes.written);
    managers.subtract(&changes.removed);
    managers.add_updated(who, strip(changes.written));
    managers.cap();
    managers.write_to(&mut new);
    new
}

// === impl Conflict, Conflicts ===

impl Conflict {
    /// The cause in the apiserver's answer: `conflict with "kubectl-edit" using v1`.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner())
    }

    fn owner(&self) -> String {
        let mut owner = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            owner += &format!(" with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            owner += &format!(" using {}", self.api_version);
        }
        owner
    }
}

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: {}: {}", only.message(), only.field);
        }
        let mut by_owner = BTreeMap::<_, Vec<_>>::new();
        for conflict in &self.0 {
            by_owner.entry(conflict.owner()).or_default().push(format!("- {}", conflict.field));
        }
        let by_owner =
            by_owner.iter().map(|(owner, fields)| format!("conflicts with {owner}:\n{}", fields.join("\n")));
        let by_owner: Vec<_> = by_owner.collect();
        write!(f, "Apply failed with {} conflicts: {}", self.0.len(), by_owner.join("\n"))
    }
}

// === impl Manager, Managers ===

impl Manager {
    fn name(&self) -> &str {
        if self.name.is_empty() { "unknown" } else { &self.name }
    }
}

impl Managers {
    /// The managers to start from when an object becomes `new`.
    fn after(live: Option<&Value>, new: &Value, who: &Manager) -> Self {
        if who.subresource.is_empty() {
            if Self::are_reset_by(new) {
                return Self::default();
            }
            if let Some(sent) = Self::of(new).filter(|sent| !sent.0.is_empty()) {
                return sent;
            }
        }
        live.and_then(Self::of).unwrap_or_default()
    }

    /// Refuses fields that any of these managers owns.
    fn refuse(&self, written: &FieldSet) -> Result<(), Conflicts> {
        let mut conflicts: Vec<_> = self.0.iter().flat_map(|entry| entry.conflicts(written)).collect();
        conflicts.sort_by_key(Conflict::owner);
        if conflicts.is_empty() { Ok(()) } else { Err(Conflicts(conflicts)) }
    }
}

impl Entry {
    fn conflicts(&self, written: &FieldSet) -> Vec<Conflict> {
        let conflict = |field: String| Conflict {
            manager: self.manager.clone(),
            operation: self.operation,
            api_version: self.api_version.clone(),
            subresource: self.subresource.clone(),
            field,
        };
        self.fields.clone().intersection(written).paths().into_iter().map(conflict).collect()
    }
}

/// An empty object.
fn nothing() -> Value {
    Value::Object(Map::new())
}

/// A set without the fields that nobody owns: those that the apiserver sets, and those that identify the object.
fn strip(fields: FieldSet) -> FieldSet {
    const OF_METADATA: [&str; 8] = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let field = |name: &str| PathElement::Field(name.to_owned());
    let mut nobodys = FieldSet::default();
    for path in [[field("apiVersion")], [field("kind")], [field("metadata")]] {
        nobodys.insert(&path);
    }
    for name in OF_METADATA {
        nobodys.insert(&[field("metadata"), field(name)]);
    }
    fields.difference(&nobodys)
}
