use crate::extract::{Authorized, PathId, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::entity::RevocationFailure;
use causeway_types::{ConnectionId, ConnectionRevocationId};
use serde::Serialize;
use utoipa::ToSchema;

/// A connection that its app did not confirm to be revoked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevocationFailure)]
pub(crate) struct FailureBody {
    /// The connection.
    connection: ConnectionId,
    /// The app.
    app: String,
    /// Its name; null once its record is deleted.
    name: Option<String>,
    /// Why it is not known to be revoked.
    reason: String,
}

impl From<RevocationFailure> for FailureBody {
    fn from(failure: RevocationFailure) -> Self {
        let RevocationFailure { connection_id, app, name, reason } = failure;
        Self { connection: connection_id, app, name, reason }
    }
}

/// List the connections of a revocation that their apps did not confirm to be revoked, oldest first.
#[utoipa::path(
    get, path = "/connections/revocations/{id}/failures", tag = "connections", operation_id = "list_connection_revocation_failures",
    params(("id" = ConnectionRevocationId, Path), PageQuery),
    responses((status = 200, description = "One page.", body = Page<FailureBody>), (status = "default", response = Problem))
)]
pub(crate) async fn failures(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    PathId(id): PathId<ConnectionRevocationId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<FailureBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let after = query.after(ConnectionId::lowest())?;
    let found = api.connect().revocation_failures(&permit, id, Some(after), limit).await?;
    Ok(Json(Page::new(found.items, found.next, FailureBody::from)))
}
