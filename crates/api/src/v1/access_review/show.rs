use super::AccessReviewBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{AccessReview, action};

/// Show who has what in the workspace, when they used it last, and what nobody used for 90 days.
#[utoipa::path(
    get, path = "/access-review", tag = "audit", operation_id = "show_access_review",
    responses((status = 200, description = "The review.", body = AccessReviewBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReviewAccess>,
) -> Result<Json<AccessReviewBody>, Problem> {
    Ok(Json(AccessReview::make(api.store(), &permit, api.clock().now()).await?.into()))
}
