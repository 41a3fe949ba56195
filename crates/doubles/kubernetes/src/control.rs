//! The switches of the double over the wire, for tests that run it in another process: `/.double/faults`, `/.double/users`.

use axum::{body::Body, http::Method, response::Response};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    Server,
    auth::{MASTERS, Rule, User},
    status::{ApiError, Subject},
    view::json_response,
};

/// A token, who it belongs to and what they may do.
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

/// Answers the admin; nobody else turns switches.
pub(super) fn answer(
    server: &Server,
    user: &User,
    method: &Method,
    what: &str,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    if !user.groups.iter().any(|group| group == MASTERS) {
        let subject = Subject { group: "", resource: what, name: "" };
        return Err(ApiError::forbidden(subject, "only the admin turns the switches of the double"));
    }
    match (what, method) {
        ("faults", &Method::GET) => {}
        ("faults", &Method::PUT) => server.faults.replace(parse(body)?),
        ("faults", &Method::DELETE) => server.faults.clear(),
        ("users", &Method::PUT) => {
            server.policy.clear_rules();
            grant(server, parse(body)?);
            return Ok(json_response(200, &json!({})));
        }
        ("faults" | "users", _) => return Err(ApiError::method_not_allowed()),
        _ => return Err(ApiError::no_such_resource()),
    }
    Ok(json_response(200, &json!(server.faults.rules())))
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
    // The position, not what stands there: it may be a token.
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        ApiError::bad_request(format!("not what is expected here, at line {line} column {column}"))
    })
}
