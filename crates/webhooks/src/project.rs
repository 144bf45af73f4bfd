//! The project webhook of an environment: one endpoint more, which gets the outcomes of connect
//! sessions instead of events, signed with `x-pd-signature` under a key of its own. Its id is the
//! environment's with another prefix, so there is no second one.

use crate::error::WebhookError;
use crate::target::{self, Target};
use crate::{Inner, Webhooks};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{
    WebhookEndpoint, WebhookEndpointState, WebhookOrder, WebhookPurpose, WebhookSignature,
};
use causeway_types::{
    EnvironmentId, Place, Randomness, SecretString, Tenant, Timestamp, WebhookEndpointId,
};
use data_encoding::HEXLOWER;
use url::Url;
use zeroize::Zeroizing;

/// Bytes of a signing key.
const KEY: usize = 32;

/// An environment's project webhook.
#[derive(Debug, Clone)]
pub struct ProjectWebhookView {
    /// The environment, which has one at most.
    pub environment: EnvironmentId,
    /// Where reports go.
    pub url: Url,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// The endpoint that is an environment's project webhook.
const fn endpoint_of(environment: EnvironmentId) -> WebhookEndpointId {
    WebhookEndpointId::from_bytes(environment.to_bytes())
}

impl Webhooks {
    /// Whether an environment has a project webhook.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn has_project_webhook(&self, tenant: Tenant) -> causeway_store::Result<bool> {
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, webhook_endpoint::get(tenant, endpoint_of(tenant.environment)))?;
        Ok(found.is_some())
    }

    /// The environment's project webhook, if it has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn project_webhook(
        &self,
        permit: &Permit<action::ReadWebhooks>,
    ) -> Result<Option<ProjectWebhookView>, WebhookError> {
        permit.covers_every_app()?;
        let id = endpoint_of(permit.tenant().environment);
        let mut conn = self.inner.store.read().await?;
        let Some(endpoint) = db!(conn, webhook_endpoint::get(permit.tenant(), id))? else {
            return Ok(None);
        };
        drop(conn);
        let target = self.inner.target(&endpoint).await?;
        Ok(Some(view(&endpoint, target.url)))
    }

    /// Sets where reports go, and enables it if it was disabled. The first time, it gets a key,
    /// which is returned this once.
    ///
    /// # Errors
    /// [`WebhookError::Invalid`] says what is wrong.
    pub async fn set_project_webhook(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        url: &str,
    ) -> Result<(ProjectWebhookView, Option<SecretString>), WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let url = target::read_url(url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let first = Target::with_secret(url.clone(), new_key(&*inner.random));
        let mut endpoint = inner.new_project_webhook(tenant, &first, now).await?;
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let mut key = Some(first.secret);
        // Also when somebody else makes it at the same moment.
        if !db!(tx, webhook_endpoint::insert(&endpoint))? {
            key = None;
            let (present, mut target) = inner.held(&mut tx, tenant, endpoint.id).await?;
            target.url = url.clone();
            endpoint = present;
            endpoint.target = inner.sealed(&endpoint, &target).await?;
            endpoint.updated_at = now;
            db!(tx, webhook_endpoint::update(&endpoint))?;
            db!(tx, webhook_endpoint::enable(tenant, endpoint.id, now))?;
        }
        let event = Audit::ProjectWebhookSet { environment: tenant.environment, host };
        tx.commit(tenant.workspace, now, event).await?;
        Ok((view(&endpoint, url), key))
    }

    /// Gives the project webhook another key, which is returned this once. Reports are signed with
    /// it at once, and with the old one no more.
    ///
    /// # Errors
    /// [`WebhookError::NoProjectWebhook`].
    pub async fn renew_project_webhook_key(
        &self,
        permit: &Permit<action::ManageWebhooks>,
    ) -> Result<(ProjectWebhookView, SecretString), WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant, now) = (&self.inner, permit.tenant(), self.inner.clock.now());
        let mut tx = inner.begin(permit.actor(), tenant).await?;
        let id = endpoint_of(tenant.environment);
        let (mut endpoint, target) = inner.held(&mut tx, tenant, id).await.map_err(none)?;
        let renewed = Target::with_secret(target.url, new_key(&*inner.random));
        endpoint.target = inner.sealed(&endpoint, &renewed).await?;
        endpoint.updated_at = now;
        db!(tx, webhook_endpoint::update(&endpoint))?;
        let event = Audit::ProjectWebhookKeyRotated { environment: tenant.environment };
        tx.commit(tenant.workspace, now, event).await?;
        Ok((view(&endpoint, renewed.url), renewed.secret))
    }

    /// Deletes the project webhook for good, with what is on its way to it.
    ///
    /// # Errors
    /// [`WebhookError::NoProjectWebhook`].
    pub async fn delete_project_webhook(
        &self,
        permit: &Permit<action::ManageWebhooks>,
    ) -> Result<(), WebhookError> {
        permit.covers_every_app()?;
        let tenant = permit.tenant();
        let event = Audit::ProjectWebhookDeleted { environment: tenant.environment };
        let id = endpoint_of(tenant.environment);
        let target = (tenant, id, WebhookPurpose::Project);
        self.inner.delete(permit.actor(), target, event).await.map_err(none)
    }
}

impl Inner {
    async fn new_project_webhook(
        &self,
        tenant: Tenant,
        target: &Target,
        now: Timestamp,
    ) -> Result<WebhookEndpoint, WebhookError> {
        let written = target.write().map_err(WebhookError::Target)?;
        let id = endpoint_of(tenant.environment);
        let place = Place::WebhookTarget(id);
        Ok(WebhookEndpoint {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            purpose: WebhookPurpose::Project,
            target: self.vault.seal(tenant.workspace, &place, &written).await?,
            description: "Project webhook".to_owned(),
            event_types: String::new(),
            delivery_order: WebhookOrder::Any,
            signature: WebhookSignature::XPd,
            state: WebhookEndpointState::Enabled,
            disabled_reason: None,
            disabled_at: None,
            failing_since: None,
            failed_at: None,
            created_at: now,
            updated_at: now,
        })
    }
}

fn none(error: WebhookError) -> WebhookError {
    match error {
        WebhookError::NoEndpoint(_) => WebhookError::NoProjectWebhook,
        other => other,
    }
}

fn new_key(random: &dyn Randomness) -> SecretString {
    let mut bytes = Zeroizing::new([0_u8; KEY]);
    random.fill(&mut *bytes);
    SecretString::new(HEXLOWER.encode(&*bytes))
}

fn view(endpoint: &WebhookEndpoint, url: Url) -> ProjectWebhookView {
    ProjectWebhookView {
        environment: endpoint.environment_id,
        url,
        created_at: endpoint.created_at,
        updated_at: endpoint.updated_at,
    }
}
