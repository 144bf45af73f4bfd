use super::WebhookDeliveryBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookDeliveryId;

/// Show a webhook delivery.
#[utoipa::path(
    get, path = "/webhook-deliveries/{id}", tag = "webhooks", operation_id = "show_webhook_delivery",
    params(("id" = WebhookDeliveryId, Path)),
    responses((status = 200, description = "The delivery.", body = WebhookDeliveryBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    PathId(id): PathId<WebhookDeliveryId>,
) -> Result<Json<WebhookDeliveryBody>, Problem> {
    Ok(Json(api.webhooks().delivery(&permit, id).await?.into()))
}
