//! Deletion of objects and collections, with preconditions and finalizers.

use std::sync::Arc;

use axum::response::Response;
use serde_json::{Value, json};

use super::{
    Server, decode,
    object::{Stored, finalizers, has_finalizers, is_deleting, meta, metadata_mut, now, set_meta_list, text},
    request::{self, Query, Target},
    resources::{Builtin, Served},
    selectors::Selector,
    status::{ApiError, Cause, Subject},
    store::{CommitError, Key},
    view::{ListMeta, View, json_response},
};

/// The finalizer of an owner that waits until its dependents are orphaned.
pub(super) const ORPHAN: &str = "orphan";
/// The finalizer of an owner that waits until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// The options of a deletion.
struct Options {
    uid: Option<String>,
    resource_version: Option<String>,
    dry_run: bool,
    /// Absent for what the object's finalizers say.
    policy: Option<Policy>,
}

/// The propagation policy: what happens to dependents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    /// Background: they are deleted afterwards.
    Background,
    /// Foreground: they are deleted first.
    Foreground,
    /// Orphan: they stay, without the owner.
    Orphan,
}

/// The result of a deletion.
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

/// DELETE of a collection; answers the deleted objects.
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

/// Deletes an object on behalf of the server itself, if it is unchanged.
pub(super) async fn collect(
    server: &Server,
    served: &Served,
    key: &Key,
    seen: &Stored,
    policy: Option<Policy>,
) -> Result<(), ApiError> {
    let uid = Some(meta(&seen.value, "uid").to_owned());
    let options = Options { uid, resource_version: Some(seen.revision.to_string()), dry_run: false, policy };
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
        options.check(served.kind_subject(name), &stored.value)?;
        let marked = marked(&stored.value, options.policy, is_namespace);
        let waits = is_namespace || has_finalizers(&marked);
        if waits && marked == stored.value {
            return Ok(Outcome::Waits(stored));
        }
        if options.dry_run {
            let marked = Stored { value: marked, revision: stored.revision };
            return Ok(if waits { Outcome::Waits(marked.into()) } else { Outcome::Gone(stored) });
        }
        let id = &served.resource.id;
        let result = if waits {
            server.store.put(id, &key, Some(stored.revision), marked).await.map(Outcome::Waits)
        } else {
            let last = stored.value.clone();
            server.store.remove(id, &key, stored.revision, last).await.map(Outcome::Gone)
        };
        match result {
            Ok(outcome) => {
                server.deleted(served);
                return Ok(outcome);
            }
            Err(CommitError::Raced) => {}
            Err(CommitError::Disk) => return Err(ApiError::internal("the state can't be written")),
        }
    }
}

/// The object, marked as being deleted, with the finalizer that the policy asks for.
fn marked(live: &Value, policy: Option<Policy>, is_namespace: bool) -> Value {
    let mut object = live.clone();
    if let Some(policy) = policy.filter(|_| !is_namespace) {
        let kept = finalizers(live).filter(|name| ![ORPHAN, FOREGROUND].contains(name));
        let finalizers = kept.chain(policy.finalizer()).map(Value::from).collect();
        set_meta_list(&mut object, "finalizers", finalizers);
    }
    if is_deleting(live) {
        return object;
    }
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

// === impl Policy ===

impl Policy {
    fn parse(text: &str) -> Result<Option<Self>, ApiError> {
        Ok(Some(match text {
            "" => return Ok(None),
            "Background" => Self::Background,
            "Foreground" => Self::Foreground,
            "Orphan" => Self::Orphan,
            other => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::not_supported("propagationPolicy", &format!("{other:?}"), &supported);
                return Err(ApiError::invalid_options("DeleteOptions", cause));
            }
        }))
    }

    fn finalizer(self) -> Option<&'static str> {
        match self {
            Self::Background => None,
            Self::Foreground => Some(FOREGROUND),
            Self::Orphan => Some(ORPHAN),
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
        let policy = match (Policy::parse(policy)?, body.get("orphanDependents").and_then(Value::as_bool)) {
            (Some(_), Some(_)) => {
                let rule = "orphanDependents and deletionPropagation cannot be both set";
                let cause = Cause::invalid("propagationPolicy", policy, rule);
                return Err(ApiError::invalid_options("DeleteOptions", cause));
            }
            (policy, None) => policy,
            (None, Some(orphan)) => Some(if orphan { Policy::Orphan } else { Policy::Background }),
        };
        let dry_run = match text(&body, "/dryRun/0") {
            "" => query.dry_run(),
            value => request::dry_run("DeleteOptions", value)?,
        };
        Ok(Self {
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            dry_run,
            policy,
        })
    }

    fn check(&self, subject: Subject<'_>, live: &Value) -> Result<(), ApiError> {
        let fails = |wanted: &Option<String>, field: &str, name: &str, why: &str| {
            let wanted = wanted.as_deref().filter(|wanted| *wanted != meta(live, field))?;
            let current = meta(live, field);
            let problem = format!(
                "the {name} in the precondition ({wanted}) does not match the {name} in record ({current}). The object might have been {why}"
            );
            Some(ApiError::conflict(subject, &problem))
        };
        let failed = fails(&self.uid, "uid", "UID", "deleted and then recreated");
        let version = &self.resource_version;
        match failed.or_else(|| fails(version, "resourceVersion", "ResourceVersion", "modified")) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
