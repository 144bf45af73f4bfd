//! Changing endpoints, giving them new secrets, and deleting them.

use crate::create::{check_description, order, read_types};
use crate::error::WebhookError;
use crate::target::{self, Target};
use crate::{EndpointView, Inner, Webhooks};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{WebhookEndpoint, WebhookPurpose, WebhookSignature};
use causeway_types::place::Sealed;
use causeway_types::{Actor, Place, SecretString, Tenant, Timestamp, WebhookEndpointId, chain};

/// What is to change of an endpoint; what is missing stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChange {
    /// Where messages go from the next attempt on.
    pub url: Option<String>,
    /// What people call it.
    pub description: Option<String>,
    /// The types of events that it wants from now on; empty for all.
    pub event_types: Option<Vec<String>>,
    /// Whether it gets a message only when the one before has ended.
    pub ordered: Option<bool>,
    /// How messages are signed.
    pub signature: Option<WebhookSignature>,
}

/// An endpoint with its new secret, which is shown this once.
pub struct RotatedSecret {
    /// The endpoint.
    pub endpoint: EndpointView,
    /// What its messages are signed with from now on.
    pub secret: SecretString,
    /// Until when they are signed with the old one too.
    pub old_until: Timestamp,
}

impl Webhooks {
    /// Changes an endpoint.
    ///
    /// # Errors
    /// [`WebhookError::Invalid`] says what is wrong.
    pub async fn change_endpoint(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        id: WebhookEndpointId,
        change: EndpointChange,
    ) -> Result<EndpointView, WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let (mut endpoint, mut target) = inner.held_for_events(&mut tx, tenant, id).await?;
        let mut changed = Vec::new();
        if let Some(url) = change.url {
            target.url = target::read_url(&url)?;
            endpoint.target = inner.sealed(&endpoint, &target).await?;
            changed.push("url".to_owned());
        }
        if let Some(description) = change.description {
            check_description(&description)?;
            endpoint.description = description;
            changed.push("description".to_owned());
        }
        if let Some(types) = change.event_types {
            endpoint.event_types = read_types(&types)?;
            changed.push("event_types".to_owned());
        }
        if let Some(ordered) = change.ordered {
            endpoint.delivery_order = order(ordered);
            changed.push("ordered".to_owned());
        }
        if let Some(signature) = change.signature {
            endpoint.signature = signature;
            changed.push("signature".to_owned());
        }
        if changed.is_empty() {
            return Ok(EndpointView::new(endpoint, &target, now));
        }
        endpoint.updated_at = now;
        db!(tx, webhook_endpoint::update(&endpoint))?;
        let event = Audit::WebhookEndpointChanged { endpoint: id, changed };
        tx.commit(tenant.workspace, now, event).await?;
        Ok(EndpointView::new(endpoint, &target, now))
    }

    /// Gives an endpoint a new secret. For 24 hours messages are signed with the old one too. A
    /// secret that was still overlapping ends at once.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`].
    pub async fn rotate_secret(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        id: WebhookEndpointId,
    ) -> Result<RotatedSecret, WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let (mut endpoint, mut target) = inner.held_for_events(&mut tx, tenant, id).await?;
        let old_until = target.rotate(&*inner.random, now);
        endpoint.target = inner.sealed(&endpoint, &target).await?;
        endpoint.updated_at = now;
        db!(tx, webhook_endpoint::update(&endpoint))?;
        let event = Audit::WebhookEndpointSecretRotated { endpoint: id, old_until };
        tx.commit(tenant.workspace, now, event).await?;
        let view = EndpointView::new(endpoint, &target, now);
        Ok(RotatedSecret { endpoint: view, secret: target.secret, old_until })
    }

    /// Deletes an endpoint for good, with all its deliveries.
    ///
    /// # Errors
    /// [`WebhookError::NoEndpoint`].
    pub async fn delete_endpoint(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        id: WebhookEndpointId,
    ) -> Result<(), WebhookError> {
        permit.covers_every_app()?;
        let target = (permit.tenant(), id, WebhookPurpose::Events);
        let event = Audit::WebhookEndpointDeleted { endpoint: id };
        self.inner.delete(permit.actor(), target, event).await
    }
}

impl Inner {
    /// A transaction that will open or seal something: the keys are in memory before it begins.
    pub(crate) async fn begin(
        &self,
        actor: Actor,
        tenant: Tenant,
    ) -> Result<WriteTx, WebhookError> {
        self.vault.keyring(tenant.workspace).await?;
        Ok(self.store.write(actor).await?)
    }

    /// Reads an endpoint that nobody else changes until the transaction ends.
    pub(crate) async fn held(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        id: WebhookEndpointId,
    ) -> Result<(WebhookEndpoint, Target), WebhookError> {
        db!(tx, webhook_claims::hold(tenant.workspace, id))?;
        let endpoint =
            db!(tx, webhook_endpoint::get(tenant, id))?.ok_or(WebhookError::NoEndpoint(id))?;
        let target = self.target(&endpoint).await?;
        Ok((endpoint, target))
    }

    /// Reads an endpoint for events that nobody else changes until the transaction ends. What others
    /// are signed with, and where they are, is not changed here.
    async fn held_for_events(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        id: WebhookEndpointId,
    ) -> Result<(WebhookEndpoint, Target), WebhookError> {
        let held = self.held(tx, tenant, id).await?;
        match held.0.purpose {
            WebhookPurpose::Events => Ok(held),
            WebhookPurpose::Project | WebhookPurpose::Session => Err(WebhookError::NoEndpoint(id)),
        }
    }

    /// Deletes an endpoint of this purpose for good, with all its deliveries.
    pub(crate) async fn delete(
        &self,
        actor: Actor,
        (tenant, id, purpose): (Tenant, WebhookEndpointId, WebhookPurpose),
        event: Audit,
    ) -> Result<(), WebhookError> {
        let mut tx = self.store.write(actor).await?;
        if !db!(tx, webhook_endpoint::delete(tenant, id, purpose))? {
            return Err(WebhookError::NoEndpoint(id));
        }
        tx.commit(tenant.workspace, self.clock.now(), event).await?;
        // It is deleted in any case; the log of SQLite is emptied by itself later.
        if let Err(error) = self.store.forget_deleted().await {
            tracing::warn!(error = chain(&error), "emptying the log of the database");
        }
        Ok(())
    }

    pub(crate) async fn sealed(
        &self,
        endpoint: &WebhookEndpoint,
        target: &Target,
    ) -> Result<Sealed, WebhookError> {
        let written = target.write().map_err(WebhookError::Target)?;
        let place = Place::WebhookTarget(endpoint.id);
        Ok(self.vault.seal(endpoint.workspace_id, &place, &written).await?)
    }
}
