//! Webhooks on their way, and how their attempts went.

pub(crate) mod attempts;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod show;

use causeway_types::entity::{WebhookDeadReason, WebhookDelivery, WebhookDeliveryState};
use causeway_types::{Timestamp, WebhookDeliveryId, WebhookEndpointId, WebhookMessageId};
use serde::Serialize;
use utoipa::ToSchema;

/// A message on its way to one endpoint.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub(crate) struct WebhookDeliveryBody {
    /// Its id.
    id: WebhookDeliveryId,
    /// The message.
    message_id: WebhookMessageId,
    /// The endpoint.
    endpoint_id: WebhookEndpointId,
    /// How far it is.
    state: WebhookDeliveryState,
    /// Why it was given up.
    dead_reason: Option<WebhookDeadReason>,
    /// How many attempts there were.
    attempts: i64,
    /// When the next attempt is due; null if there is none, or if one is under way.
    next_attempt_at: Option<Timestamp>,
    /// When the message was made.
    created_at: Timestamp,
    /// When it was delivered or given up.
    ended_at: Option<Timestamp>,
}

impl From<WebhookDelivery> for WebhookDeliveryBody {
    fn from(delivery: WebhookDelivery) -> Self {
        Self {
            id: delivery.id,
            message_id: delivery.message_id,
            endpoint_id: delivery.endpoint_id,
            state: delivery.state,
            dead_reason: delivery.dead_reason,
            attempts: delivery.attempts,
            next_attempt_at: delivery.due_at.filter(|_| delivery.owner.is_none()),
            created_at: delivery.created_at,
            ended_at: delivery.ended_at,
        }
    }
}
