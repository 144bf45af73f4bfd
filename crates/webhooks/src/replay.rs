//! Sending again what was given up, or what a receiver has lost.

use crate::error::WebhookError;
use crate::{Inner, Webhooks, limits};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{WebhookDeliveryState, WebhookEndpointState};
use causeway_types::{Tenant, Timestamp, WebhookDeliveryId, WebhookEndpointId};

/// Which of an endpoint's deliveries to send again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Span {
    /// Those of messages made from this time on.
    pub since: Option<Timestamp>,
    /// Those of messages made before this time.
    pub until: Option<Timestamp>,
    /// Not only the dead ones, but those too that the endpoint took.
    pub delivered: bool,
}

/// What is sent again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many deliveries.
    pub deliveries: u64,
    /// Whether these are as many as one call takes, so that there may be more.
    pub more: bool,
}

impl Replayed {
    pub(crate) fn of(deliveries: u64) -> Self {
        Self { deliveries, more: i64::try_from(deliveries).is_ok_and(|n| n >= limits::REPLAYED) }
    }
}

impl Webhooks {
    /// Sends one delivery again, with the same message id; at once, if it waits for its next attempt.
    /// The ladder begins anew. One that is under way stays as it is.
    ///
    /// # Errors
    /// [`WebhookError::NoDelivery`], [`WebhookError::Disabled`].
    pub async fn replay_delivery(
        &self,
        permit: &Permit<action::ReplayWebhooks>,
        id: WebhookDeliveryId,
    ) -> Result<(), WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.store.write(permit.actor()).await?;
        let unknown = WebhookError::NoDelivery(id);
        let endpoint = db!(tx, webhook::delivery(tenant, id))?.ok_or(unknown)?.endpoint_id;
        inner.hold_enabled(&mut tx, tenant, endpoint).await?;
        if !db!(tx, webhook::replay(tenant, id, now))? {
            return Ok(());
        }
        tx.webhooks_due().await?;
        let event = Audit::WebhooksReplayed { endpoint, delivery: Some(id), deliveries: 1 };
        Ok(tx.commit(tenant.workspace, now, event).await?)
    }

    /// Sends an endpoint's dead deliveries again, the oldest 10,000 of the span.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`], [`WebhookError::Disabled`].
    pub async fn replay_endpoint(
        &self,
        permit: &Permit<action::ReplayWebhooks>,
        id: WebhookEndpointId,
        span: Span,
    ) -> Result<Replayed, WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let also = if span.delivered {
            WebhookDeliveryState::Delivered
        } else {
            WebhookDeliveryState::Dead
        };
        let since = span.since.unwrap_or(Timestamp::from_micros(i64::MIN));
        let until = span.until.unwrap_or(Timestamp::from_micros(i64::MAX));
        let mut tx = inner.store.write(permit.actor()).await?;
        inner.hold_enabled(&mut tx, tenant, id).await?;
        let (span, most) = ((since, until), limits::REPLAYED);
        let sent = db!(tx, webhook::replay_made(tenant, id, also, span, now, most))?;
        let replayed = Replayed::of(sent);
        tx.webhooks_due().await?;
        let deliveries = replayed.deliveries;
        let event = Audit::WebhooksReplayed { endpoint: id, delivery: None, deliveries };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(replayed)
    }
}

impl Inner {
    /// Holds an endpoint that has to be enabled.
    async fn hold_enabled(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        id: WebhookEndpointId,
    ) -> Result<(), WebhookError> {
        db!(tx, webhook_claims::hold(tenant.workspace, id))?;
        let endpoint =
            db!(tx, webhook_endpoint::get(tenant, id))?.ok_or(WebhookError::NoEndpoint(id))?;
        match endpoint.state {
            WebhookEndpointState::Enabled => Ok(()),
            WebhookEndpointState::Disabled => Err(WebhookError::Disabled(id)),
        }
    }
}
