use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::{EventId, InvocationId, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An event made by hand.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// What the code finds as `event`: any JSON.
    #[schema(value_type = serde_json::Value)]
    event: Box<RawValue>,
}

/// The stored event and the invocation that runs on it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RunResponse {
    /// The event.
    event_id: Option<EventId>,
    /// The invocation.
    invocation_id: Option<InvocationId>,
}

/// Run a workflow on an event made by hand.
#[utoipa::path(
    post, path = "/workflows/{id}/events", tag = "workflows", operation_id = "run_workflow",
    params(("id" = WorkflowId, Path)),
    request_body = RunRequest,
    responses((status = 202, description = "The event is stored.", body = RunResponse), (status = "default", response = Problem))
)]
pub(crate) async fn run(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::RunWorkflow>,
    PathId(id): PathId<WorkflowId>,
    JsonBody(request): JsonBody<RunRequest>,
) -> Result<(StatusCode, Json<RunResponse>), Problem> {
    let accepted = api.flow().run(&permit, id, request.event).await?;
    let response = RunResponse { event_id: accepted.event, invocation_id: accepted.invocation };
    Ok((StatusCode::ACCEPTED, Json(response)))
}
