use super::GroupBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::GroupId;

/// List the groups of the workspace, oldest first.
#[utoipa::path(
    get, path = "/groups", tag = "groups", operation_id = "list_groups",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<GroupBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<GroupBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(GroupId::lowest())?);
    let groups = api.members().groups(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(groups, limit, |group| group.id.to_string(), GroupBody::from)))
}
