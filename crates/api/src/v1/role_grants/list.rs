use super::RoleGrantBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::RoleGrantId;

/// List the roles given in the workspace, oldest first.
#[utoipa::path(
    get, path = "/role-grants", tag = "members", operation_id = "list_role_grants",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<RoleGrantBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<RoleGrantBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(RoleGrantId::lowest())?);
    let grants = api.members().role_grants(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(grants, limit, |grant| grant.id.to_string(), RoleGrantBody::from)))
}
