use crate::cookies::SessionCookie;
use crate::extract::{Own, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_types::SessionId;

/// End one of your own sessions. Its browser is signed out at once.
#[utoipa::path(
    delete, path = "/sessions/{id}", tag = "sessions", operation_id = "revoke_session",
    params(("id" = SessionId, Path)),
    responses((status = 204, description = "It is over."), (status = "default", response = Problem))
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Own(cookie): Own<SessionCookie>,
    PathId(id): PathId<SessionId>,
) -> Result<StatusCode, Problem> {
    api.sign_in().sessions().revoke(cookie.text(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
