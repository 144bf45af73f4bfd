use super::WebhookEndpointBody;
use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How an endpoint is enabled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointEnabling)]
pub(crate) struct EnableBody {
    /// Send again what was given up since the endpoint began to fail, or since it was disabled: the
    /// oldest 10,000. Default false.
    #[serde(default)]
    replay: bool,
}

/// An enabled endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnabledWebhookEndpoint)]
pub(crate) struct EnabledBody {
    #[serde(flatten)]
    endpoint: WebhookEndpointBody,
    /// How many deliveries are sent again.
    replayed: u64,
    /// Whether there may be more: `replay` of the endpoint sends these.
    more: bool,
}

/// Enable a webhook endpoint that somebody disabled, or that was disabled because it failed.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/enable", tag = "webhooks", operation_id = "enable_webhook_endpoint",
    params(("id" = WebhookEndpointId, Path)),
    request_body = EnableBody,
    responses((status = 200, description = "The endpoint.", body = EnabledBody), (status = "default", response = Problem))
)]
pub(crate) async fn enable(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
    JsonBody(wish): JsonBody<EnableBody>,
) -> Result<Json<EnabledBody>, Problem> {
    let (endpoint, replayed) = api.webhooks().enable_endpoint(&permit, id, wish.replay).await?;
    let endpoint = endpoint.into();
    Ok(Json(EnabledBody { endpoint, replayed: replayed.deliveries, more: replayed.more }))
}
