//! Patches: JSON patch, merge patch and strategic merge patch.

use serde_json::{Map, Value};

use super::{
    decode::parse_json,
    status::{ApiError, Cause, Subject},
};

/// The real server's name for the type of a patch that is an object.
const OBJECT: &str = "map[string]interface {}";

/// A patch that is computed from the live object (unlike an apply).
pub(super) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

/// The merge key of a list in strategic merge patches.
const MERGE_KEYS: [(&str, &str); 5] = [
    ("ownerReferences", "uid"),
    ("secrets", "name"),
    ("imagePullSecrets", "name"),
    ("conditions", "type"),
    ("env", "name"),
];

// === impl Patch ===

impl Patch {
    /// Reads a patch of a media type.
    pub fn parse(media_type: &str, body: &[u8], is_custom: bool) -> Result<Self, ApiError> {
        match media_type {
            "application/json-patch+json" => {
                let operations = patch(body)?;
                if !operations.is_array() {
                    return Err(undecodable(&operations, "[]handlers.jsonPatchOp"));
                }
                Ok(Self::Json(serde_json::from_value(operations).map_err(|_| rejected())?))
            }
            "application/merge-patch+json" => match patch(body)? {
                patch @ Value::Object(_) => Ok(Self::Merge(patch)),
                other => Err(undecodable(&other, OBJECT)),
            },
            "application/strategic-merge-patch+json" if !is_custom => match patch(body)? {
                patch @ Value::Object(_) => Ok(Self::Strategic(patch)),
                other => Err(ApiError::bad_request(mismatch(&other, OBJECT))),
            },
            _ => {
                let mut offered =
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                        .to_owned();
                if !is_custom {
                    offered.push_str(", application/strategic-merge-patch+json");
                }
                Err(ApiError::unsupported_media_type(&offered))
            }
        }
    }

    /// Patches the live object.
    pub fn apply(&self, live: &Value) -> Result<Value, ApiError> {
        let mut object = live.clone();
        match self {
            Self::Json(patch) => json_patch::patch(&mut object, patch).map_err(|_| rejected())?,
            Self::Merge(patch) => json_patch::merge(&mut object, patch),
            Self::Strategic(patch) => merge_strategically(&mut object, patch),
        }
        Ok(object)
    }
}

/// The refusal of a patch that makes the object invalid. The real server quotes the whole object, which may be secret.
pub(super) fn unfit(error: ApiError) -> ApiError {
    let cause = Cause::new("FieldValueInvalid", format!("Invalid value: {}", error.message), "patch");
    ApiError::invalid(Subject { group: "", resource: "", name: "" }, vec![cause])
}

fn patch(body: &[u8]) -> Result<Value, ApiError> {
    parse_json(body)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {}", error.message)))
}

fn undecodable(patch: &Value, wanted: &str) -> ApiError {
    ApiError::bad_request(format!("error decoding patch: {}", mismatch(patch, wanted)))
}

fn mismatch(patch: &Value, wanted: &str) -> String {
    let found = match patch {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) | Value::Null => "bool",
    };
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

/// The refusal of a JSON patch that is malformed, or doesn't fit the object.
fn rejected() -> ApiError {
    ApiError::new(422, "Invalid", "the server rejected our request due to an error in our request")
}

fn merge_strategically(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if changes.get("$patch").is_some_and(|directive| directive == "replace") {
        let kept = changes.iter().filter(|(name, _)| !name.starts_with('$'));
        *target = Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect());
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in changes {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (fields.get_mut(list), value) {
                items.retain(|item| !gone.contains(item));
            }
        } else if let Some(list) = name.strip_prefix("$setElementOrder/") {
            order(fields.get_mut(list), list, value);
        } else if name.starts_with('$') || value.is_null() {
            fields.shift_remove(name);
        } else {
            let at = fields.entry(name.clone()).or_insert(Value::Null);
            match (value, MERGE_KEYS.iter().find(|(list, _)| list == name)) {
                (Value::Array(items), Some((_, key))) => merge_items(at, items, key),
                (Value::Array(items), None) if name == "finalizers" => merge_set(at, items),
                _ => merge_strategically(at, value),
            }
        }
    }
    // The directive for the order may come before the items.
    for (name, value) in changes {
        if let Some(list) = name.strip_prefix("$setElementOrder/") {
            order(fields.get_mut(list), list, value);
        }
    }
}

fn merge_items(target: &mut Value, changes: &[Value], key: &str) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(items) = target.as_array_mut() else { return };
    if changes.iter().any(|change| change.get("$patch").is_some_and(|directive| directive == "replace")) {
        items.clear();
    }
    for change in changes {
        let at = items.iter().position(|item| item.get(key).is_some() && item.get(key) == change.get(key));
        match (change.get("$patch").and_then(Value::as_str), at) {
            (Some("delete"), Some(at)) => drop(items.remove(at)),
            (Some(_), _) => {}
            (None, Some(at)) => merge_strategically(&mut items[at], change),
            (None, None) => items.push(change.clone()),
        }
    }
}

fn merge_set(target: &mut Value, additions: &[Value]) {
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Some(items) = target.as_array_mut() else { return };
    for addition in additions {
        if !items.contains(addition) {
            items.push(addition.clone());
        }
    }
}

fn order(target: Option<&mut Value>, list: &str, order: &Value) {
    let (Some(Value::Array(items)), Value::Array(order)) = (target, order) else { return };
    let key = MERGE_KEYS.iter().find(|(name, _)| *name == list).map(|(_, key)| *key);
    let rank = |item: &Value| {
        let same = |wanted: &Value| match key {
            Some(key) => wanted.get(key) == item.get(key),
            None => wanted == item,
        };
        order.iter().position(same).unwrap_or(usize::MAX)
    };
    items.sort_by_key(rank);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_strategic_merge_patch_merges_maps_and_keyed_lists() {
        let live = json!({
            "metadata": { "labels": { "a": "1", "b": "2" }, "finalizers": ["x/y"] },
            "secrets": [{ "name": "one" }, { "name": "two" }],
        });
        let patch = json!({
            "metadata": { "labels": { "b": null, "c": "3" }, "$deleteFromPrimitiveList/finalizers": ["x/y"] },
            "secrets": [{ "name": "one", "$patch": "delete" }, { "name": "three" }],
            "$setElementOrder/secrets": [{ "name": "three" }, { "name": "two" }],
        });
        assert_eq!(
            Patch::Strategic(patch).apply(&live).unwrap(),
            json!({
                "metadata": { "labels": { "a": "1", "c": "3" }, "finalizers": [] },
                "secrets": [{ "name": "three" }, { "name": "two" }],
            })
        );
    }
}
