//! The representations of objects in answers: whole, metadata only, or a table; in JSON or YAML.

use axum::{
    body::Body,
    http::{HeaderMap, header::ACCEPT},
    response::Response,
};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, json};

use super::{object::metadata_mut, resources::Served, status::ApiError, table};

/// The representation of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    shape: Shape,
    yaml: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Object,
    Metadata,
    Table(Include),
}

/// The `object` in the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    None,
    Metadata,
    Object,
}

/// The metadata of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    pub resource_version: String,
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<usize>,
}

const OFFERED: &str = "application/json, application/yaml";

// === impl View ===

impl View {
    /// The first supported representation that the client accepts. Protobuf isn't supported.
    pub fn negotiate(headers: &HeaderMap, include_object: &str) -> Result<Self, ApiError> {
        let accepted: Vec<_> =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
        let accepted = accepted.join(",");
        if accepted.trim().is_empty() {
            return Ok(Self { shape: Shape::Object, yaml: false });
        }
        accepted
            .split(',')
            .find_map(|range| Self::of_range(range, include_object))
            .ok_or_else(|| ApiError::not_acceptable(OFFERED))
    }

    fn of_range(range: &str, include_object: &str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let yaml = match parts.next()? {
            "application/json" | "*/*" | "application/*" => false,
            "application/yaml" => true,
            _ => return None,
        };
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let shape = match parameter("as") {
            None => Shape::Object,
            Some("Table") if matches!(parameter("v"), Some("v1")) => Shape::Table(match include_object {
                "None" => Include::None,
                "Object" => Include::Object,
                _ => Include::Metadata,
            }),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Shape::Metadata,
            Some(_) => return None,
        };
        Some(Self { shape, yaml })
    }

    /// An answer with one object.
    pub fn one(self, code: u16, served: &Served, object: &Value, warnings: &[String]) -> Response {
        let mut bytes = Vec::new();
        self.write(&mut bytes, served, object, true);
        self.response(code, bytes, warnings)
    }

    /// An answer with a list.
    pub fn list<'a>(
        self,
        served: &Served,
        meta: &ListMeta,
        objects: impl Iterator<Item = &'a Value>,
    ) -> Response {
        let mut bytes = Vec::new();
        let (kind, api_version) = match self.shape {
            Shape::Object => (served.resource.list_kind.clone(), served.api_version()),
            Shape::Metadata => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
            Shape::Table(include) => {
                let rows: Vec<_> = objects.map(|object| row(served, object, include)).collect();
                let table = json!({
                    "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
                    "columnDefinitions": table::columns(served), "rows": rows,
                });
                append(&mut bytes, &table);
                return self.response(200, bytes, &[]);
            }
        };
        bytes.extend_from_slice(b"{\"kind\":");
        append(&mut bytes, &kind);
        bytes.extend_from_slice(b",\"apiVersion\":");
        append(&mut bytes, &api_version);
        bytes.extend_from_slice(b",\"metadata\":");
        append(&mut bytes, meta);
        bytes.extend_from_slice(b",\"items\":[");
        for (index, object) in objects.enumerate() {
            if index > 0 {
                bytes.push(b',');
            }
            match self.shape {
                // Like the real server: items of built-in lists don't repeat their type.
                Shape::Object => append(&mut bytes, &Shown::new(served, object, served.is_custom())),
                _ => append(&mut bytes, &metadata_only(object)),
            }
        }
        bytes.extend_from_slice(b"]}");
        self.response(200, bytes, &[])
    }

    /// One line of a watch. The first line of a table has its columns.
    pub fn event(self, kind: &str, served: &Served, object: &Value, first: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(b"{\"type\":");
        append(&mut bytes, &kind);
        bytes.extend_from_slice(b",\"object\":");
        self.write(&mut bytes, served, object, first);
        bytes.extend_from_slice(b"}\n");
        bytes
    }

    /// A line with a bookmark.
    pub fn bookmark(self, served: &Served, revision: u64, initial_end: bool) -> Vec<u8> {
        let mut object = json!({ "metadata": { "resourceVersion": revision.to_string() } });
        if initial_end {
            metadata_mut(&mut object)
                .insert("annotations".to_owned(), json!({ "k8s.io/initial-events-end": "true" }));
        }
        if let Shape::Table(_) = self.shape {
            let table = json!({
                "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
                "columnDefinitions": [], "rows": [],
            });
            return line(&json!({ "type": "BOOKMARK", "object": table }));
        }
        self.event("BOOKMARK", served, &object, false)
    }

    fn write(self, bytes: &mut Vec<u8>, served: &Served, object: &Value, columns: bool) {
        match self.shape {
            Shape::Object => append(bytes, &Shown::new(served, object, true)),
            Shape::Metadata => append(bytes, &metadata_only(object)),
            Shape::Table(include) => {
                let columns = if columns { json!(table::columns(served)) } else { Value::Null };
                let version = super::object::meta(object, "resourceVersion");
                let table = json!({
                    "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": { "resourceVersion": version },
                    "columnDefinitions": columns, "rows": [row(served, object, include)],
                });
                append(bytes, &table);
            }
        }
    }

    fn response(self, code: u16, bytes: Vec<u8>, warnings: &[String]) -> Response {
        let (media_type, bytes) = match self.yaml {
            false => ("application/json", bytes),
            true => ("application/yaml", yaml(&bytes)),
        };
        let mut response = Response::builder().status(code).header("content-type", media_type);
        for warning in warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            response = response.header("warning", format!("299 - \"{quoted}\""));
        }
        response
            .body(Body::from(bytes))
            .unwrap_or_else(|_| ApiError::internal("a warning isn't printable").into_response())
    }
}

