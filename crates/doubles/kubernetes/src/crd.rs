//! CustomResourceDefinitions: defaults, validation and establishment.

use std::cmp::Reverse;

use serde_json::{Value, json};

use super::{
    object::{meta, now, text},
    status::Cause,
};

/// Sets the defaults of the real server.
pub(super) fn default(definition: &mut Value) {
    let spec = &mut definition["spec"];
    let kind = text(spec, "/names/kind").to_owned();
    if text(spec, "/names/singular").is_empty() {
        spec["names"]["singular"] = json!(kind.to_lowercase());
    }
    if text(spec, "/names/listKind").is_empty() {
        spec["names"]["listKind"] = json!(format!("{kind}List"));
    }
    if spec.get("conversion").is_none() {
        spec["conversion"] = json!({ "strategy": "None" });
    }
}

/// Accepts the names of a definition and establishes it immediately.
pub(super) fn establish(definition: &mut Value) {
    let spec = &definition["spec"];
    let (names, versions) = (spec["names"].clone(), spec["versions"].clone());
    let storage = versions.as_array().into_iter().flatten().find(|version| version["storage"] == true);
    let storage = storage.map(|version| text(version, "/name").to_owned()).unwrap_or_default();
    let mut stored = definition.pointer("/status/storedVersions").and_then(Value::as_array).cloned();
    let stored = stored.get_or_insert_default();
    if !stored.contains(&json!(storage)) {
        stored.push(json!(storage));
    }
    let conditions = definition.pointer("/status/conditions").and_then(Value::as_array);
    let conditions = match conditions {
        Some(conditions) if !conditions.is_empty() => json!(conditions),
        _ => json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
    };
    definition["status"] =
        json!({ "conditions": conditions, "acceptedNames": names, "storedVersions": stored });
}

/// The validation errors of a definition.
pub(super) fn validate(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &definition["spec"];
    let expected = format!("{}.{}", text(spec, "/names/plural"), text(spec, "/group"));
    if meta(definition, "name") != expected {
        let rule = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", meta(definition, "name"), rule));
    }
    if !matches!(text(spec, "/scope"), "Namespaced" | "Cluster") {
        causes.push(Cause::required("spec.scope", ""));
    }
    for field in ["plural", "kind"] {
        if text(spec, &format!("/names/{field}")).is_empty() {
            causes.push(Cause::required(format!("spec.names.{field}"), ""));
        }
    }
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let rule = "must have exactly one version marked as storage version";
        causes.push(Cause::new("FieldValueInvalid", format!("Invalid value: {rule}"), "spec.versions"));
    }
    for (index, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(Cause::required(field, "schemas are required"));
        }
    }
    causes
}

/// The order of versions in discovery: GA before beta before alpha, then the higher number, then all others by name.
pub(super) fn priority(version: &str) -> (u8, Reverse<u32>, Reverse<u32>, String) {
    parse_version(version).unwrap_or((3, Reverse(0), Reverse(0), version.to_owned()))
}

fn parse_version(version: &str) -> Option<(u8, Reverse<u32>, Reverse<u32>, String)> {
    let rest = version.strip_prefix('v')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let major = rest[..end].parse().ok()?;
    let (stage, minor) = match &rest[end..] {
        "" => (0, 0),
        rest => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
            (Some(minor), _) => (1, minor.parse().ok()?),
            (_, Some(minor)) => (2, minor.parse().ok()?),
            _ => return None,
        },
    };
    Some((stage, Reverse(major), Reverse(minor), String::new()))
}

fn condition(kind: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_discovery_orders_them() {
        let mut versions = ["foo", "v1alpha1", "v1", "v2beta1", "v10", "v1beta2", "v2"];
        versions.sort_by_cached_key(|version| priority(version));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta1", "v1beta2", "v1alpha1", "foo"]);
    }
}
