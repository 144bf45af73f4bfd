use super::WebhookEndpointBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;

/// Disable a webhook endpoint. What is pending for it is given up, and so is what comes, until it is
/// enabled again; that can send all of it.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/disable", tag = "webhooks", operation_id = "disable_webhook_endpoint",
    params(("id" = WebhookEndpointId, Path)),
    responses((status = 200, description = "The endpoint.", body = WebhookEndpointBody), (status = "default", response = Problem))
)]
pub(crate) async fn disable(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
) -> Result<Json<WebhookEndpointBody>, Problem> {
    Ok(Json(api.webhooks().disable_endpoint(&permit, id).await?.into()))
}
