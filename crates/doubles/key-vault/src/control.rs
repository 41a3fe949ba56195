//! The switches over the wire, below `/.double/`: for tests that run the real process.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    faults::{Rule, SetRule, Settings},
    identity::Identity,
    requests::RequestCounts,
    router::Shared,
};

/// By how much time is to pass at once.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

/// The endpoints, for who knows the client secret.
pub(super) fn router(shared: Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/faults", routing::get(rules).post(add_rule).put(replace_rules).delete(clear_rules))
        .route("/faults/{id}", routing::delete(remove_rule))
        .route("/settings", routing::get(settings).put(set_settings))
        .route("/requests", routing::get(requests))
        .route("/clock", routing::post(advance))
        .layer(middleware::from_fn_with_state(shared, authenticate))
}

async fn rules(State(shared): State<Arc<Shared>>) -> Json<Vec<SetRule>> {
    Json(shared.faults.rules())
}

async fn add_rule(State(shared): State<Arc<Shared>>, Json(rule): Json<Rule>) -> Json<SetRule> {
    let id = shared.faults.add(rule.clone());
    Json(SetRule { id, rule })
}

async fn replace_rules(
    State(shared): State<Arc<Shared>>,
    Json(rules): Json<Vec<Rule>>,
) -> Json<Vec<SetRule>> {
    shared.faults.replace(rules);
    Json(shared.faults.rules())
}

async fn clear_rules(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove_rule(State(shared): State<Arc<Shared>>, Path(id): Path<u64>) -> StatusCode {
    if shared.faults.remove(id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn settings(State(shared): State<Arc<Shared>>) -> Json<Settings> {
    Json(shared.faults.settings())
}

async fn set_settings(State(shared): State<Arc<Shared>>, Json(settings): Json<Settings>) -> Json<Settings> {
    shared.faults.set(|current| *current = settings);
    Json(settings)
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<RequestCounts> {
    Json(shared.counters.snapshot())
}

async fn advance(State(shared): State<Arc<Shared>>, Json(by): Json<Advance>) -> StatusCode {
    shared.clock.advance(Duration::from_secs(by.advance_seconds));
    StatusCode::NO_CONTENT
}

/// Lets in who shows the client secret in `x-double-key`, or client id and secret as HTTP Basic.
async fn authenticate(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if is_known(&shared.identity, request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"double\"")]).into_response()
    }
}

fn is_known(identity: &Identity, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(key) = text("x-double-key") {
        return identity.is_secret(key);
    }
    let basic = text("authorization").and_then(|value| value.strip_prefix("Basic "));
    let decoded = basic.and_then(|basic| STANDARD.decode(basic).ok()).map(Zeroizing::new);
    let pair = decoded.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    pair.and_then(|pair| pair.split_once(':')).is_some_and(|(client_id, secret)| {
        client_id == identity.credential().client_id && identity.is_secret(secret)
    })
}
