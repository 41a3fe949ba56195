//! The control endpoints, for tests that run the double in another process: `/.double/faults` and `/.double/users`.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, Request, request::Parts},
    response::Response,
};
use doubles_common::faults;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use tower::ServiceExt;

use super::{
    Server,
    auth::{MASTERS, Rule, User},
    status::{ApiError, Subject},
    view::json_response,
};

/// A token with its user and their rights.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    token: String,
    user: User,
    #[serde(default)]
    allow: Vec<Rule>,
    #[serde(default)]
    deny: Vec<Rule>,
}

/// Answers the admin, and nobody else.
pub(super) async fn answer(
    server: &Server,
    user: &User,
    parts: &Parts,
    what: &str,
    body: Bytes,
) -> Result<Response<Body>, ApiError> {
    if !user.groups.iter().any(|group| group == MASTERS) {
        let subject = Subject { group: "", resource: what, name: "" };
        return Err(ApiError::forbidden(subject, "only the admin may configure the double"));
    }
    match (what, &parts.method) {
        ("users", &Method::PUT) => {
            server.policy.clear_rules();
            grant(server, parse(&body)?);
            Ok(json_response(200, &json!({})))
        }
        ("users", _) => Err(ApiError::method_not_allowed()),
        _ => {
            let endpoints = Router::new().nest("/.double", faults::endpoints(Arc::clone(&server.faults)));
            let request = Request::from_parts(parts.clone(), Body::from(body));
            let Ok(answer) = endpoints.oneshot(request).await;
            Ok(answer)
        }
    }
}

fn grant(server: &Server, grants: Vec<Grant>) {
    for grant in grants {
        let name = grant.user.username.clone();
        server.policy.add_token(&grant.token, grant.user);
        grant.allow.into_iter().for_each(|rule| server.policy.allow(&name, rule));
        grant.deny.into_iter().for_each(|rule| server.policy.deny(&name, rule));
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // Only the position: the text there may be a token.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("not what is expected here, at line {line} column {column}"))
    })
}
