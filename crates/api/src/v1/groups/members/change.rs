use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::v1::groups::GroupBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{NewMembers, action};
use causeway_types::{GroupId, MemberId};
use serde::Deserialize;
use utoipa::ToSchema;

/// Who comes into a group and who goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupMembersChange {
    /// Members to put in; those that are in it already stay.
    #[serde(default)]
    add: Vec<MemberId>,
    /// Members to take out; those that are not in it do not matter.
    #[serde(default)]
    remove: Vec<MemberId>,
}

/// Put members into a group and take members out. Nobody puts somebody into a group whose roles
/// they may not give.
#[utoipa::path(
    post, path = "/groups/{id}/members", tag = "groups", operation_id = "change_group_members",
    params(("id" = GroupId, Path)),
    request_body = GroupMembersChange,
    responses((status = 200, description = "The group.", body = GroupBody), (status = "default", response = Problem))
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<GroupId>,
    JsonBody(new): JsonBody<GroupMembersChange>,
) -> Result<Json<GroupBody>, Problem> {
    let members = NewMembers::Changed { add: new.add, remove: new.remove };
    Ok(Json(api.members().set_group_members(&permit, &caller, id, members).await?.into()))
}
