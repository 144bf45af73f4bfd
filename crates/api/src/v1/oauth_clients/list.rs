use super::OAuthClientBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::OAuthClientId;

/// List your OAuth clients at apps.
#[utoipa::path(
    get, path = "/oauth-clients", tag = "oauth clients", operation_id = "list_oauth_clients",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<OAuthClientBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageOAuthClients>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<OAuthClientBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let after = query.after(OAuthClientId::lowest())?;
    let found = api.connect().oauth_clients(&permit, Some(after), limit).await?;
    Ok(Json(Page::new(found.items, found.next, OAuthClientBody::from)))
}
