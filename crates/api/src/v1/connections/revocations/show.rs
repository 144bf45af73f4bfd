use super::RevocationBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ConnectionRevocationId;

/// Show how far a revocation of many connections is. It is remembered for 30 days after its end.
#[utoipa::path(
    get, path = "/connections/revocations/{id}", tag = "connections", operation_id = "show_connection_revocation",
    params(("id" = ConnectionRevocationId, Path)),
    responses((status = 200, description = "The revocation.", body = RevocationBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    PathId(id): PathId<ConnectionRevocationId>,
) -> Result<Json<RevocationBody>, Problem> {
    Ok(Json(api.connect().revocation(&permit, id).await?.into()))
}
