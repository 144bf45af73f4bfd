use super::SecurityReport;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ReportId;

/// List the reports of vulnerabilities that have come, newest first. For the installation's staff.
#[utoipa::path(
    get, path = "/security-reports", tag = "installation", operation_id = "list_security_reports",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<SecurityReport>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadReports>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<SecurityReport>>, Problem> {
    let (limit, before) = (query.limit()?, query.after(ReportId::highest())?);
    let found = api.disclosure().reports(&permit, before, limit + 1).await?;
    Ok(Json(Page::of(found, limit, |report| report.id.to_string(), SecurityReport::from)))
}
