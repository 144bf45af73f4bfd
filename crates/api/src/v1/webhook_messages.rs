//! Webhooks, as they are sent.

pub(crate) mod list;
pub(crate) mod show;

use causeway_types::entity::WebhookEvent;
use causeway_types::{Timestamp, WebhookMessageId};
use causeway_webhooks::MessageView;
use serde::Serialize;
use utoipa::ToSchema;

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookMessage)]
pub(crate) struct WebhookMessageBody {
    /// Its id: the header `webhook-id` of every attempt.
    id: WebhookMessageId,
    /// What it tells of.
    r#type: WebhookEvent,
    /// The body that is sent. In a report, the connect token is masked.
    body: serde_json::Value,
    /// When it happened.
    created_at: Timestamp,
}

impl From<MessageView> for WebhookMessageBody {
    fn from(message: MessageView) -> Self {
        Self {
            id: message.id,
            r#type: message.kind,
            body: message.body,
            created_at: message.created_at,
        }
    }
}
