use super::InvitationBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::InvitationId;

/// List the invitations that are open, oldest first.
#[utoipa::path(
    get, path = "/invitations", tag = "members", operation_id = "list_invitations",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<InvitationBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMembers>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<InvitationBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(InvitationId::lowest())?);
    let open = api.members().invitations(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(open, limit, |one| one.invitation.id.to_string(), InvitationBody::from)))
}
