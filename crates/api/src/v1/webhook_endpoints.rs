//! Endpoints that webhooks are sent to. A secret is in the one answer that makes it and nowhere else:
//! these answers are not kept for an `Idempotency-Key`.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod rotate;
pub(crate) mod show;

use causeway_types::entity::{
    WebhookDisabledReason, WebhookEndpointState, WebhookPurpose, WebhookSignature,
};
use causeway_types::{Timestamp, WebhookEndpointId};
use causeway_webhooks::EndpointView;
use serde::Serialize;
use utoipa::ToSchema;

/// A server of yours that webhooks are sent to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub(crate) struct WebhookEndpointBody {
    /// Its id.
    id: WebhookEndpointId,
    /// What it is there for: events, or the outcomes of connect sessions.
    purpose: WebhookPurpose,
    /// Its URL. The values of a query are not shown.
    url: String,
    /// What people call it.
    description: String,
    /// The types of events that it wants; empty for all.
    event_types: Vec<String>,
    /// Whether it gets a message only when the one before was delivered or given up.
    ordered: bool,
    /// How messages are signed.
    signature: WebhookSignature,
    /// Whether it gets messages.
    state: WebhookEndpointState,
    /// Why not.
    disabled_reason: Option<WebhookDisabledReason>,
    /// Since when not.
    disabled_at: Option<Timestamp>,
    /// The first failure since which nothing was delivered.
    failing_since: Option<Timestamp>,
    /// Until when messages are signed with the secret before the present one, too.
    old_secret_until: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
    /// When somebody last changed it.
    updated_at: Timestamp,
}

impl From<EndpointView> for WebhookEndpointBody {
    fn from(endpoint: EndpointView) -> Self {
        Self {
            id: endpoint.id,
            purpose: endpoint.purpose,
            url: endpoint.url.to_string(),
            description: endpoint.description,
            event_types: endpoint.event_types,
            ordered: endpoint.ordered,
            signature: endpoint.signature,
            state: endpoint.state,
            disabled_reason: endpoint.disabled_reason,
            disabled_at: endpoint.disabled_at,
            failing_since: endpoint.failing_since,
            old_secret_until: endpoint.old_secret_until,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// An endpoint with its new secret.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookEndpointWithSecret)]
pub(crate) struct SecretBody {
    #[serde(flatten)]
    endpoint: WebhookEndpointBody,
    /// What messages are signed with: `whsec_…`. It is shown this once.
    secret: String,
}
