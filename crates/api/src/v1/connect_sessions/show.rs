use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::{ConnectSessionId, ConnectionId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a connect session is.
#[derive(Serialize, ToSchema)]
pub(crate) struct SessionStateBody {
    /// Its id.
    id: ConnectSessionId,
    /// The app; null if the customer chooses.
    app: Option<String>,
    /// The name that the connection gets or got; null if it is still to be made up.
    name: Option<String>,
    /// When the link stops working.
    expires_at: Timestamp,
    /// When it was used, if it was.
    used_at: Option<Timestamp>,
    /// The connection that came of it.
    connection_id: Option<ConnectionId>,
}

/// Show whether a customer has used a link.
#[utoipa::path(
    get, path = "/connect-sessions/{id}", tag = "connections", operation_id = "show_connect_session",
    params(("id" = ConnectSessionId, Path)),
    responses((status = 200, description = "The session.", body = SessionStateBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    PathId(id): PathId<ConnectSessionId>,
) -> Result<Json<SessionStateBody>, Problem> {
    let session = api.connect().session(&permit, id).await?;
    Ok(Json(SessionStateBody {
        id: session.id,
        app: session.app,
        name: session.name,
        expires_at: session.expires_at,
        used_at: session.used_at,
        connection_id: session.connection,
    }))
}
