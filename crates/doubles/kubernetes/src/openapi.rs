//! OpenAPI v3: an index, and for each group and version the paths and schemas that `kubectl apply` and `explain` read.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    sync::Arc,
};

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{
    Server, discovery,
    resources::{Class, ResourceType, Version},
    view::json_response,
};

/// Answers a path below `/openapi/v3`; none for other paths.
pub(super) fn answer(server: &Server, path: &str) -> Option<Response> {
    let all = server.registry.all();
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    let parts: Vec<&str> = rest.split('/').collect();
    let value = match parts.as_slice() {
        [""] => index(&all),
        ["api", version] => document(&all, "", version)?,
        ["apis", group, version] => document(&all, group, version)?,
        _ => return None,
    };
    Some(json_response(200, &value))
}

fn index(all: &[Arc<ResourceType>]) -> Value {
    let mut paths = Map::new();
    let mut groups: Vec<_> = all.iter().map(|resource| resource.group.as_str()).collect();
    groups.dedup();
    for group in groups {
        for version in discovery::versions(all, group) {
            let Some(document) = document(all, group, &version) else { continue };
            let path = root(group, &version);
            let mut hasher = DefaultHasher::new();
            document.to_string().hash(&mut hasher);
            let url = format!("/openapi/v3{path}?hash={:016X}", hasher.finish());
            paths.insert(path.trim_start_matches('/').to_owned(), json!({ "serverRelativeURL": url }));
        }
    }
    json!({ "paths": paths })
}

fn document(all: &[Arc<ResourceType>], group: &str, version: &str) -> Option<Value> {
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for (resource, version) in discovery::members(all, group, version) {
        let name = schema_name(resource, version);
        schemas.insert(name.clone(), schema(resource, version));
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let path = format!("{}{scope}/{}", root(group, &version.name), resource.plural);
        let kind = json!({ "group": group, "version": version.name, "kind": resource.kind });
        paths.insert(path.clone(), json!({ "post": operation("post", &kind, &name) }));
        if resource.class != Class::Review {
            let operations: Map<_, _> = ["get", "put", "patch", "delete"]
                .into_iter()
                .map(|action| (action.to_owned(), operation(action, &kind, &name)))
                .collect();
            paths.insert(format!("{path}/{{name}}"), Value::Object(operations));
        }
    }
    if schemas.is_empty() {
        return None;
    }
    schemas.insert(META.to_owned(), object_meta());
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "v1.33.0" },
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

fn root(group: &str, version: &str) -> String {
    match group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    }
}

fn operation(action: &str, kind: &Value, schema: &str) -> Value {
    let parameter = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "string", "uniqueItems": true } });
    let parameters: Vec<_> = match action {
        "get" => vec![parameter("pretty")],
        "delete" => ["dryRun", "propagationPolicy"].map(parameter).to_vec(),
        _ => ["dryRun", "fieldManager", "fieldValidation", "force"].map(parameter).to_vec(),
    };
    let content =
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } });
    json!({
        "parameters": parameters,
        "responses": { "200": { "description": "OK", "content": content } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind,
    })
}

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

fn schema_name(resource: &ResourceType, version: &Version) -> String {
    let (version, kind) = (&version.name, &resource.kind);
    match (resource.class, resource.group.as_str()) {
        (Class::Custom, group) => {
            let reversed: Vec<_> = group.split('.').rev().collect();
            format!("{}.{version}.{kind}", reversed.join("."))
        }
        (_, "apiextensions.k8s.io") => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}")
        }
        (_, group) => {
            let package = group.split('.').next().filter(|name| !name.is_empty()).unwrap_or("core");
            format!("io.k8s.api.{package}.{version}.{kind}")
        }
    }
}

fn schema(resource: &ResourceType, version: &Version) -> Value {
    let mut schema = match &version.schema {
        Some(custom) => custom.source.clone(),
        None => {
            json!({ "description": description(&resource.kind), "type": "object", "properties": fields(&resource.kind) })
        }
    };
    if !schema.is_object() {
        schema = json!({ "type": "object" });
    }
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] =
        described("string", "APIVersion defines the versioned schema of this representation of an object.");
    properties["kind"] =
        described("string", "Kind is a string value representing the REST resource this object represents.");
    properties["metadata"] = json!({
        "description": "Standard object's metadata.", "default": {},
        "allOf": [{ "$ref": format!("#/components/schemas/{META}") }],
    });
    schema["x-kubernetes-group-version-kind"] =
        json!([{ "group": resource.group, "version": version.name, "kind": resource.kind }]);
    schema
}

