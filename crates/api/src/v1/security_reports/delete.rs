use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::ReportId;

/// Delete a report of a vulnerability for good. For the installation's staff.
#[utoipa::path(
    delete, path = "/security-reports/{id}", tag = "installation", operation_id = "delete_security_report",
    params(("id" = ReportId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadReports>,
    PathId(id): PathId<ReportId>,
) -> Result<StatusCode, Problem> {
    api.disclosure().delete_report(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
