use super::ConnectionBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ConnectionId;

/// Show a connection; never its credential.
#[utoipa::path(
    get, path = "/connections/{id}", tag = "connections", operation_id = "show_connection",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, description = "The connection.", body = ConnectionBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<ConnectionBody>, Problem> {
    Ok(Json(api.connect().connection(&permit, id).await?.into()))
}
