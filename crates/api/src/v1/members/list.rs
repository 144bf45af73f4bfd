use super::MemberBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MemberId;

/// List the members of the workspace, oldest first.
#[utoipa::path(
    get, path = "/members", tag = "members", operation_id = "list_members",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<MemberBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<MemberBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(MemberId::lowest())?);
    let members = api.members().members(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(members, limit, |member| member.id.to_string(), MemberBody::from)))
}
