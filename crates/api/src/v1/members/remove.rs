use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::MemberId;

/// Remove a member with their roles, places in groups and open invitations, and end their
/// sessions. Only owners remove owners, and nobody the last one.
#[utoipa::path(
    delete, path = "/members/{id}", tag = "members", operation_id = "remove_member",
    params(("id" = MemberId, Path)),
    responses((status = 204, description = "They are out."), (status = "default", response = Problem))
)]
pub(crate) async fn remove(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<MemberId>,
) -> Result<StatusCode, Problem> {
    api.members().remove_member(&permit, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
