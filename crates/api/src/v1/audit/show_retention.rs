use super::RetentionBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Show how long the workspace's events are kept.
#[utoipa::path(
    get, path = "/audit/retention", tag = "audit", operation_id = "show_audit_retention",
    responses((status = 200, description = "The days.", body = RetentionBody), (status = "default", response = Problem))
)]
pub(crate) async fn show_retention(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadAudit>,
) -> Result<Json<RetentionBody>, Problem> {
    Ok(Json(RetentionBody { days: api.audit().retention(&permit).await? }))
}
