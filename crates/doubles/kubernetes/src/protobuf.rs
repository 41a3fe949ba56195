//! Decodes bodies in Kubernetes' protobuf, which `kubectl create` and client-go send for built-in kinds.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message;
use serde_json::{Map, Value, json};

use super::status::ApiError;

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(message, optional, tag = "8")]
    creation_timestamp: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<OwnerReference>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
    #[prost(message, repeated, tag = "17")]
    managed_fields: Vec<ManagedFields>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ManagedFields {
    #[prost(string, tag = "1")]
    manager: String,
    #[prost(string, tag = "2")]
    operation: String,
    #[prost(string, tag = "3")]
    api_version: String,
    #[prost(message, optional, tag = "4")]
    time: Option<Time>,
    #[prost(string, tag = "6")]
    fields_type: String,
    #[prost(message, optional, tag = "7")]
    fields: Option<Fields>,
    #[prost(string, tag = "8")]
    subresource: String,
}

#[derive(Clone, PartialEq, Message)]
struct Fields {
    /// JSON.
    #[prost(bytes = "vec", tag = "1")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct OwnerReference {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
    #[prost(string, tag = "5")]
    api_version: String,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    block_owner_deletion: Option<bool>,
}

/// Namespaces and service accounts: only their metadata is needed.
#[derive(Clone, PartialEq, Message)]
struct MetadataOnly {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

// These two have no derived Debug, which would print values.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Secret {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    data: BTreeMap<String, Vec<u8>>,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(btree_map = "string, string", tag = "4")]
    string_data: BTreeMap<String, String>,
    #[prost(bool, optional, tag = "5")]
    immutable: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct ConfigMap {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, string", tag = "2")]
    data: BTreeMap<String, String>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    binary_data: BTreeMap<String, Vec<u8>>,
    #[prost(bool, optional, tag = "4")]
    immutable: Option<bool>,
}

/// All access reviews; self reviews have no subject.
#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    path: Option<PathAttributes>,
    #[prost(string, tag = "3")]
    user: String,
    #[prost(string, repeated, tag = "4")]
    groups: Vec<String>,
    #[prost(string, tag = "6")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "4")]
    version: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct PathAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<RulesReviewSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct RulesReviewSpec {
    #[prost(string, tag = "1")]
    namespace: String,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(bool, optional, tag = "3")]
    orphan_dependents: Option<bool>,
    #[prost(string, optional, tag = "4")]
    propagation_policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    dry_run: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
}

/// Reads a body as JSON.
///
/// # Errors
/// 415 for an unsupported kind, 400 for malformed protobuf.
pub(super) fn parse(body: &[u8]) -> Result<Value, ApiError> {
    let invalid = || ApiError::bad_request("the body is not a Kubernetes protobuf message");
    let envelope =
        body.strip_prefix(MAGIC).and_then(|bytes| Unknown::decode(bytes).ok()).ok_or_else(invalid)?;
    let (kind, raw) = (envelope.type_meta.unwrap_or_default(), envelope.raw.as_slice());
    let mut object = match kind.kind.as_str() {
        "Namespace" | "ServiceAccount" => {
            let object = MetadataOnly::decode(raw).map_err(|_| invalid())?;
            json!({ "metadata": metadata(object.metadata) })
        }
        "Secret" => secret(Secret::decode(raw).map_err(|_| invalid())?),
        "ConfigMap" => config_map(ConfigMap::decode(raw).map_err(|_| invalid())?),
        "SelfSubjectReview" => json!({}),
        "SelfSubjectRulesReview" => {
            let spec = RulesReview::decode(raw).map_err(|_| invalid())?.spec.unwrap_or_default();
            json!({ "spec": { "namespace": spec.namespace } })
        }
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            access_review(AccessReview::decode(raw).map_err(|_| invalid())?)
        }
        "DeleteOptions" => delete_options(DeleteOptions::decode(raw).map_err(|_| invalid())?),
        _ => return Err(ApiError::unsupported_media_type("application/json, application/yaml")),
    };
    object["kind"] = json!(kind.kind);
    object["apiVersion"] = json!(kind.api_version);
    Ok(object)
}

