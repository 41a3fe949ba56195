//! Get and list.

use std::sync::Arc;

use axum::response::Response;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    Server,
    object::Stored,
    request::{Query, Target},
    selectors::Selector,
    status::{ApiError, Cause},
    store::Key,
    view::{ListMeta, View},
};

/// The end of a page: the revision of the list, and the last object.
#[derive(Serialize, Deserialize)]
struct Token {
    revision: u64,
    namespace: String,
    name: String,
}

const TOKEN_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// GET of one object.
pub(super) fn get(server: &Server, target: &Target, query: &Query, view: View) -> Result<Response, ApiError> {
    let (served, name) = (&target.served, target.name.as_str());
    let requested = query.number("resourceVersion").map_err(|error| ApiError::new(500, "", error.message))?;
    if let Some(requested) = requested {
        check_reached(server, requested)?;
    }
    let key = Key { namespace: target.namespace.clone(), name: name.to_owned() };
    let stored = server.store.get(&served.resource.id, &key);
    let stored = stored.ok_or_else(|| ApiError::not_found(served.subject(name)))?;
    Ok(view.one(200, served, &stored.value, &[]))
}

/// GET of a collection.
pub(super) fn list(
    server: &Server,
    target: &Target,
    query: &Query,
    view: View,
) -> Result<Response, ApiError> {
    let served = &target.served;
    let selector = Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), served)?;
    let token = Token::parse(query.get("continue"))?;
    let at = revision(server, query, token.as_ref())?;
    let snapshot =
        server.store.list(&served.resource.id, &target.namespace, at).map_err(|_| match &token {
            Some(_) => ApiError::expired(TOKEN_TOO_OLD),
            None => ApiError::expired("The resourceVersion for the provided list is too old."),
        })?;
    let mut items = snapshot.items;
    if let Some(token) = &token {
        items.retain(|(key, _)| (&key.namespace, &key.name) > (&token.namespace, &token.name));
    }
    items.retain(|(_, stored)| selector.matches(&stored.value));
    let limit =
        query.number("limit")?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let remaining = items.len().saturating_sub(limit);
    items.truncate(limit);
    let next =
        items.last().filter(|_| remaining > 0).map(|(key, _)| Token::new(snapshot.revision, key).to_text());
    let meta = ListMeta {
        resource_version: snapshot.revision.to_string(),
        // With selectors the real server doesn't count the remaining items.
        remaining_item_count: next.as_ref().filter(|_| selector.is_empty()).map(|_| remaining),
        token: next.unwrap_or_default(),
    };
    Ok(view.list(served, &meta, items.iter().map(|(_, stored): &(Arc<Key>, Arc<Stored>)| &stored.value)))
}

/// The required revision of a list; absent for the latest.
fn revision(server: &Server, query: &Query, token: Option<&Token>) -> Result<Option<u64>, ApiError> {
    check_match(query)?;
    let requested = query
        .number("resourceVersion")
        .map_err(|error| ApiError::bad_request(format!("invalid resource version: {}", error.message)))?;
    if let Some(token) = token {
        if requested.is_some() {
            return Err(ApiError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        return Ok(Some(token.revision));
    }
    let Some(requested) = requested else { return Ok(None) };
    check_reached(server, requested)?;
    match query.get("resourceVersionMatch") {
        "Exact" => Ok(Some(requested)),
        // Legacy behaviour: with a limit, the exact revision.
        "" if query.number("limit")?.is_some() => Ok(Some(requested)),
        _ => Ok(None),
    }
}

/// Refuses conflicting options of a list.
fn check_match(query: &Query) -> Result<(), ApiError> {
    const MATCH: &str = "resourceVersionMatch";
    let refuse = |cause| Err(ApiError::invalid_options("ListOptions", cause));
    if query.has("sendInitialEvents") {
        return refuse(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    match query.get(MATCH) {
        "" => Ok(()),
        _ if query.get("resourceVersion").is_empty() => refuse(Cause::forbidden(
            MATCH,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        )),
        "Exact" if query.get("resourceVersion") == "0" => {
            let rule = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            refuse(Cause::forbidden(MATCH, rule))
        }
        "Exact" | "NotOlderThan" => Ok(()),
        other => {
            let known = ["Exact", "NotOlderThan", ""];
            refuse(Cause::not_supported(MATCH, &format!("{other:?}"), &known))
        }
    }
}

fn check_reached(server: &Server, requested: u64) -> Result<(), ApiError> {
    let current = server.store.revision();
    if requested > current { Err(ApiError::too_large_resource_version(requested, current)) } else { Ok(()) }
}

// === impl Token ===

impl Token {
    fn new(revision: u64, key: &Key) -> Self {
        Self { revision, namespace: key.namespace.clone(), name: key.name.clone() }
    }

    fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("numbers and text can always be written"))
    }

    fn parse(text: &str) -> Result<Option<Self>, ApiError> {
        if text.is_empty() {
            return Ok(None);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let token = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let problem = "invalid continue token: continue key is not valid: it is none of this server";
        token.map(Some).ok_or_else(|| ApiError::bad_request(problem))
    }
}
