//! Lists of type `set` and `map`, whose items or keys must be unique.

use serde_json::{Map, Value};

use super::{Cause, join};

/// The duplicate items of the lists in a value.
pub(super) fn check(value: &Value, schema: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let known = schema["properties"].get(name);
                if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
                    check(field, schema, &join(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            let keys: Vec<_> = items.iter().filter_map(|item| key(item, schema)).collect();
            for (index, key) in keys.iter().enumerate().filter(|(index, key)| keys[..*index].contains(key)) {
                let message = format!("Duplicate value: {key}");
                causes.push(Cause::new("FieldValueDuplicate", message, format!("{path}[{index}]")));
            }
            for (index, item) in items.iter().enumerate() {
                check(item, &schema["items"], &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

/// The identity of an item; none in lists that allow duplicates.
fn key(item: &Value, schema: &Value) -> Option<Value> {
    match schema["x-kubernetes-list-type"].as_str()? {
        "set" => Some(item.clone()),
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array()?.iter().filter_map(Value::as_str);
            let there = keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
            Some(Value::Object(there.collect::<Map<_, _>>()))
        }
        _ => None,
    }
}