fn metadata(meta: Option<ObjectMeta>) -> Value {
    let meta = meta.unwrap_or_default();
    let mut fields = texts([
        ("name", meta.name),
        ("generateName", meta.generate_name),
        ("namespace", meta.namespace),
        ("uid", meta.uid),
        ("resourceVersion", meta.resource_version),
        ("creationTimestamp", time(meta.creation_timestamp)),
    ]);
    fields.insert("labels".to_owned(), json!(meta.labels));
    fields.insert("annotations".to_owned(), json!(meta.annotations));
    fields.insert("finalizers".to_owned(), json!(meta.finalizers));
    let owners = meta.owner_references.into_iter().map(|owner| {
        json!({
            "kind": owner.kind, "name": owner.name, "uid": owner.uid, "apiVersion": owner.api_version,
            "controller": owner.controller, "blockOwnerDeletion": owner.block_owner_deletion,
        })
    });
    fields.insert("ownerReferences".to_owned(), owners.collect());
    // No list and an empty one are the same here; clients reset the managers with one empty entry.
    if !meta.managed_fields.is_empty() {
        fields.insert(
            "managedFields".to_owned(),
            meta.managed_fields.into_iter().map(managed_fields).collect(),
        );
    }
    Value::Object(fields)
}

fn managed_fields(entry: ManagedFields) -> Value {
    let mut shown = texts([
        ("manager", entry.manager),
        ("operation", entry.operation),
        ("apiVersion", entry.api_version),
        ("time", time(entry.time)),
        ("fieldsType", entry.fields_type),
        ("subresource", entry.subresource),
    ]);
    if let Some(fields) = entry.fields {
        shown.insert("fieldsV1".to_owned(), serde_json::from_slice(&fields.raw).unwrap_or_default());
    }
    Value::Object(shown)
}

/// The fields that aren't empty.
fn texts<const COUNT: usize>(fields: [(&str, String); COUNT]) -> Map<String, Value> {
    let there = fields.into_iter().filter(|(_, text)| !text.is_empty());
    there.map(|(name, text)| (name.to_owned(), json!(text))).collect()
}

/// The time in the format of the API; empty for none.
fn time(time: Option<Time>) -> String {
    let time = time.filter(|time| time.seconds != 0);
    let time = time.and_then(|time| jiff::Timestamp::from_second(time.seconds).ok());
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

fn secret(secret: Secret) -> Value {
    json!({
        "metadata": metadata(secret.metadata), "data": encoded(&secret.data), "stringData": secret.string_data,
        "type": (!secret.kind.is_empty()).then_some(secret.kind), "immutable": secret.immutable,
    })
}

fn config_map(map: ConfigMap) -> Value {
    json!({
        "metadata": metadata(map.metadata), "data": map.data, "binaryData": encoded(&map.binary_data),
        "immutable": map.immutable,
    })
}

fn access_review(review: AccessReview) -> Value {
    let spec = review.spec.unwrap_or_default();
    let mut shown = json!({ "user": spec.user, "groups": spec.groups, "uid": spec.uid });
    if let Some(requested) = spec.resource {
        shown["resourceAttributes"] = json!({
            "namespace": requested.namespace, "verb": requested.verb, "group": requested.group, "version": requested.version,
            "resource": requested.resource, "subresource": requested.subresource, "name": requested.name,
        });
    }
    if let Some(requested) = spec.path {
        shown["nonResourceAttributes"] = json!({ "path": requested.path, "verb": requested.verb });
    }
    json!({ "spec": shown })
}

fn delete_options(options: DeleteOptions) -> Value {
    let preconditions = options.preconditions.unwrap_or_default();
    json!({
        "preconditions": { "uid": preconditions.uid, "resourceVersion": preconditions.resource_version },
        "orphanDependents": options.orphan_dependents, "propagationPolicy": options.propagation_policy,
        "dryRun": options.dry_run,
    })
}

fn encoded(data: &BTreeMap<String, Vec<u8>>) -> Value {
    let entries = data.iter().map(|(key, bytes)| (key.clone(), json!(STANDARD.encode(bytes))));
    Value::Object(entries.collect())
}
