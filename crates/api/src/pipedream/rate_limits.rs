//! Limits that programs set themselves, and name in `x-pd-rate-limit`.

use super::caller::InEnvironment;
use crate::extract::JsonBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action::WriteConnections;
use serde::{Deserialize, Serialize};

/// A limit to make.
#[derive(Deserialize)]
pub(crate) struct Body {
    window_size_seconds: u32,
    requests_per_window: u32,
}

/// A limit's token.
#[derive(Serialize)]
pub(crate) struct Made {
    token: String,
}

/// Makes a limit.
pub(crate) async fn create(
    State(api): State<Api>,
    InEnvironment(_): InEnvironment<WriteConnections>,
    JsonBody(body): JsonBody<Body>,
) -> Result<Json<Made>, Problem> {
    let token = api.connect().self_limit(body.requests_per_window, body.window_size_seconds)?;
    Ok(Json(Made { token }))
}
