//! The other side of the demo app: what it counts and how it fails, for tests in other programs.

use super::Shared;
use super::counters::Counters;
use super::faults::Fault;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/_sim/counters", get(counters))
        .route("/_sim/faults", get(show).post(add).delete(clear))
}

async fn counters(State(shared): State<Arc<Shared>>) -> Json<Counters> {
    Json(shared.counters().clone())
}

#[derive(Serialize)]
struct Shown {
    pending: usize,
    holding: usize,
}

async fn show(State(shared): State<Arc<Shared>>) -> Json<Shown> {
    Json(Shown { pending: shared.faults.pending(), holding: shared.faults.holding() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    fault: Fault,
}

async fn add(State(shared): State<Arc<Shared>>, Json(wanted): Json<Wanted>) -> StatusCode {
    shared.faults.next_token_request(wanted.fault);
    StatusCode::NO_CONTENT
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}
