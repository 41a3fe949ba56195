//! Decodes the body of a request into an object of the resource in the path.

use std::{collections::BTreeMap, iter};

use axum::http::{HeaderMap, header::CONTENT_TYPE};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{ConfigMap, Event, Namespace, Secret, ServiceAccount},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    object::{metadata_mut, text},
    protobuf,
    request::FieldValidation,
    resources::{Builtin, Served},
    status::ApiError,
};

const OFFERED: &str = "application/json, application/yaml";

/// The media type of a body, without parameters; JSON by default.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/json");
    value.split(';').next().unwrap_or_default().trim()
}

/// Reads a body of JSON or YAML.
pub(super) fn parse(media_type: &str, body: &[u8]) -> Result<Value, ApiError> {
    match media_type {
        "application/json" => parse_json(body),
        "application/yaml" => parse_yaml(body),
        "application/vnd.kubernetes.protobuf" => protobuf::parse(body),
        _ => Err(ApiError::unsupported_media_type(OFFERED)),
    }
}

pub(super) fn parse_json(body: &[u8]) -> Result<Value, ApiError> {
    // Only the position: the text there may be secret.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("the body is not valid JSON at line {line} column {column}"))
    })
}

/// Reads YAML. JSON is YAML, too, but faster to read as JSON.
pub(super) fn parse_yaml(body: &[u8]) -> Result<Value, ApiError> {
    if let Some(Ok(value)) = body.starts_with(b"{").then(|| serde_json::from_slice(body)) {
        return Ok(value);
    }
    serde_yaml_ng::from_slice(body).map_err(|error| {
        let at = error.location().map(|at| format!(" at line {} column {}", at.line(), at.column()));
        ApiError::bad_request(format!("the body is not valid YAML{}", at.unwrap_or_default()))
    })
}

/// Checks that an object has the kind and version of the path; sets them in a built-in object that has none.
pub(super) fn check_type(object: &mut Value, served: &Served) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the body is not an object"));
    }
    let (expected, kind) = (served.api_version(), &served.resource.kind);
    if served.is_custom() && text(object, "/kind").is_empty() {
        return Err(ApiError::bad_request("Object 'Kind' is missing in the body"));
    }
    let found = text(object, "/apiVersion");
    if !found.is_empty() && found != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({expected})"
        )));
    }
    let found = text(object, "/kind");
    if !found.is_empty() && found != kind {
        return Err(ApiError::bad_request(format!(
            "{found} in version {:?} cannot be handled as a {kind}: converting ({found}) to ({kind}): unknown conversion",
            served.version().name
        )));
    }
    object["apiVersion"] = json!(expected);
    object["kind"] = json!(kind);
    Ok(())
}

/// Normalizes an object by its type: removes unknown fields and empty lists in the metadata. Returns warnings.
pub(super) fn normalize(
    object: &mut Value,
    served: &Served,
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let unknown = drop_unknown(object, served)?;
    if unknown.is_empty() || validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let unknown: Vec<_> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
    match validation {
        FieldValidation::Strict => {
            let list = unknown.join(", ");
            let kind = &served.resource.kind;
            let version = &served.version().name;
            Err(ApiError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {list}"
            )))
        }
        _ => Ok(unknown),
    }
}

/// The same; returns the paths of dropped fields.
pub(super) fn drop_unknown(object: &mut Value, served: &Served) -> Result<Vec<String>, ApiError> {
    let unknown = match (served.builtin(), &served.version().schema) {
        (Some(builtin), _) => normalize_builtin(object, builtin)?,
        (None, Some(schema)) => schema.prune(object),
        (None, None) => Vec::new(),
    };
    drop_empty(object, served.builtin());
    Ok(unknown)
}

fn normalize_builtin(object: &mut Value, builtin: Builtin) -> Result<Vec<String>, ApiError> {
    match builtin {
        Builtin::Secret => {
            check_base64(object, "Secret", "data")?;
            let unknown = retype::<Secret>(object, "Secret")?;
            fold_string_data(object);
            Ok(unknown)
        }
        Builtin::ConfigMap => {
            check_base64(object, "ConfigMap", "binaryData")?;
            retype::<ConfigMap>(object, "ConfigMap")
        }
        Builtin::Namespace => retype::<Namespace>(object, "Namespace"),
        Builtin::ServiceAccount => retype::<ServiceAccount>(object, "ServiceAccount"),
        Builtin::Event => retype::<Event>(object, "Event"),
        Builtin::Lease => retype::<Lease>(object, "Lease"),
        Builtin::Crd => retype::<CustomResourceDefinition>(object, "CustomResourceDefinition"),
    }
}

/// Converts to the type and back; returns the paths of unknown fields, which are dropped.
fn retype<T: DeserializeOwned + Serialize>(object: &mut Value, kind: &str) -> Result<Vec<String>, ApiError> {
    let mut unknown = Vec::new();
    let typed: Result<T, _> = serde_ignored::deserialize(&*object, |path| {
        // serde_ignored marks optional fields in its paths with a question mark.
        unknown.push(path.to_string().replace(".?", "").replace('?', ""));
    });
    // serde's message may quote a value.
    let refuse = || {
        let reason = "json: cannot unmarshal a value into the type of its field";
        ApiError::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {reason}"))
    };
    *object = typed.ok().and_then(|typed| serde_json::to_value(typed).ok()).ok_or_else(refuse)?;
    Ok(unknown)
}

fn check_base64(object: &Value, kind: &str, field: &str) -> Result<(), ApiError> {
    let refuse = |problem: String| {
        ApiError::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {problem}"))
    };
    for value in object.get(field).and_then(Value::as_object).into_iter().flat_map(|data| data.values()) {
        match value {
            Value::String(text) => {
                if let Err(error) = STANDARD.decode(text) {
                    return Err(refuse(format!(
                        "illegal base64 data at input byte {}",
                        position(&error, text)
                    )));
                }
            }
            Value::Null => {}
            _ => {
                return Err(refuse(format!(
                    "json: cannot unmarshal into Go struct field {kind}.{field} of type []uint8"
                )));
            }
        }
    }
    Ok(())
}

fn position(error: &base64::DecodeError, text: &str) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        _ => text.len(),
    }
}

fn fold_string_data(object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    let Some(Value::Object(clear)) = fields.shift_remove("stringData") else { return };
    let encoded = clear.iter().filter_map(|(key, value)| Some((key, STANDARD.encode(value.as_str()?))));
    let encoded: BTreeMap<_, _> = encoded.collect();
    let data = fields.entry("data").or_insert_with(|| json!({}));
    for (key, value) in encoded {
        data[key] = json!(value);
    }
}

/// The real server omits empty maps and lists of its types.
fn drop_empty(object: &mut Value, builtin: Option<Builtin>) {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    let metadata = metadata_mut(object);
    // An empty list of managed fields has a meaning: to reset them.
    metadata.retain(|name, value| name == "managedFields" || !is_empty(value));
    if builtin.is_some()
        && let Some(fields) = object.as_object_mut()
    {
        let optional = ["data", "binaryData", "stringData", "secrets", "imagePullSecrets"];
        let empty: Vec<_> = iter::zip(optional, optional.map(|name| fields.get(name).is_some_and(is_empty)))
            .filter_map(|(name, empty)| empty.then_some(name))
            .collect();
        empty.into_iter().for_each(|name| drop(fields.shift_remove(name)));
    }
}
