//! Watches: the changes of a resource as a stream of lines.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use doubles_common::faults::AnyFault;
use serde_json::{Value, json};
use tokio::{sync::watch::Receiver, time::Instant};

use super::{
    Server,
    faults::{self, ClusterFault, RequestInfo},
    object::metadata_mut,
    request::{Query, Target},
    selectors::Selector,
    status::{ApiError, Cause, Subject},
    store::{Change, TooOld},
    view::{View, error_event},
};

const BOOKMARK_EVERY: Duration = Duration::from_secs(30);
/// The duration of a watch without `timeoutSeconds`.
const DEFAULT_LIFE: Duration = Duration::from_secs(45 * 60);

/// An open watch.
struct Watch {
    server: Arc<Server>,
    target: Target,
    selector: Selector,
    view: View,
    bookmarks: bool,
    end: Instant,
    /// The revision up to which everything was sent.
    at: u64,
    /// Whether a line of data was sent: the first one of a table has its columns.
    begun: bool,
    revisions: Receiver<u64>,
    faults: Receiver<u64>,
}

/// The start of a watch.
struct Start {
    /// Absent to begin with the current state.
    after: Option<u64>,
    /// Whether a bookmark marks the end of the initial events.
    marked: bool,
}

/// GET of a collection with `watch`.
pub(super) fn watch(
    server: &Arc<Server>,
    target: &Target,
    query: &Query,
    view: View,
) -> Result<Response, ApiError> {
    let start = Start::parse(query, server.store.revision())?;
    let life = query.number("timeoutSeconds")?.map_or(DEFAULT_LIFE, Duration::from_secs);
    let mut watch = Watch {
        selector: Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), &target.served)?,
        target: target.clone(),
        view,
        bookmarks: query.flag("allowWatchBookmarks"),
        end: Instant::now() + life,
        at: 0,
        begun: false,
        revisions: server.store.subscribe(),
        faults: server.faults.subscribe(),
        server: server.clone(),
    };
    let lines = async_stream::stream! {
        match start.after {
            Some(after) => watch.at = after,
            None => {
                let (lines, revision) = watch.present(start.marked);
                watch.at = revision;
                if !lines.is_empty() {
                    yield Ok::<_, std::io::Error>(Bytes::from(lines));
                }
            }
        }
        loop {
            match watch.next().await {
                Next::Lines(lines) => yield Ok(Bytes::from(lines)),
                Next::Last(lines) => {
                    yield Ok(Bytes::from(lines));
                    break;
                }
                Next::End => break,
            }
        }
    };
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("cache-control", "no-cache, private");
    response.body(Body::from_stream(lines)).map_err(|_| ApiError::internal("a watch can't be answered"))
}

enum Next {
    Lines(Vec<u8>),
    Last(Vec<u8>),
    End,
}

// === impl Watch ===

impl Watch {
    /// The current state as ADDED events.
    fn present(&mut self, marked: bool) -> (Vec<u8>, u64) {
        let (id, namespace) = (&self.target.served.resource.id, &self.target.namespace);
        let Ok(snapshot) = self.server.store.list(id, namespace, None) else {
            return (Vec::new(), self.server.store.revision());
        };
        let mut lines = Vec::new();
        for (_, stored) in snapshot.items.iter().filter(|(_, stored)| self.selector.matches(&stored.value)) {
            lines.extend(self.view.event("ADDED", &self.target.served, &stored.value, !self.begun));
            self.begun = true;
        }
        if marked && self.bookmarks {
            lines.extend(self.view.bookmark(&self.target.served, snapshot.revision, true));
        }
        (lines, snapshot.revision)
    }

