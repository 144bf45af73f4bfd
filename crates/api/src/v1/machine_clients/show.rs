use super::MachineClientBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MachineClientId;

/// Show a machine client; never its secret.
#[utoipa::path(
    get, path = "/machine-clients/{id}", tag = "machine access", operation_id = "show_machine_client",
    params(("id" = MachineClientId, Path)),
    responses((status = 200, description = "The client.", body = MachineClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMachineAccess>,
    PathId(id): PathId<MachineClientId>,
) -> Result<Json<MachineClientBody>, Problem> {
    Ok(Json(api.machine().client(&permit, id).await?.into()))
}
