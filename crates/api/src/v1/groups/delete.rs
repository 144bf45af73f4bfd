use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::GroupId;

/// Delete a group: its members lose its roles.
#[utoipa::path(
    delete, path = "/groups/{id}", tag = "groups", operation_id = "delete_group",
    params(("id" = GroupId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<GroupId>,
) -> Result<StatusCode, Problem> {
    api.members().delete_group(&permit, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
