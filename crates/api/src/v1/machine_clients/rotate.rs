use super::NewMachineClientBody;
use crate::extract::{Authorized, Calling, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::MachineClientId;

/// Give a machine client a new secret in the place of the old one, which obtains nothing from now
/// on; tokens that it obtained work until they expire. The secret is in this answer only; an
/// `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/machine-clients/{id}/rotate", tag = "machine access", operation_id = "rotate_machine_client_secret",
    params(("id" = MachineClientId, Path)),
    responses((status = 201, description = "The client, with its new secret.", body = NewMachineClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    PathId(id): PathId<MachineClientId>,
) -> Result<(StatusCode, Json<NewMachineClientBody>), Problem> {
    let (client, secret) = api.machine().rotate_client_secret(&permit, &caller, id).await?;
    let client_secret = Some(secret.expose().clone());
    let body = NewMachineClientBody { client: client.into(), client_secret };
    Ok((StatusCode::CREATED, Json(body)))
}
