use super::ConnectionBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ConnectionId;
use serde::Serialize;
use utoipa::ToSchema;

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectionTest {
    /// Whether it works.
    works: bool,
    /// What went wrong and what to do; null if it works.
    problem: Option<String>,
    /// The connection as it is afterwards.
    connection: ConnectionBody,
}

/// Try a connection now: its token is renewed if it has to be, and the app is asked whether it takes
/// the credential. That it does not work is no error; the connection's state says so afterwards.
#[utoipa::path(
    post, path = "/connections/{id}/test", tag = "connections", operation_id = "test_connection",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, description = "What came of it.", body = ConnectionTest), (status = "default", response = Problem))
)]
pub(crate) async fn test(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::WriteConnections>,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<ConnectionTest>, Problem> {
    let tested = api.connect().test_connection(&permit, id).await?;
    let (works, problem) = (tested.problem.is_none(), tested.problem);
    Ok(Json(ConnectionTest { works, problem, connection: tested.connection.into() }))
}
