use super::MemberDetailBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MemberId;

/// Show a member with their roles and groups.
#[utoipa::path(
    get, path = "/members/{id}", tag = "members", operation_id = "show_member",
    params(("id" = MemberId, Path)),
    responses((status = 200, description = "The member.", body = MemberDetailBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    PathId(id): PathId<MemberId>,
) -> Result<Json<MemberDetailBody>, Problem> {
    Ok(Json(api.members().member(&permit, id).await?.into()))
}
