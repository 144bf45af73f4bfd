use super::{GroupBody, GroupName};
use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::GroupId;

/// Give a group another name. Only owners change a group that carries the role `owner`.
#[utoipa::path(
    patch, path = "/groups/{id}", tag = "groups", operation_id = "change_group",
    params(("id" = GroupId, Path)),
    request_body = GroupName,
    responses((status = 200, description = "The group.", body = GroupBody), (status = "default", response = Problem))
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<GroupId>,
    JsonBody(new): JsonBody<GroupName>,
) -> Result<Json<GroupBody>, Problem> {
    Ok(Json(api.members().rename_group(&permit, &caller, id, new.name).await?.into()))
}
