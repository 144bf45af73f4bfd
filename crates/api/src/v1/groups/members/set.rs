use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::v1::groups::GroupBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::{NewMembers, action};
use causeway_types::{GroupId, MemberId};
use serde::Deserialize;
use utoipa::ToSchema;

/// Who shall be in a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupMembers {
    /// Exactly these members; at most 10,000.
    members: Vec<MemberId>,
}

/// Say who is in a group: these members and no others. Nobody puts somebody into a group whose
/// roles they may not give.
#[utoipa::path(
    put, path = "/groups/{id}/members", tag = "groups", operation_id = "set_group_members",
    params(("id" = GroupId, Path)),
    request_body = GroupMembers,
    responses((status = 200, description = "The group.", body = GroupBody), (status = "default", response = Problem))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<GroupId>,
    JsonBody(new): JsonBody<GroupMembers>,
) -> Result<Json<GroupBody>, Problem> {
    let members = NewMembers::Exactly(new.members);
    Ok(Json(api.members().set_group_members(&permit, &caller, id, members).await?.into()))
}
