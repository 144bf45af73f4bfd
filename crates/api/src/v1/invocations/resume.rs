use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::InvocationId;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What an invocation goes on with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeRequest {
    /// What later steps find as `steps.<name>.$resume_data` of the step that waited. Default null.
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<Box<RawValue>>,
}

/// Let an invocation go on that waits for its resume link.
#[utoipa::path(
    post, path = "/invocations/{id}/resume", tag = "invocations", operation_id = "resume_invocation",
    params(("id" = InvocationId, Path)),
    request_body = ResumeRequest,
    responses((status = 204, description = "It goes on."), (status = "default", response = Problem))
)]
pub(crate) async fn resume(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ResumeInvocation>,
    PathId(id): PathId<InvocationId>,
    JsonBody(request): JsonBody<ResumeRequest>,
) -> Result<StatusCode, Problem> {
    let data = request.data.as_deref().unwrap_or(RawValue::NULL);
    api.flow().resume(&permit, id, data).await?;
    Ok(StatusCode::NO_CONTENT)
}
