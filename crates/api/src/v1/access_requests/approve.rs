use super::AccessRequestBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{AccessDecision, action};
use causeway_types::AccessRequestId;

/// Approve a request: from now on, and until its time is over, its role counts in the workspace.
#[utoipa::path(
    post, path = "/access-requests/{id}/approve", tag = "staff access", operation_id = "approve_access_request",
    params(("id" = AccessRequestId, Path)),
    responses((status = 200, description = "The request.", body = AccessRequestBody), (status = "default", response = Problem))
)]
pub(crate) async fn approve(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::DecideAccess>,
    PathId(id): PathId<AccessRequestId>,
) -> Result<Json<AccessRequestBody>, Problem> {
    Ok(Json(api.staff().decide(&permit, id, AccessDecision::Approve).await?.into()))
}
