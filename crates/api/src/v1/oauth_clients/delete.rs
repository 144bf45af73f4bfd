use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::OAuthClientId;

/// Delete an OAuth client that no connection was made with.
#[utoipa::path(
    delete, path = "/oauth-clients/{id}", tag = "oauth clients", operation_id = "delete_oauth_client",
    params(("id" = OAuthClientId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageOAuthClients>,
    PathId(id): PathId<OAuthClientId>,
) -> Result<StatusCode, Problem> {
    api.connect().delete_oauth_client(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
