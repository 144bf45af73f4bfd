use crate::extract::{Authorized, JsonBody};
use crate::v1::access_requests::AccessRequestBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewAccess, action};
use causeway_types::WorkspaceId;
use causeway_types::entity::Role;
use serde::Deserialize;
use utoipa::ToSchema;

/// A request for access to a workspace.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccessBody {
    /// The workspace.
    workspace_id: WorkspaceId,
    /// `operator`, `viewer` or `auditor`.
    role: Role,
    /// Why: 10 to 500 characters on one line, which the workspace's owners read.
    reason: String,
    /// For how long, from the approval on: 1 to 480.
    #[schema(minimum = 1, maximum = 480)]
    minutes: i64,
}

/// Ask for access to a workspace. An owner of the workspace or a second member of the staff
/// approves it; it ends by itself, and the workspace sees all of it in its audit chain.
#[utoipa::path(
    post, path = "/staff/access-requests", tag = "staff access", operation_id = "create_staff_access_request",
    request_body = NewAccessBody,
    responses((status = 201, description = "The request.", body = AccessRequestBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::RequestAccess>,
    JsonBody(body): JsonBody<NewAccessBody>,
) -> Result<(StatusCode, Json<AccessRequestBody>), Problem> {
    let NewAccessBody { workspace_id: workspace, role, reason, minutes } = body;
    let new = NewAccess { workspace, role, reason, minutes };
    let made = api.staff().request(&permit, new).await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}
