use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::WebhookDeliveryId;

/// Send a webhook again, under the message id that it always had; at once, if it waits for its next
/// attempt. One that is being sent right now stays as it is.
#[utoipa::path(
    post, path = "/webhook-deliveries/{id}/replay", tag = "webhooks", operation_id = "replay_webhook_delivery",
    params(("id" = WebhookDeliveryId, Path)),
    responses((status = 202, description = "It is on its way."), (status = "default", response = Problem))
)]
pub(crate) async fn replay(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReplayWebhooks>,
    PathId(id): PathId<WebhookDeliveryId>,
) -> Result<StatusCode, Problem> {
    api.webhooks().replay_delivery(&permit, id).await?;
    Ok(StatusCode::ACCEPTED)
}
