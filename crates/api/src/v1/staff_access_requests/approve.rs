use crate::extract::{Authorized, PathId};
use crate::v1::access_requests::AccessRequestBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{AccessDecision, action};
use causeway_types::AccessRequestId;

/// Approve another staff member's request, as the second of two.
#[utoipa::path(
    post, path = "/staff/access-requests/{id}/approve", tag = "staff access", operation_id = "approve_staff_access_request",
    params(("id" = AccessRequestId, Path)),
    responses((status = 200, description = "The request.", body = AccessRequestBody), (status = "default", response = Problem))
)]
pub(crate) async fn approve(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ApproveStaff>,
    PathId(id): PathId<AccessRequestId>,
) -> Result<Json<AccessRequestBody>, Problem> {
    Ok(Json(api.staff().decide_as_staff(&permit, id, AccessDecision::Approve).await?.into()))
}