    async fn next(&mut self) -> Next {
        let mut bookmark = Instant::now() + BOOKMARK_EVERY;
        loop {
            self.revisions.borrow_and_update();
            self.faults.borrow_and_update();
            let fault = faults::of_watch(&self.server.faults, &self.request());
            match fault {
                Some(AnyFault::Own(ClusterFault::WatchDrop)) => return Next::End,
                Some(AnyFault::Own(ClusterFault::WatchExpired)) => {
                    self.server.store.compact();
                    let (requested, oldest) = (self.at, self.server.store.revision());
                    return Next::Last(error_event(&too_old(requested, oldest)));
                }
                Some(_) => {}
                None => match self.lines() {
                    Err(TooOld(oldest)) => return Next::Last(error_event(&too_old(self.at, oldest))),
                    Ok(lines) if !lines.is_empty() => return Next::Lines(lines),
                    Ok(_) => {}
                },
            }
            let is_dead = fault == Some(AnyFault::Own(ClusterFault::WatchDead));
            let silent = fault.is_some();
            tokio::select! {
                changed = self.revisions.changed() => if changed.is_err() { return Next::End },
                changed = self.faults.changed() => if changed.is_err() { return Next::End },
                () = self.server.closing.cancelled() => return Next::End,
                () = tokio::time::sleep_until(self.end), if !is_dead => return Next::End,
                () = tokio::time::sleep_until(bookmark), if self.bookmarks => {
                    if !silent {
                        return Next::Lines(self.view.bookmark(&self.target.served, self.at, false));
                    }
                    bookmark = Instant::now() + BOOKMARK_EVERY;
                }
            }
        }
    }

    /// The changes since the last call.
    fn lines(&mut self) -> Result<Vec<u8>, TooOld> {
        let (changes, revision) = self.server.store.changes(&self.target.served.resource.id, self.at)?;
        let mut lines = Vec::new();
        for change in changes {
            let Some(kind) = self.kind(&change) else { continue };
            let left = change.before.as_ref().filter(|_| kind == "DELETED" && !change.removed);
            // An object that leaves the selection is sent in its last matching state, with the new revision.
            let object = match left {
                Some(before) => &at_revision(&before.value, change.revision),
                None => &change.after.value,
            };
            lines.extend(self.view.event(kind, &self.target.served, object, !self.begun));
            self.begun = true;
        }
        self.at = revision;
        Ok(lines)
    }

    /// The type of event for this watch: an object that stops matching is DELETED.
    fn kind(&self, change: &Change) -> Option<&'static str> {
        let namespace = &self.target.namespace;
        if !namespace.is_empty() && change.key.namespace != *namespace {
            return None;
        }
        let before = change.before.as_ref().is_some_and(|stored| self.selector.matches(&stored.value));
        let after = !change.removed && self.selector.matches(&change.after.value);
        match (before, after) {
            (false, true) => Some("ADDED"),
            (true, true) => Some("MODIFIED"),
            (true, false) => Some("DELETED"),
            (false, false) => None,
        }
    }

    fn request(&self) -> RequestInfo<'_> {
        RequestInfo {
            verb: "watch",
            resource: &self.target.served.resource.plural,
            namespace: &self.target.namespace,
            name: &self.target.name,
        }
    }
}

// === impl Start ===

impl Start {
    fn parse(query: &Query, latest: u64) -> Result<Self, ApiError> {
        let after = query.number("resourceVersion")?;
        let matching = query.get("resourceVersionMatch");
        if !query.has("sendInitialEvents") {
            if !matching.is_empty() {
                let rule = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                return Err(invalid(Cause::forbidden("resourceVersionMatch", rule)));
            }
            return Ok(Self { after, marked: false });
        }
        if matching != "NotOlderThan" {
            let rule = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(invalid(Cause::forbidden("resourceVersionMatch", rule)));
        }
        match query.flag("sendInitialEvents") {
            true => Ok(Self { after: None, marked: true }),
            false => Ok(Self { after: Some(after.unwrap_or(latest)), marked: false }),
        }
    }
}

fn at_revision(object: &Value, revision: u64) -> Value {
    let mut object = object.clone();
    metadata_mut(&mut object).insert("resourceVersion".to_owned(), json!(revision.to_string()));
    object
}

fn invalid(cause: Cause) -> ApiError {
    ApiError::invalid(Subject { group: "meta.k8s.io", resource: "ListOptions", name: "" }, vec![cause])
}

fn too_old(requested: u64, oldest: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {requested} ({oldest})"))
}
