use super::{ApiKeyBody, NewApiKeyBody};
use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{Rotation, action};
use causeway_types::{ApiKeyId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// How a key is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRotation)]
pub(crate) struct RotationBody {
    /// How many hours the old key goes on working: 0 to 720. Default 24.
    overlap_hours: Option<u64>,
    /// How long the new key works, in seconds. Left out: as long as the old one was made for.
    expires_in: Option<u64>,
}

/// A new key in the place of another.
#[derive(Serialize, ToSchema)]
#[schema(as = RotatedApiKey)]
pub(crate) struct RotatedBody {
    #[serde(flatten)]
    new: NewApiKeyBody,
    /// Until when the old key works.
    old_key_works_until: Timestamp,
}

/// Make a key like this one in its place; both work until the overlap ends. The new text is in
/// this answer only; an `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/api-keys/{id}/rotate", tag = "machine access", operation_id = "rotate_api_key",
    params(("id" = ApiKeyId, Path)),
    request_body = RotationBody,
    responses((status = 201, description = "The new key, with its text.", body = RotatedBody), (status = "default", response = Problem))
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    PathId(id): PathId<ApiKeyId>,
    JsonBody(rotation): JsonBody<RotationBody>,
) -> Result<(StatusCode, Json<RotatedBody>), Problem> {
    let hours = |hours: u64| Duration::from_secs(hours.saturating_mul(3600));
    let rotation = Rotation {
        overlap: rotation.overlap_hours.map(hours),
        lifetime: rotation.expires_in.map(Duration::from_secs),
    };
    let rotated = api.machine().rotate_key(&permit, &caller, id, rotation).await?;
    let key = ApiKeyBody::from(rotated.key);
    let body = RotatedBody {
        new: NewApiKeyBody { key, api_key: rotated.secret.expose().clone() },
        old_key_works_until: rotated.old_until,
    };
    Ok((StatusCode::CREATED, Json(body)))
}
