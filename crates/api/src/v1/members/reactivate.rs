use super::MemberBody;
use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MemberId;

/// Let a deactivated member come in again, with the roles that they had.
#[utoipa::path(
    post, path = "/members/{id}/reactivate", tag = "members", operation_id = "reactivate_member",
    params(("id" = MemberId, Path)),
    responses((status = 200, description = "The member.", body = MemberBody), (status = "default", response = Problem))
)]
pub(crate) async fn reactivate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<MemberId>,
) -> Result<Json<MemberBody>, Problem> {
    Ok(Json(api.members().reactivate_member(&permit, &caller, id).await?.into()))
}
