//! The fields that the server itself sets when an object is created or changed.

use serde_json::{Value, json};

use super::{
    Server, crd,
    object::{is_deleting, keep, keep_identity, keep_meta, meta, metadata_mut, now},
    resources::{Builtin, NAMESPACES, Served},
    status::{ApiError, Cause, Subject},
    store::Key,
};

/// Sets the identity of a new object, and the defaults of its type.
pub(super) fn prepare_create(served: &Served, object: &mut Value) {
    let generation = has_generation(served);
    let metadata = metadata_mut(object);
    for field in
        ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        metadata.shift_remove(field);
    }
    metadata.insert("uid".to_owned(), json!(uuid::Uuid::new_v4()));
    metadata.insert("creationTimestamp".to_owned(), json!(now()));
    if generation {
        metadata.insert("generation".to_owned(), json!(1));
    }
    if served.version().status {
        keep(object, &Value::Null, "status");
    }
    if served.builtin() == Some(Builtin::Namespace) {
        keep(object, &Value::Null, "spec");
    }
    default(served, object);
}

/// Sets the fields that belong to the server, not to a manager.
pub(super) fn complete(served: &Served, object: &mut Value) {
    match served.builtin() {
        Some(Builtin::Namespace) if object.get("status").is_none() => {
            object["spec"] = json!({ "finalizers": ["kubernetes"] });
            object["status"] = json!({ "phase": "Active" });
        }
        Some(Builtin::Crd) => crd::establish(object),
        _ => {}
    }
}

/// Restores immutable fields, and increments the generation.
pub(super) fn prepare_update(served: &Served, live: &Value, object: &mut Value, subresource: &str) {
    if subresource == "status" {
        let sent = std::mem::replace(object, live.clone());
        keep(object, &sent, "status");
        keep_meta(object, &sent, "managedFields");
        default(served, object);
        return;
    }
    keep_identity(object, live);
    if served.version().status {
        keep(object, live, "status");
    }
    if served.builtin() == Some(Builtin::Namespace) {
        keep(object, live, "spec");
    }
    default(served, object);
    if has_generation(served) && content_differs(live, object) {
        let generation = live.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0) + 1;
        metadata_mut(object).insert("generation".to_owned(), json!(generation));
    }
}

/// Refuses to create an object in a namespace that is missing or terminating.
pub(super) fn check_namespace(
    server: &Server,
    served: &Served,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    if !served.resource.namespaced {
        return Ok(());
    }
    let key = Key { namespace: String::new(), name: namespace.to_owned() };
    let Some(found) = server.store.get(NAMESPACES, &key) else {
        return Err(ApiError::not_found(Subject { group: "", resource: "namespaces", name: namespace }));
    };
    if is_deleting(&found.value) {
        let message =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause::new(
            "NamespaceTerminating",
            format!("namespace {namespace} is being terminated"),
            "metadata.namespace",
        );
        return Err(ApiError::forbidden(served.subject(name), &message).because(cause));
    }
    Ok(())
}

fn default(served: &Served, object: &mut Value) {
    match served.builtin() {
        Some(Builtin::Secret) if object.get("type").is_none_or(|kind| kind == "") => {
            object["type"] = json!("Opaque");
        }
        Some(Builtin::Namespace) => {
            let name = meta(object, "name").to_owned();
            let labels = metadata_mut(object).entry("labels").or_insert_with(|| json!({}));
            labels["kubernetes.io/metadata.name"] = json!(name);
        }
        Some(Builtin::Crd) => crd::default(object),
        _ => {}
    }
    if let Some(schema) = &served.version().schema {
        schema.default(object);
    }
}

fn has_generation(served: &Served) -> bool {
    served.is_custom() || served.builtin() == Some(Builtin::Crd)
}

fn content_differs(live: &Value, object: &Value) -> bool {
    let content = |value: &Value| {
        let mut content = value.clone();
        for field in ["metadata", "status", "apiVersion"] {
            keep(&mut content, &Value::Null, field);
        }
        content
    };
    content(live) != content(object)
}
