use crate::extract::{Authorized, PathId};
use crate::v1::access_requests::AccessRequestBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::AccessRequestId;

/// End an access of the staff before its time, at once, or withdraw a request.
#[utoipa::path(
    post, path = "/staff/access-requests/{id}/end", tag = "staff access", operation_id = "end_staff_access_request",
    params(("id" = AccessRequestId, Path)),
    responses((status = 200, description = "The request.", body = AccessRequestBody), (status = "default", response = Problem))
)]
pub(crate) async fn end(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::RequestAccess>,
    PathId(id): PathId<AccessRequestId>,
) -> Result<Json<AccessRequestBody>, Problem> {
    Ok(Json(api.staff().end_as_staff(&permit, id).await?.into()))
}
