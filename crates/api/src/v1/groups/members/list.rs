use crate::extract::{Authorized, PathId, QueryOf};
use crate::page::{Page, PageQuery};
use crate::v1::members::MemberBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::{GroupId, MemberId};

/// List the members of a group, oldest first.
#[utoipa::path(
    get, path = "/groups/{id}/members", tag = "groups", operation_id = "list_group_members",
    params(("id" = GroupId, Path), PageQuery),
    responses((status = 200, description = "One page.", body = Page<MemberBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    PathId(id): PathId<GroupId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<MemberBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(MemberId::lowest())?);
    let members = api.members().group_members(&permit, id, after, limit + 1).await?;
    Ok(Json(Page::of(members, limit, |member| member.id.to_string(), MemberBody::from)))
}
