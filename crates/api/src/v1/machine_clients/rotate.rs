use super::NewMachineClientBody;
use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::MachineClientId;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// How a secret is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MachineClientRotation)]
pub(crate) struct RotationBody {
    /// How many hours the old secret goes on working: 0 to 720. Default 24.
    overlap_hours: Option<u64>,
}

/// Give a machine client a new secret; the old one goes on working until the overlap ends, and
/// tokens that it obtained until they expire. The secret is in this answer only; an
/// `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/machine-clients/{id}/rotate", tag = "machine access", operation_id = "rotate_machine_client_secret",
    params(("id" = MachineClientId, Path)),
    request_body = RotationBody,
    responses((status = 201, description = "The client, with its new secret.", body = NewMachineClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    PathId(id): PathId<MachineClientId>,
    JsonBody(rotation): JsonBody<RotationBody>,
) -> Result<(StatusCode, Json<NewMachineClientBody>), Problem> {
    let overlap =
        rotation.overlap_hours.map(|hours| Duration::from_secs(hours.saturating_mul(3600)));
    let rotated = api.machine().rotate_client_secret(&permit, &caller, id, overlap).await?;
    let (client, secret) = rotated;
    let client_secret = Some(secret.expose().clone());
    let body = NewMachineClientBody { client: client.into(), client_secret };
    Ok((StatusCode::CREATED, Json(body)))
}
