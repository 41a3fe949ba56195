//! Reading and changing objects as JSON.

use std::iter;

use serde_json::{Map, Value, json};

/// An object as it is stored, its `metadata.resourceVersion` included.
pub(super) struct Stored {
    pub value: Value,
    pub revision: u64,
}

/// The text at a JSON pointer; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A field of the metadata as text; empty if there is none.
pub(super) fn meta<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// The metadata, created if there is none.
pub(super) fn metadata_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    value["metadata"].as_object_mut().expect("it was just made an object")
}

/// Copies a field of the metadata from another object.
pub(super) fn keep_meta(value: &mut Value, from: &Value, field: &str) {
    let kept = from.get("metadata").and_then(|metadata| metadata.get(field)).cloned();
    set_or_remove(metadata_mut(value), field, kept);
}

/// Restores what a change by the server itself must not lose.
pub(super) fn keep_identity(object: &mut Value, live: &Value) {
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "resourceVersion",
    ] {
        keep_meta(object, live, field);
    }
}

/// Sets a list in the metadata; removes an empty one.
pub(super) fn set_meta_list(value: &mut Value, field: &str, list: Vec<Value>) {
    set_or_remove(metadata_mut(value), field, (!list.is_empty()).then(|| Value::Array(list)));
}

/// Copies a top-level field from another object.
pub(super) fn keep(value: &mut Value, from: &Value, field: &str) {
    if let Some(object) = value.as_object_mut() {
        set_or_remove(object, field, from.get(field).cloned());
    }
}

fn set_or_remove(object: &mut Map<String, Value>, field: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(object.insert(field.to_owned(), value)),
        None => drop(object.shift_remove(field)),
    }
}

/// The finalizers, which delay the removal of a deleted object.
pub(super) fn finalizers(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// Whether there are finalizers.
pub(super) fn has_finalizers(value: &Value) -> bool {
    finalizers(value).next().is_some()
}

/// Whether the object is deleted and waits for its finalizers.
pub(super) fn is_deleting(value: &Value) -> bool {
    !meta(value, "deletionTimestamp").is_empty()
}

/// The time as the API writes it: whole seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether two states are equal, except for resourceVersion and the times in managedFields.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    let (one_meta, other_meta) = (&one["metadata"], &other["metadata"]);
    let (one_managers, other_managers) = (managers(one_meta), managers(other_meta));
    same_but(one, other, &["metadata"])
        && same_but(one_meta, other_meta, &["resourceVersion", "managedFields"])
        && one_managers.len() == other_managers.len()
        && iter::zip(one_managers, other_managers).all(|(one, other)| same_but(one, other, &["time"]))
}

fn managers(metadata: &Value) -> &[Value] {
    metadata["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whether two objects are equal, except for some fields.
fn same_but(one: &Value, other: &Value, without: &[&str]) -> bool {
    let counted = |(name, _): &(&String, &Value)| !without.contains(&name.as_str());
    let fields = |value| Value::as_object(value).into_iter().flatten().filter(counted);
    fields(one).count() == fields(other).count()
        && fields(one).all(|(name, value)| other.get(name) == Some(value))
}
