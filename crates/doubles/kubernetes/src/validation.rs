//! Validation of objects before they are stored, with the real server's messages.

use serde_json::Value;

use super::{
    crd,
    delete::{FOREGROUND, ORPHAN},
    names::{config_key_problem, label_key_problem, label_problem, label_value_problem, subdomain_problem},
    object::{self, is_deleting, meta, text},
    resources::{Builtin, Served},
    secret_content,
    status::{ApiError, Cause},
};

const MAX_SECRET: usize = 1_048_576;
const MAX_ANNOTATIONS: usize = 262_144;

/// Validates an object, and its change from the live state if there is one.
pub(super) fn validate(served: &Served, live: Option<&Value>, object: &Value) -> Result<(), ApiError> {
    let mut causes = metadata(served, object);
    causes.extend(owner_references(object));
    causes.extend(finalizers(live, object));
    match served.builtin() {
        Some(Builtin::Secret) => causes.extend(secret(live, object)),
        Some(Builtin::ConfigMap) => causes.extend(config_map(live, object)),
        Some(Builtin::Crd) => causes.extend(crd::validate(object)),
        Some(Builtin::Lease) => causes.extend(lease(object)),
        _ => {}
    }
    if let Some(schema) = &served.version().schema {
        causes.extend(schema.validate(object));
    }
    match causes.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid(served.kind_subject(meta(object, "name")), causes)),
    }
}

fn metadata(served: &Served, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta(object, "name");
    let problem = match served.builtin() {
        _ if name.is_empty() => {
            causes.push(Cause::required("metadata.name", "name or generateName is required"));
            None
        }
        Some(Builtin::Namespace) => label_problem(name),
        _ => subdomain_problem(name),
    };
    causes.extend(problem.map(|problem| Cause::invalid("metadata.name", name, &problem)));
    let entries = |field: &str| {
        let map = object.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_object);
        map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    };
    for (key, value) in entries("labels") {
        let problem = label_key_problem(key).map(|problem| Cause::invalid("metadata.labels", key, &problem));
        causes.extend(problem);
        let problem =
            label_value_problem(value).map(|problem| Cause::invalid("metadata.labels", value, &problem));
        causes.extend(problem);
    }
    for (key, _) in entries("annotations") {
        let problem = label_key_problem(&key.to_lowercase());
        causes.extend(problem.map(|problem| Cause::invalid("metadata.annotations", key, &problem)));
    }
    if entries("annotations").map(|(key, value)| key.len() + value.len()).sum::<usize>() > MAX_ANNOTATIONS {
        causes.push(Cause::too_long("metadata.annotations", MAX_ANNOTATIONS));
    }
    causes
}

fn owner_references(object: &Value) -> Vec<Cause> {
    const PATH: &str = "metadata.ownerReferences";
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let references = references.map(Vec::as_slice).unwrap_or_default();
    let mut causes = Vec::new();
    for reference in references {
        for (field, rule) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if text(reference, &format!("/{field}")).is_empty() {
                causes.push(Cause::invalid(format!("{PATH}.{field}"), "", rule));
            }
        }
        if text(reference, "/kind") == "Event" && text(reference, "/apiVersion") == "v1" {
            let rule = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(Cause::invalid_json(PATH, &shown(reference), rule));
        }
    }
    let controllers = references.iter().filter(|reference| reference["controller"] == true);
    let controllers: Vec<_> = controllers
        .map(|reference| format!("{}/{}", text(reference, "/kind"), text(reference, "/name")))
        .collect();
    if let [first, second, ..] = controllers.as_slice() {
        let rule = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        causes.push(Cause::invalid_json(PATH, &references.iter().map(shown).collect(), &rule));
    }
    causes
}

/// An owner reference, with fields in the real server's order.
fn shown(reference: &Value) -> Value {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let there = fields.iter().filter_map(|field| Some(((*field).to_owned(), reference.get(field)?.clone())));
    Value::Object(there.collect())
}

fn finalizers(live: Option<&Value>, object: &Value) -> Vec<Cause> {
    const PATH: &str = "metadata.finalizers";
    let found: Vec<_> = object::finalizers(object).collect();
    let mut causes = Vec::new();
    if let Some(live) = live.filter(|live| is_deleting(live)) {
        let known: Vec<_> = object::finalizers(live).collect();
        let mut new: Vec<_> = found.iter().filter(|name| !known.contains(name)).collect();
        new.sort_unstable();
        if !new.is_empty() {
            let new = new.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            let rule = "no new finalizers can be added if the object is being deleted, found new finalizers";
            causes.push(Cause::forbidden(PATH, &format!("{rule} []string{{{new}}}")));
        }
    }
    for finalizer in &found {
        let problem = label_key_problem(finalizer);
        causes.extend(problem.map(|problem| Cause::invalid(PATH, finalizer, &problem)));
    }
    if found.contains(&ORPHAN) && found.contains(&FOREGROUND) {
        let rule = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        causes.push(Cause::invalid_json(PATH, &object["metadata"]["finalizers"], &rule));
    }
    causes
}

fn secret(live: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = keys("data", object);
    if decoded_size(object, "data") > MAX_SECRET {
        causes.push(Cause::too_long("data", MAX_SECRET));
    }
    causes.extend(secret_content::validate(object));
    if let Some(live) = live {
        let kind = text(object, "/type");
        if text(live, "/type") != kind {
            causes.push(Cause::invalid("type", kind, "field is immutable"));
        }
        causes.extend(frozen(live, object, &["data"]));
    }
    causes
}

fn config_map(live: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = [keys("data", object), keys("binaryData", object)].concat();
    let texts = object.get("data").and_then(Value::as_object).into_iter().flat_map(|data| data.values());
    let size: usize = texts.filter_map(Value::as_str).map(str::len).sum();
    if size + decoded_size(object, "binaryData") > MAX_SECRET {
        causes.push(Cause::too_long("[]", MAX_SECRET));
    }
    causes.extend(live.into_iter().flat_map(|live| frozen(live, object, &["data", "binaryData"])));
    causes
}

fn lease(object: &Value) -> Vec<Cause> {
    let seconds = object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64);
    let problem = seconds.filter(|seconds| *seconds <= 0).map(|seconds| {
        Cause::invalid("spec.leaseDurationSeconds", &seconds.to_string(), "must be greater than 0")
    });
    problem.into_iter().collect()
}

/// The fields that an immutable object must not change.
fn frozen(live: &Value, object: &Value, fields: &[&str]) -> Vec<Cause> {
    if live.get("immutable") != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    const RULE: &str = "field is immutable when `immutable` is set";
    let thawed = object.get("immutable") != Some(&Value::Bool(true));
    let changed = fields.iter().filter(|field| live.get(**field) != object.get(**field));
    let thawed = thawed.then(|| Cause::forbidden("immutable", RULE));
    thawed.into_iter().chain(changed.map(|field| Cause::forbidden(*field, RULE))).collect()
}

fn keys(field: &str, object: &Value) -> Vec<Cause> {
    let keys = object.get(field).and_then(Value::as_object).into_iter().flat_map(|data| data.keys());
    let problem = |key: &String| {
        config_key_problem(key).map(|problem| Cause::invalid(format!("{field}[{key}]"), key, &problem))
    };
    keys.filter_map(problem).collect()
}

/// The decoded length of base64 text, without decoding it.
fn decoded_size(object: &Value, field: &str) -> usize {
    let values = object.get(field).and_then(Value::as_object).into_iter().flat_map(|data| data.values());
    let texts = values.filter_map(Value::as_str);
    texts.map(|text| text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count()).sum()
}
