use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::ConnectionId;

/// Revoke a connection at the app and delete it for good.
#[utoipa::path(
    delete, path = "/connections/{id}", tag = "connections", operation_id = "delete_connection",
    params(("id" = ConnectionId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    PathId(id): PathId<ConnectionId>,
) -> Result<StatusCode, Problem> {
    api.connect().delete_connection(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
