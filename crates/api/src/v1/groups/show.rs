use super::GroupDetailBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::GroupId;

/// Show a group with its roles.
#[utoipa::path(
    get, path = "/groups/{id}", tag = "groups", operation_id = "show_group",
    params(("id" = GroupId, Path)),
    responses((status = 200, description = "The group.", body = GroupDetailBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    PathId(id): PathId<GroupId>,
) -> Result<Json<GroupDetailBody>, Problem> {
    Ok(Json(api.members().group(&permit, id).await?.into()))
}
