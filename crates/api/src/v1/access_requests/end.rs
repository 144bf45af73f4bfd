use super::AccessRequestBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::AccessRequestId;

/// End an access before its time, at once, or a request before it is decided.
#[utoipa::path(
    post, path = "/access-requests/{id}/end", tag = "staff access", operation_id = "end_access_request",
    params(("id" = AccessRequestId, Path)),
    responses((status = 200, description = "The request.", body = AccessRequestBody), (status = "default", response = Problem))
)]
pub(crate) async fn end(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::DecideAccess>,
    PathId(id): PathId<AccessRequestId>,
) -> Result<Json<AccessRequestBody>, Problem> {
    Ok(Json(api.staff().end(&permit, id).await?.into()))
}
