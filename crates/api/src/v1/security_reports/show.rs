use super::WholeSecurityReport;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ReportId;

/// Show a report of a vulnerability, encrypted to the operator's PGP key as it is kept. For the
/// installation's staff.
#[utoipa::path(
    get, path = "/security-reports/{id}", tag = "installation", operation_id = "show_security_report",
    params(("id" = ReportId, Path)),
    responses((status = 200, description = "The report.", body = WholeSecurityReport), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadReports>,
    PathId(id): PathId<ReportId>,
) -> Result<Json<WholeSecurityReport>, Problem> {
    Ok(Json(api.disclosure().report(&permit, id).await?.into()))
}
