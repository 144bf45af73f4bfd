use super::SecretBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::entity::WebhookSignature;
use causeway_webhooks::NewEndpoint;
use serde::Deserialize;
use utoipa::ToSchema;

/// An endpoint that you want.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookEndpointRequest)]
pub(crate) struct NewEndpointBody {
    /// Where messages go: https, or http to Causeway's own machine. At most 2,048 bytes.
    url: String,
    /// What people call it: at most 200 characters.
    #[serde(default)]
    description: String,
    /// The types of events that it wants. Left out or empty: all.
    #[serde(default)]
    event_types: Vec<String>,
    /// Whether it is to get a message only when the one before was delivered or given up.
    #[serde(default)]
    ordered: bool,
    /// How messages are signed. Default `standard`.
    signature: Option<WebhookSignature>,
}

/// Make a webhook endpoint. It gets the messages of this environment that are made from now on. Its
/// secret is in this answer only; an `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/webhook-endpoints", tag = "webhooks", operation_id = "create_webhook_endpoint",
    request_body = NewEndpointBody,
    responses((status = 201, description = "The endpoint, with its secret.", body = SecretBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWebhooks>,
    JsonBody(new): JsonBody<NewEndpointBody>,
) -> Result<(StatusCode, Json<SecretBody>), Problem> {
    let new = NewEndpoint {
        url: new.url,
        description: new.description,
        event_types: new.event_types,
        ordered: new.ordered,
        signature: new.signature.unwrap_or(WebhookSignature::Standard),
    };
    let made = api.webhooks().create_endpoint(&permit, new).await?;
    let (endpoint, secret) = (made.endpoint.into(), made.secret.expose().clone());
    Ok((StatusCode::CREATED, Json(SecretBody { endpoint, secret })))
}
