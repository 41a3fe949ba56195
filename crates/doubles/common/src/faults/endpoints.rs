//! The rules over the wire, for tests that run a double in another process.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get},
};

use super::{FaultRule, FaultRules, RequestMatch, SetRule};

/// `/faults` and `/faults/ID`. Who may use them is for the double to say.
pub fn endpoints<M: RequestMatch, S>(rules: Arc<FaultRules<M>>) -> Router<S> {
    Router::new()
        .route("/faults", get(list::<M>).post(add::<M>).put(replace::<M>).delete(clear::<M>))
        .route("/faults/{id}", delete(remove::<M>))
        .with_state(rules)
}

async fn list<M: RequestMatch>(State(rules): State<Arc<FaultRules<M>>>) -> Json<Vec<SetRule<M>>> {
    Json(rules.list())
}

async fn add<M: RequestMatch>(
    State(rules): State<Arc<FaultRules<M>>>,
    Json(rule): Json<FaultRule<M>>,
) -> Json<SetRule<M>> {
    let id = rules.add(rule.clone());
    Json(SetRule { id, rule })
}

async fn replace<M: RequestMatch>(
    State(rules): State<Arc<FaultRules<M>>>,
    Json(with): Json<Vec<FaultRule<M>>>,
) -> Json<Vec<SetRule<M>>> {
    rules.replace(with);
    Json(rules.list())
}

async fn remove<M: RequestMatch>(State(rules): State<Arc<FaultRules<M>>>, Path(id): Path<u64>) -> StatusCode {
    if rules.remove(id) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn clear<M: RequestMatch>(State(rules): State<Arc<FaultRules<M>>>) -> StatusCode {
    rules.clear();
    StatusCode::NO_CONTENT
}
