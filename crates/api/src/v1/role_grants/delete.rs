use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::RoleGrantId;

/// Take a role away. Only owners take the role `owner`, and nobody the last owner's.
#[utoipa::path(
    delete, path = "/role-grants/{id}", tag = "members", operation_id = "delete_role_grant",
    params(("id" = RoleGrantId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<RoleGrantId>,
) -> Result<StatusCode, Problem> {
    api.members().revoke_role(&permit, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
