use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::InvitationId;

/// Revoke an open invitation: its link works no more.
#[utoipa::path(
    delete, path = "/invitations/{id}", tag = "members", operation_id = "revoke_invitation",
    params(("id" = InvitationId, Path)),
    responses((status = 204, description = "It is revoked."), (status = "default", response = Problem))
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<InvitationId>,
) -> Result<StatusCode, Problem> {
    api.members().revoke_invitation(&permit, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
