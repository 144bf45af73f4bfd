use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::v1::access_requests::AccessRequestBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::AccessRequestId;

/// List the staff's requests for access to all workspaces, newest first.
#[utoipa::path(
    get, path = "/staff/access-requests", tag = "staff access", operation_id = "list_staff_access_requests",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<AccessRequestBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::RequestAccess>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<AccessRequestBody>>, Problem> {
    let (limit, before) = (query.limit()?, query.after(AccessRequestId::highest())?);
    let found = api.staff().requests_of_staff(&permit, before, limit + 1).await?;
    Ok(Json(Page::of(found, limit, |one| one.request.id.to_string(), AccessRequestBody::from)))
}
