use super::WebhookEndpointBody;
use crate::extract::{Authorized, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;
use causeway_types::entity::WebhookSignature;
use causeway_webhooks::EndpointChange;
use serde::Deserialize;
use utoipa::ToSchema;

/// What is to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointChange)]
pub(crate) struct ChangeBody {
    /// Where messages go from the next attempt on.
    url: Option<String>,
    /// What people call it.
    description: Option<String>,
    /// The types of events that it wants from now on; empty for all.
    event_types: Option<Vec<String>>,
    /// Whether it is to get a message only when the one before was delivered or given up.
    ordered: Option<bool>,
    /// How messages are signed from the next attempt on.
    signature: Option<WebhookSignature>,
}

/// Change a webhook endpoint.
#[utoipa::path(
    patch, path = "/webhook-endpoints/{id}", tag = "webhooks", operation_id = "change_webhook_endpoint",
    params(("id" = WebhookEndpointId, Path)),
    request_body = ChangeBody,
    responses((status = 200, description = "The endpoint.", body = WebhookEndpointBody), (status = "default", response = Problem))
)]
pub(crate) async fn change(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
    JsonBody(change): JsonBody<ChangeBody>,
) -> Result<Json<WebhookEndpointBody>, Problem> {
    let change = EndpointChange {
        url: change.url,
        description: change.description,
        event_types: change.event_types,
        ordered: change.ordered,
        signature: change.signature,
    };
    Ok(Json(api.webhooks().change_endpoint(&permit, id, change).await?.into()))
}