fn description(kind: &str) -> &'static str {
    match kind {
        "Secret" => "Secret holds secret data of a certain type.",
        "ConfigMap" => "ConfigMap holds configuration data for pods to consume.",
        "Namespace" => "Namespace provides a scope for Names.",
        "ServiceAccount" => "ServiceAccount binds together a name, a principal and a set of secrets.",
        "Lease" => "Lease defines a lease concept.",
        "Event" => "Event is a report of an event somewhere in the cluster.",
        _ => "",
    }
}

fn described(kind: &str, description: &str) -> Value {
    json!({ "type": kind, "description": description })
}

fn map_of(format: Option<&str>, description: &str) -> Value {
    let mut item = json!({ "type": "string", "default": "" });
    if let Some(format) = format {
        item["format"] = json!(format);
    }
    json!({ "type": "object", "description": description, "additionalProperties": item })
}

fn free(description: &str) -> Value {
    json!({ "type": "object", "description": description, "x-kubernetes-preserve-unknown-fields": true })
}

fn list_by(key: &str, description: &str) -> Value {
    json!({
        "type": "array", "description": description, "items": { "type": "object" },
        "x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge",
    })
}

fn fields(kind: &str) -> Value {
    match kind {
        "Secret" => json!({
            "data": map_of(Some("byte"), "Data contains the secret data, base64 encoded."),
            "stringData": map_of(None, "stringData allows specifying non-binary secret data in string form."),
            "type": described("string", "Used to facilitate programmatic handling of secret data."),
            "immutable": described("boolean", "If set to true, the data stored in the Secret cannot be updated."),
        }),
        "ConfigMap" => json!({
            "data": map_of(None, "Data contains the configuration data."),
            "binaryData": map_of(Some("byte"), "BinaryData contains the binary data."),
            "immutable": described("boolean", "If set to true, the data stored in the ConfigMap cannot be updated."),
        }),
        "ServiceAccount" => json!({
            "automountServiceAccountToken": described("boolean", "Whether pods get an API token mounted."),
            "secrets": list_by("name", "Secrets that pods running as this account may use."),
            "imagePullSecrets": list_by("name", "Secrets to pull images with."),
        }),
        "Event" => json!({
            "involvedObject": free("The object that this event is about."),
            "source": free("The component reporting this event."),
            "reason": described("string", "Why the transition into the object's current status happened."),
            "message": described("string", "A human-readable description of the status of this operation."),
            "type": described("string", "Type of this event (Normal, Warning)."),
            "count": described("integer", "The number of times this event has occurred."),
            "firstTimestamp": described("string", "When the event was first recorded."),
            "lastTimestamp": described("string", "When the most recent occurrence was recorded."),
            "eventTime": described("string", "When this event was first observed."),
            "action": described("string", "What action was taken or failed."),
            "reportingComponent": described("string", "The controller that emitted this event."),
            "reportingInstance": described("string", "The controller instance."),
            "series": free("Data about the series that this event represents."),
            "related": free("A secondary object."),
        }),
        _ => json!({
            "spec": free("The desired state."),
            "status": free("The observed state."),
        }),
    }
}

fn object_meta() -> Value {
    let text = |description| described("string", description);
    json!({
        "description": "ObjectMeta is metadata that all persisted resources must have.",
        "type": "object",
        "properties": {
            "name": text("Name must be unique within a namespace."),
            "generateName": text("A prefix from which the server generates a unique name."),
            "namespace": text("Namespace defines the space within which each name must be unique."),
            "selfLink": text("Deprecated."),
            "uid": text("UID is the unique in time and space value for this object."),
            "resourceVersion": text("An opaque value that represents the internal version of this object."),
            "generation": described("integer", "A sequence number of a specific generation of the desired state."),
            "creationTimestamp": text("When this object was created."),
            "deletionTimestamp": text("When this object will be deleted."),
            "deletionGracePeriodSeconds": described("integer", "Seconds until the object is removed."),
            "labels": map_of(None, "Map of string keys and values to organize and select objects."),
            "annotations": map_of(None, "Unstructured key value map."),
            "finalizers": {
                "type": "array", "description": "Must be empty before the object is deleted.",
                "items": { "type": "string", "default": "" }, "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
            },
            "ownerReferences": list_by("uid", "Objects that this object depends on."),
            "managedFields": {
                "type": "array", "description": "Which manager owns which fields.", "items": { "type": "object" },
            },
        },
    })
}
