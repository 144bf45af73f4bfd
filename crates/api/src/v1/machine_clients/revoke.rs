use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::MachineClientId;

/// Revoke a machine client. It obtains no more tokens, and those that it has stop working at once;
/// its record stays.
#[utoipa::path(
    delete, path = "/machine-clients/{id}", tag = "machine access", operation_id = "revoke_machine_client",
    params(("id" = MachineClientId, Path)),
    responses((status = 204, description = "It works no more."), (status = "default", response = Problem))
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    PathId(id): PathId<MachineClientId>,
) -> Result<StatusCode, Problem> {
    api.machine().revoke_client(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