/// A line with an ERROR event.
pub(super) fn error_event(error: &ApiError) -> Vec<u8> {
    line(&json!({ "type": "ERROR", "object": error.status() }))
}

/// Any JSON as an answer.
pub(super) fn json_response(code: u16, value: &Value) -> Response {
    View { shape: Shape::Object, yaml: false }.response(code, value.to_string().into_bytes(), &[])
}

fn line(value: &Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

fn append(bytes: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(bytes, value).expect("JSON can always be written to memory");
}

fn yaml(bytes: &[u8]) -> Vec<u8> {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    serde_yaml_ng::to_string(&value).unwrap_or_default().into_bytes()
}

fn row(served: &Served, object: &Value, include: Include) -> Value {
    let mut row = Map::new();
    row.insert("cells".to_owned(), Value::Array(table::cells(served, object)));
    match include {
        Include::None => {}
        Include::Metadata => drop(row.insert("object".to_owned(), json!(metadata_only(object)))),
        Include::Object => drop(row.insert("object".to_owned(), json!(Shown::new(served, object, true)))),
    }
    Value::Object(row)
}

fn metadata_only(object: &Value) -> impl Serialize + '_ {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct PartialObjectMetadata<'a> {
        kind: &'static str,
        api_version: &'static str,
        metadata: &'a Value,
    }
    PartialObjectMetadata {
        kind: "PartialObjectMetadata",
        api_version: "meta.k8s.io/v1",
        metadata: &object["metadata"],
    }
}

/// An object at the requested version, serialized without a copy.
struct Shown<'a> {
    object: &'a Value,
    /// The kind and the apiVersion, if they are included.
    names: Option<(&'a str, String)>,
}

impl<'a> Shown<'a> {
    fn new(served: &'a Served, object: &'a Value, with_type: bool) -> Self {
        let names = with_type.then(|| (served.resource.kind.as_str(), served.api_version()));
        Self { object, names }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((kind, api_version)) = &self.names {
            map.serialize_entry("kind", kind)?;
            map.serialize_entry("apiVersion", api_version)?;
        }
        for (name, value) in self.object.as_object().into_iter().flatten() {
            if name != "kind" && name != "apiVersion" {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}
