use super::SecretBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;

/// Give a webhook endpoint a new secret. For 24 hours its messages are signed with the old one too,
/// until `old_secret_until`. The secret is in this answer only; an `Idempotency-Key` does not count
/// here.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/rotate", tag = "webhooks", operation_id = "rotate_webhook_endpoint_secret",
    params(("id" = WebhookEndpointId, Path)),
    responses((status = 201, description = "The endpoint, with its new secret.", body = SecretBody), (status = "default", response = Problem))
)]
pub(crate) async fn rotate(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<(StatusCode, Json<SecretBody>), Problem> {
    let rotated = api.webhooks().rotate_secret(&permit, id).await?;
    let (endpoint, secret) = (rotated.endpoint.into(), rotated.secret.expose().clone());
    Ok((StatusCode::CREATED, Json(SecretBody { endpoint, secret })))
}
