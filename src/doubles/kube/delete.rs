//! Deletion: preconditions, finalizers, and of whole collections.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    Server, decode,
    object::{has_finalizers, is_deleting, meta, metadata_mut, now, text},
    request::{Query, Target},
    resources::{Builtin, Served},
    selectors::Selector,
    status::{ApiError, Subject},
    store::{CommitError, Key, Stored},
    view::{ListMeta, View, json_response},
};

/// What a deletion is asked to heed.
struct Options {
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
    orphan: bool,
}

/// What became of an object.
enum Outcome {
    Gone(Arc<Stored>),
    /// It waits for its finalizers.
    Waits(Arc<Stored>),
}

/// DELETE of one object.
pub(super) async fn one(
    server: &Server,
    target: &Target,
    query: &Query,
    view: View,
    (media_type, body): (&str, &[u8]),
) -> Result<Response, ApiError> {
    let served = &target.served;
    let options = Options::parse(query, media_type, body)?;
    let outcome = delete(server, served, &target.namespace, &target.name, &options).await?;
    let returns_object = served.builtin() == Some(Builtin::ServiceAccount);
    match outcome {
        Outcome::Gone(stored) if !returns_object => {
            let mut details = json!({ "name": target.name });
            if !served.resource.group.is_empty() {
                details["group"] = json!(served.resource.group);
            }
            details["kind"] = json!(served.resource.plural);
            details["uid"] = stored.value["metadata"]["uid"].clone();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            });
            Ok(json_response(200, &status))
        }
        Outcome::Gone(stored) | Outcome::Waits(stored) => Ok(view.one(200, served, &stored.value, &[])),
    }
}

/// DELETE of a collection; answers with what was deleted.
pub(super) async fn collection(
    server: &Server,
    target: &Target,
    query: &Query,
    view: View,
    (media_type, body): (&str, &[u8]),
) -> Result<Response, ApiError> {
    let served = &target.served;
    let options = Options::parse(query, media_type, body)?;
    let selector = Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), served)?;
    let snapshot = server
        .store
        .list(&served.resource.id, &target.namespace, None)
        .map_err(|_| ApiError::internal("the latest state is always kept"))?;
    let mut deleted = Vec::new();
    for (key, stored) in snapshot.items.iter().filter(|(_, stored)| selector.matches(&stored.value)) {
        match delete(server, served, &key.namespace, &key.name, &options).await {
            Ok(_) => deleted.push(stored.clone()),
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let meta = ListMeta {
        resource_version: server.store.revision().to_string(),
        token: String::new(),
        remaining_item_count: None,
    };
    Ok(view.list(served, &meta, deleted.iter().map(|stored| &stored.value)))
}

/// Deletes an object for the server itself, without preconditions.
pub(super) async fn collect(server: &Server, served: &Served, key: &Key) -> Result<(), ApiError> {
    let options = Options { uid: None, resource_version: None, dry_run: false, orphan: false };
    delete(server, served, &key.namespace, &key.name, &options).await.map(drop)
}

async fn delete(
    server: &Server,
    served: &Served,
    namespace: &str,
    name: &str,
    options: &Options,
) -> Result<Outcome, ApiError> {
    let subject = served.subject(name);
    let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
    let is_namespace = served.builtin() == Some(Builtin::Namespace);
    if is_namespace && matches!(name, "default" | "kube-system") {
        return Err(ApiError::forbidden(subject, "this namespace may not be deleted"));
    }
    loop {
        let stored =
            server.store.get(&served.resource.id, &key).ok_or_else(|| ApiError::not_found(subject))?;
        options.check(subject, &stored.value)?;
        let waits = is_namespace || has_finalizers(&stored.value);
        if options.dry_run || (waits && is_deleting(&stored.value)) {
            return Ok(if waits { Outcome::Waits(stored) } else { Outcome::Gone(stored) });
        }
        if options.orphan {
            orphan(server, meta(&stored.value, "uid")).await;
        }
        let id = &served.resource.id;
        let result = if waits {
            let marked = marked(&stored.value, is_namespace);
            server.store.put(id, &key, Some(stored.revision), marked).await.map(Outcome::Waits)
        } else {
            let last = stored.value.clone();
            server.store.remove(id, &key, stored.revision, last).await.map(Outcome::Gone)
        };
        match result {
            Ok(outcome) => {
                server.changed(served);
                return Ok(outcome);
            }
            Err(CommitError::Raced) => {}
            Err(CommitError::Disk) => return Err(ApiError::internal("the state can't be written")),
        }
    }
}

fn marked(live: &Value, is_namespace: bool) -> Value {
    let mut object = live.clone();
    let metadata = metadata_mut(&mut object);
    metadata.insert("deletionTimestamp".to_owned(), json!(now()));
    if is_namespace {
        object["status"]["phase"] = json!("Terminating");
        return object;
    }
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
    if let Some(generation) = live.pointer("/metadata/generation").and_then(Value::as_i64) {
        metadata_mut(&mut object).insert("generation".to_owned(), json!(generation + 1));
    }
    object
}

/// Takes an owner out of everything that it owns.
async fn orphan(server: &Server, uid: &str) {
    for resource in server.store.resources() {
        let Ok(snapshot) = server.store.list(&resource, "", None) else { continue };
        for (key, stored) in snapshot.items {
            let owners = stored.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
            let Some(owners) = owners.filter(|owners| owners.iter().any(|owner| text(owner, "/uid") == uid))
            else {
                continue;
            };
            let left: Vec<_> = owners.iter().filter(|owner| text(owner, "/uid") != uid).cloned().collect();
            let mut object = stored.value.clone();
            metadata_mut(&mut object).insert("ownerReferences".to_owned(), json!(left));
            // Somebody who changed it meanwhile keeps the reference; the collector then finds the owner gone.
            let _ = server.store.put(&resource, &key, Some(stored.revision), object).await;
        }
    }
}

// === impl Options ===

impl Options {
    fn parse(query: &Query, media_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        let body = if body.is_empty() { Value::Null } else { decode::parse(media_type, body)? };
        let precondition = |field: &str| {
            let found = body.pointer(&format!("/preconditions/{field}")).and_then(Value::as_str);
            found.map(str::to_owned)
        };
        let policy = match text(&body, "/propagationPolicy") {
            "" => query.get("propagationPolicy"),
            policy => policy,
        };
        Ok(Self {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            dry_run: query.dry_run()? || body.pointer("/dryRun/0").is_some_and(|value| value == "All"),
            orphan: policy == "Orphan",
        })
    }

    fn check(&self, subject: Subject<'_>, live: &Value) -> Result<(), ApiError> {
        let fails = |wanted: &Option<String>, field: &str, name: &str| {
            let wanted = wanted.as_deref().filter(|wanted| *wanted != meta(live, field))?;
            let current = meta(live, field);
            let problem = format!(
                "Precondition failed: {name} in precondition: {wanted}, {name} in object meta: {current}"
            );
            Some(ApiError::conflict(subject, &problem))
        };
        let failed = fails(&self.uid, "uid", "UID");
        match failed.or_else(|| fails(&self.resource_version, "resourceVersion", "ResourceVersion")) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
