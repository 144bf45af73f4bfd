//! Looking at endpoints.

use crate::error::WebhookError;
use crate::target::Target;
use crate::{Page, Webhooks};
use causeway_identity::{Permit, action};
use causeway_store::db;
use causeway_types::entity::{
    WebhookDisabledReason, WebhookEndpoint, WebhookEndpointState, WebhookOrder, WebhookPurpose,
    WebhookSignature,
};
use causeway_types::{RedactedUrl, Timestamp, WebhookEndpointId};

/// An endpoint without its secrets.
#[derive(Debug, Clone)]
pub struct EndpointView {
    /// Its id.
    pub id: WebhookEndpointId,
    /// What it is there for.
    pub purpose: WebhookPurpose,
    /// Its URL, as far as it may be shown: the values of its query may be tokens.
    pub url: RedactedUrl,
    /// What people call it.
    pub description: String,
    /// The types of events that it wants; empty for all.
    pub event_types: Vec<String>,
    /// Whether it gets a message only when the one before has ended.
    pub ordered: bool,
    /// How messages are signed.
    pub signature: WebhookSignature,
    /// Whether it gets messages.
    pub state: WebhookEndpointState,
    /// Why not.
    pub disabled_reason: Option<WebhookDisabledReason>,
    /// Since when not.
    pub disabled_at: Option<Timestamp>,
    /// The first failure since which nothing was delivered.
    pub failing_since: Option<Timestamp>,
    /// Until when messages are signed with the secret before the present one, too.
    pub old_secret_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When somebody last changed it.
    pub updated_at: Timestamp,
}

impl EndpointView {
    pub(crate) fn new(endpoint: WebhookEndpoint, target: &Target, now: Timestamp) -> Self {
        Self {
            id: endpoint.id,
            purpose: endpoint.purpose,
            url: RedactedUrl::new(target.url.clone()),
            description: endpoint.description,
            event_types: endpoint.event_types.split_whitespace().map(str::to_owned).collect(),
            ordered: endpoint.delivery_order == WebhookOrder::Strict,
            signature: endpoint.signature,
            state: endpoint.state,
            disabled_reason: endpoint.disabled_reason,
            disabled_at: endpoint.disabled_at,
            failing_since: endpoint.failing_since,
            old_secret_until: target.overlaps_until(now),
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

impl Webhooks {
    /// An endpoint, of whichever purpose.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`].
    pub async fn endpoint(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        id: WebhookEndpointId,
    ) -> Result<EndpointView, WebhookError> {
        permit.covers_every_app()?;
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, webhook_endpoint::get(permit.tenant(), id))?;
        drop(conn);
        self.view(found.ok_or(WebhookError::NoEndpoint(id))?).await
    }

    /// A page of the environment's endpoints for events, oldest first, from after `after`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn endpoints(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        after: Option<WebhookEndpointId>,
        limit: u16,
    ) -> Result<Page<EndpointView, WebhookEndpointId>, WebhookError> {
        permit.covers_every_app()?;
        let after = after.unwrap_or(WebhookEndpointId::lowest());
        let mut conn = self.inner.store.read().await?;
        let more = i64::from(limit) + 1;
        let rows = db!(conn, webhook_endpoint::page(permit.tenant(), after, more))?;
        drop(conn);
        let page = Page::of(rows, limit, |one| one.id, |one| one);
        let mut items = Vec::with_capacity(page.items.len());
        for endpoint in page.items {
            items.push(self.view(endpoint).await?);
        }
        Ok(Page { items, next: page.next })
    }

    async fn view(&self, endpoint: WebhookEndpoint) -> Result<EndpointView, WebhookError> {
        let target = self.inner.target(&endpoint).await?;
        Ok(EndpointView::new(endpoint, &target, self.inner.clock.now()))
    }
}
