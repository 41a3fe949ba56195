//! The schemas of custom resources: defaults, pruning and validation by structural OpenAPI schemas.

mod causes;
mod lists;
mod rules;

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use self::rules::Rules;
use super::status::Cause;

/// The schema of one version of a custom resource.
pub(super) struct CustomSchema {
    pub source: Value,
    /// Absent if the schema can't be compiled; then everything is valid.
    validator: Option<Validator>,
    rules: Rules,
    /// Whether the status is written, and so validated, separately.
    status_apart: bool,
}

const UNKNOWN_ALLOWED: &str = "x-kubernetes-preserve-unknown-fields";
/// After one of these errors, CEL rules aren't evaluated.
const BLOCKING: [&str; 5] = [
    "FieldValueNotSupported",
    "FieldValueRequired",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
];
const UNCHECKED: &str = "Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
const EMBEDDED: &str = "x-kubernetes-embedded-resource";

// === impl CustomSchema ===

impl CustomSchema {
    pub fn new(source: Value, status_apart: bool) -> Self {
        let validator = jsonschema::options().should_validate_formats(true).build(&translate(&source));
        if let Err(error) = &validator {
            tracing::warn!(error = %error.masked(), "a custom resource's schema can't be used for validation");
        }
        Self { rules: Rules::of(&source), validator: validator.ok(), source, status_apart }
    }

    /// Removes fields that the schema doesn't know; returns their paths.
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        let mut removed = Vec::new();
        prune(object, &self.source, true, "", &mut removed);
        removed
    }

    /// Fills in defaults.
    pub fn default(&self, object: &mut Value) {
        default(object, &self.source);
    }

    /// The validation errors of an object.
    pub fn validate(&self, object: &Value) -> Vec<Cause> {
        let errors = self.validator.iter().flat_map(|validator| validator.iter_errors(object));
        let mut causes: Vec<Cause> = Vec::new();
        for error in errors {
            let cause = self.cause(&error);
            // The length of a text is the only error reported for it.
            let is_text = matches!(error.kind(), ValidationErrorKind::Pattern { .. });
            if !is_text || !causes.iter().any(|known| known.field == cause.field) {
                causes.push(cause);
            }
        }
        lists::check(object, &self.source, "", &mut causes);
        if self.rules.is_empty() {
            return causes;
        }
        if causes.iter().any(|cause| BLOCKING.contains(&cause.reason.as_str())) {
            causes.push(Cause::new("FieldValueInvalid", UNCHECKED, "<nil>"));
        } else {
            self.rules.check(object, "", &mut causes);
        }
        causes
    }
}

fn prune(value: &mut Value, schema: &Value, is_object: bool, path: &str, removed: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let properties = schema["properties"].as_object();
            let additional = schema.get("additionalProperties").filter(|schema| **schema != json!(false));
            let keep_unknown = schema[UNKNOWN_ALLOWED] == true;
            let envelope = is_object || schema[EMBEDDED] == true;
            fields.retain(|name, field| {
                let at = join(path, name);
                if envelope && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return true;
                }
                match (properties.and_then(|properties| properties.get(name)), additional) {
                    (Some(schema), _) => prune(field, schema, false, &at, removed),
                    (None, Some(schema)) if schema.is_object() => prune(field, schema, false, &at, removed),
                    (None, Some(_)) => {}
                    (None, None) if keep_unknown => {}
                    (None, None) => {
                        removed.push(at);
                        return false;
                    }
                }
                true
            });
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                prune(item, &schema["items"], false, &format!("{path}[{index}]"), removed);
            }
        }
        _ => {}
    }
}

fn default(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                let missing = match fields.get(name) {
                    None => true,
                    Some(Value::Null) => schema["nullable"] != true,
                    Some(_) => false,
                };
                if let Some(preset) = schema.get("default").filter(|_| missing) {
                    fields.insert(name.clone(), preset.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    default(field, schema);
                }
            }
            if let Some(schema) = schema.get("additionalProperties").filter(|schema| schema.is_object()) {
                fields.values_mut().for_each(|field| default(field, schema));
            }
            // A null that isn't allowed counts as absent.
            fields.retain(|name, field| {
                let schema = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                !field.is_null() || !schema.is_object() || schema["nullable"] == true
            });
        }
        Value::Array(items) => items.iter_mut().for_each(|item| default(item, &schema["items"])),
        _ => {}
    }
}

/// From a structural OpenAPI schema to JSON Schema.
fn translate(schema: &Value) -> Value {
    let Some(source) = schema.as_object() else { return schema.clone() };
    let mut target = Map::new();
    for (keyword, value) in source {
        let translated = match keyword.as_str() {
            "properties" => value.as_object().map_or(Value::Null, |properties| {
                Value::Object(
                    properties.iter().map(|(name, schema)| (name.clone(), translate(schema))).collect(),
                )
            }),
            "items" | "additionalProperties" | "not" => translate(value),
            "allOf" | "anyOf" | "oneOf" => value.as_array().into_iter().flatten().map(translate).collect(),
            "description" | "default" | "example" | "nullable" | "title" | "externalDocs" => continue,
            "exclusiveMinimum" | "exclusiveMaximum" => continue,
            extension if extension.starts_with("x-") => continue,
            _ => value.clone(),
        };
        target.insert(keyword.clone(), translated);
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if source.get(exclusive) == Some(&json!(true))
            && let Some(limit) = target.shift_remove(bound)
        {
            target.insert(exclusive.to_owned(), limit);
        }
    }
    if source.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        target.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if source.get("nullable") == Some(&json!(true)) {
        allow_null(&mut target);
    }
    Value::Object(target)
}

fn allow_null(target: &mut Map<String, Value>) {
    match target.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.clone(), "null"]),
        None => {}
    }
    if let Some(Value::Array(options)) = target.get_mut("enum") {
        options.push(Value::Null);
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> CustomSchema {
        let source = json!({
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": { "type": "string", "minLength": 1, "pattern": "^[a-z]*$" },
                        "mode": { "type": "string", "default": "Auto", "enum": ["Auto", "Off"] },
                        "port": { "x-kubernetes-int-or-string": true },
                        "free": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                        "note": { "type": "string", "nullable": true },
                        "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                    },
                },
            },
        });
        CustomSchema::new(source, true)
    }

    #[test]
    fn defaults_are_filled_in_and_unknown_fields_pruned() {
        let mut object = json!({
            "kind": "X", "metadata": { "name": "a" }, "other": 1,
            "spec": { "name": "a", "nmae": "b", "free": { "any": [1] }, "tags": { "t": "v" } },
        });
        assert_eq!(schema().prune(&mut object), ["other", "spec.nmae"]);
        schema().default(&mut object);
        assert_eq!(
            object,
            json!({
                "kind": "X", "metadata": { "name": "a" },
                "spec": { "name": "a", "free": { "any": [1] }, "tags": { "t": "v" }, "mode": "Auto" },
            })
        );
        assert!(schema().validate(&object).is_empty());
    }

    #[test]
    fn errors_have_the_path_of_the_field() {
        let object = json!({ "spec": { "mode": "On", "port": "http", "note": null, "tags": { "t": 1 } } });
        let mut found: Vec<_> =
            schema().validate(&object).into_iter().map(|cause| (cause.field, cause.message)).collect();
        found.sort();
        assert_eq!(found[0].1, r#"Unsupported value: "On": supported values: "Auto", "Off""#);
        assert_eq!(found[1], ("spec.name".to_owned(), "Required value".to_owned()));
        assert_eq!(
            found[2].1,
            r#"Invalid value: "integer": spec.tags.t in body must be of type string: "integer""#
        );
    }
}
