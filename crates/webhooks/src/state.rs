//! Disabling endpoints, and enabling them again.

use crate::error::WebhookError;
use crate::replay::Replayed;
use crate::{EndpointView, Webhooks, limits};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::WebhookEndpointId;
use causeway_types::entity::{WebhookDisabledReason, WebhookEndpointState};

impl Webhooks {
    /// Disables an endpoint: what is pending for it is dead, and so is what comes, until it is
    /// enabled. An attempt under way ends as it ends.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`].
    pub async fn disable_endpoint(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        id: WebhookEndpointId,
    ) -> Result<EndpointView, WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let (mut endpoint, target) = inner.held(&mut tx, tenant, id).await?;
        let reason = WebhookDisabledReason::Request;
        if db!(tx, webhook_endpoint::disable(tenant.workspace, id, reason, now))? {
            db!(tx, webhook::give_up(tenant.workspace, id, now))?;
            let event = Audit::WebhookEndpointDisabled { endpoint: id, reason };
            tx.commit(tenant.workspace, now, event).await?;
            endpoint.state = WebhookEndpointState::Disabled;
            endpoint.disabled_reason = Some(reason);
            endpoint.disabled_at = Some(now);
            endpoint.updated_at = now;
        }
        Ok(EndpointView::new(endpoint, &target, now))
    }

    /// Enables an endpoint. With `replay`, what was given up since it began to fail, or since it was
    /// disabled, is sent again: the oldest 10,000 of it.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`].
    pub async fn enable_endpoint(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        id: WebhookEndpointId,
        replay: bool,
    ) -> Result<(EndpointView, Replayed), WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let (mut endpoint, target) = inner.held(&mut tx, tenant, id).await?;
        let mut replayed = Replayed::default();
        if db!(tx, webhook_endpoint::enable(tenant, id, now))? {
            let since = endpoint.failing_since.into_iter().chain(endpoint.disabled_at).min();
            if let Some(since) = since.filter(|_| replay) {
                let most = limits::REPLAYED;
                let sent = db!(tx, webhook::replay_dead(tenant, id, since, now, most))?;
                replayed = Replayed::of(sent);
                tx.webhooks_due().await?;
            }
            let event =
                Audit::WebhookEndpointEnabled { endpoint: id, replayed: replayed.deliveries };
            tx.commit(tenant.workspace, now, event).await?;
            endpoint.state = WebhookEndpointState::Enabled;
            endpoint.disabled_reason = None;
            endpoint.disabled_at = None;
            endpoint.failing_since = None;
            endpoint.updated_at = now;
        }
        Ok((EndpointView::new(endpoint, &target, now), replayed))
    }
}
