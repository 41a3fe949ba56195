//! The control endpoints below `/.double/`, for tests that run the double in another process.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use doubles_common::faults;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{identity::Identity, requests::RequestCounts, settings::Settings, shared::Shared};

/// How far to advance the clock.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_seconds: u64,
}

/// The endpoints, for callers that know the client secret.
pub(super) fn router(shared: Arc<Shared>) -> Router<Arc<Shared>> {
    faults::endpoints(Arc::clone(&shared.faults))
        .route("/settings", routing::get(settings).put(set_settings))
        .route("/requests", routing::get(requests))
        .route("/clock", routing::post(advance))
        .layer(middleware::from_fn_with_state(shared, authenticate))
}

async fn settings(State(shared): State<Arc<Shared>>) -> Json<Settings> {
    Json(shared.settings())
}

async fn set_settings(State(shared): State<Arc<Shared>>, Json(settings): Json<Settings>) -> Json<Settings> {
    *shared.settings.write() = settings;
    Json(settings)
}

async fn requests(State(shared): State<Arc<Shared>>) -> Json<RequestCounts> {
    Json(shared.counters.snapshot())
}

async fn advance(State(shared): State<Arc<Shared>>, Json(by): Json<Advance>) -> StatusCode {
    shared.clock.advance(Duration::from_secs(by.advance_seconds));
    StatusCode::NO_CONTENT
}

/// Requires the client secret in `x-double-key`, or client id and secret as HTTP Basic.
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
