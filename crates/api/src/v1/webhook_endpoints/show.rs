use super::WebhookEndpointBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;

/// Show a webhook endpoint, and whether it gets messages.
#[utoipa::path(
    get, path = "/webhook-endpoints/{id}", tag = "webhooks", operation_id = "show_webhook_endpoint",
    params(("id" = WebhookEndpointId, Path)),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpointBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<Json<WebhookEndpointBody>, Problem> {
    Ok(Json(api.webhooks().endpoint(&permit, id).await?.into()))
}
