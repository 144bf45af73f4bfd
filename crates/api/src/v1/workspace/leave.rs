use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::{Code, WorkspaceId};
use serde::Deserialize;
use utoipa::ToSchema;

/// Which workspace to leave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leave {
    /// The workspace that the request acts in, once more: nobody leaves by mistake.
    workspace_id: WorkspaceId,
}

/// Leave the workspace: the caller, a person, is a member no more. The last owner cannot.
#[utoipa::path(
    post, path = "/workspace/leave", tag = "workspace", operation_id = "leave_workspace",
    request_body = Leave,
    responses((status = 204, description = "The caller is out."), (status = "default", response = Problem))
)]
pub(crate) async fn leave(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkspace>,
    JsonBody(leave): JsonBody<Leave>,
) -> Result<StatusCode, Problem> {
    if leave.workspace_id != permit.workspace() {
        return Err(Problem::new(
            Code::InvalidRequest,
            "`workspace_id` is not the workspace that the request acts in.",
        ));
    }
    api.members().leave(&permit).await?;
    Ok(StatusCode::NO_CONTENT)
}
