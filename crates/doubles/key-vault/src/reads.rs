//! The read operations: get, and the paged lists.

use axum::{http::StatusCode, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    query::Query,
    refusal::Refusal,
    state::{Doing, Secret, State, Version, key},
    wire::{self, Bundle, CertificateBundle, List},
};

/// GET of a secret: the value of a version, or of the latest. Expired and not yet valid versions are served, disabled
/// ones are not.
pub(super) fn get(
    state: &State,
    host: &str,
    name: &str,
    version: Option<&str>,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let not_found = || Refusal::secret_not_found(name, version);
    let secret = visible(state, name, now).ok_or_else(not_found)?;
    let version = secret.version(version).ok_or_else(not_found)?;
    if !version.enabled {
        return Err(Refusal::secret_disabled());
    }
    Ok(wire::json(StatusCode::OK, &Bundle::value(host, secret, version)))
}

/// GET of a certificate: a version, or the latest.
pub(super) fn get_certificate(
    state: &State,
    host: &str,
    name: &str,
    version: Option<&str>,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let not_found = || Refusal::certificate_not_found(name, version);
    let secret = visible(state, name, now).filter(|secret| secret.managed).ok_or_else(not_found)?;
    let version = secret.version(version).ok_or_else(not_found)?;
    let bundle = CertificateBundle::version(host, secret, version).ok_or_else(not_found)?;
    Ok(wire::json(StatusCode::OK, &bundle))
}

/// GET of a deleted secret; not found while the deletion is in progress.
pub(super) fn get_deleted(
    state: &State,
    host: &str,
    name: &str,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let key = key(name);
    let deleted = state.deleted(&key).filter(|_| state.doing(&key, now).is_none());
    let (secret, deletion) = deleted.ok_or_else(|| Refusal::deleted_secret_not_found(name))?;
    Ok(wire::json(StatusCode::OK, &Bundle::deleted(host, secret, deletion)))
}

/// A page of the secrets, by name.
pub(super) fn list(state: &State, host: &str, query: &Query, now: Timestamp) -> Result<Response, Refusal> {
    let after = after(query)?;
    let items = state.live_after(after.as_deref(), now);
    Ok(page(query, host, "/secrets", items, |secret| Bundle::item(host, secret)))
}

/// A page of the deleted secrets, by name.
pub(super) fn list_deleted(
    state: &State,
    host: &str,
    query: &Query,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let after = after(query)?;
    let items = state.deleted_after(after.as_deref(), now);
    Ok(page(query, host, "/deletedsecrets", items, |(secret, deletion)| {
        Bundle::deleted_item(host, secret, deletion)
    }))
}

/// A page of the versions of a secret, by id; an empty list for an unknown name.
pub(super) fn list_versions(
    state: &State,
    host: &str,
    name: &str,
    query: &Query,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let after = after(query)?;
    let path = format!("/secrets/{name}/versions");
    let versions = versions_after(visible(state, name, now), after.as_deref());
    Ok(page(query, host, &path, versions, |(secret, version)| Bundle::version_item(host, secret, version)))
}

/// A page of the versions of a certificate, as of a secret's.
pub(super) fn list_certificate_versions(
    state: &State,
    host: &str,
    name: &str,
    query: &Query,
    now: Timestamp,
) -> Result<Response, Refusal> {
    let after = after(query)?;
    let path = format!("/certificates/{name}/versions");
    let secret = visible(state, name, now).filter(|secret| secret.managed);
    let versions = versions_after(secret, after.as_deref()).filter_map(|(id, (secret, version))| {
        Some((id, CertificateBundle::version(host, secret, version)?.into_item()))
    });
    Ok(page(query, host, &path, versions, |item| item))
}

/// The versions after an id, each with its secret.
fn versions_after<'a>(
    secret: Option<&'a Secret>,
    after: Option<&str>,
) -> impl Iterator<Item = (&'a str, (&'a Secret, &'a Version))> {
    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let of = move |secret: &'a Secret| {
        let versions = secret.versions.range::<str, _>((from, std::ops::Bound::Unbounded));
        versions.map(move |(id, version)| (id.as_str(), (secret, version)))
    };
    secret.into_iter().flat_map(of)
}

/// The live secret of a name, unless its recovery is in progress.
fn visible<'a>(state: &'a State, name: &str, now: Timestamp) -> Option<&'a Secret> {
    let key = key(name);
    state.live(&key).filter(|_| state.doing(&key, now) != Some(Doing::Recovering))
}

/// One page of the remaining items, and the link to the next page if there are more.
fn page<'a, T, B: Serialize>(
    query: &Query,
    host: &str,
    path: &str,
    mut items: impl Iterator<Item = (&'a str, T)>,
    bundle: impl Fn(T) -> B,
) -> Response {
    let mut last = None;
    let value: Vec<B> = items
        .by_ref()
        .take(query.page_size)
        .map(|(key, item)| {
            last = Some(key);
            bundle(item)
        })
        .collect();
    let last = last.filter(|_| items.next().is_some());
    let next_link = last.map(|last| next_link(query, host, path, last));
    wire::json(StatusCode::OK, &List { value, next_link })
}

/// The link to the page after an item, on the host by which the client reached us.
fn next_link(query: &Query, host: &str, path: &str, last: &str) -> String {
    let token = URL_SAFE_NO_PAD.encode(format!("{MARK}{last}"));
    let (version, size) = (&query.api_version, query.page_size);
    format!("https://{host}{path}?api-version={version}&$skiptoken={token}&maxresults={size}")
}

/// The prefix of our skip tokens, so that other base64 text is refused.
const MARK: &str = "after:";

/// The key after which the page begins, from its skip token.
fn after(query: &Query) -> Result<Option<String>, Refusal> {
    let Some(token) = &query.skip_token else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.strip_prefix(MARK).map(str::to_owned));
    key.map(Some).ok_or_else(|| Refusal::bad_parameter("Invalid $skiptoken."))
}
