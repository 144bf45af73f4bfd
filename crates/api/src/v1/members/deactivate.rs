use super::MemberBody;
use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MemberId;

/// Let a member come in no more, and end their sessions. They keep their place and their roles.
#[utoipa::path(
    post, path = "/members/{id}/deactivate", tag = "members", operation_id = "deactivate_member",
    params(("id" = MemberId, Path)),
    responses((status = 200, description = "The member.", body = MemberBody), (status = "default", response = Problem))
)]
pub(crate) async fn deactivate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    PathId(id): PathId<MemberId>,
) -> Result<Json<MemberBody>, Problem> {
    Ok(Json(api.members().deactivate_member(&permit, &caller, id).await?.into()))
}
