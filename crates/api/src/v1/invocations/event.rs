use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use causeway_identity::action;
use causeway_types::InvocationId;

/// Show the event that an invocation runs on.
#[utoipa::path(
    get, path = "/invocations/{id}/event", tag = "invocations", operation_id = "show_invocation_event",
    params(("id" = InvocationId, Path)),
    responses((status = 200, body = serde_json::Value, description = "What the code found as `event`."), (status = "default", response = Problem))
)]
pub(crate) async fn event(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadInvocations>,
    PathId(id): PathId<InvocationId>,
) -> Result<impl IntoResponse, Problem> {
    let event = api.flow().invocation_event(&permit, id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], event.expose().clone()))
}
