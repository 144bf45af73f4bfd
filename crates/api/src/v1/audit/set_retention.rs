use super::RetentionBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Set how long the workspace's events are kept. What is older is deleted within the hour, up to a
/// signed checkpoint from which the rest can still be proved.
#[utoipa::path(
    put, path = "/audit/retention", tag = "audit", operation_id = "set_audit_retention",
    request_body = RetentionBody,
    responses((status = 200, description = "The days.", body = RetentionBody), (status = "default", response = Problem))
)]
pub(crate) async fn set_retention(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageAudit>,
    JsonBody(body): JsonBody<RetentionBody>,
) -> Result<Json<RetentionBody>, Problem> {
    api.audit().set_retention(&permit, body.days).await?;
    Ok(Json(body))
}
