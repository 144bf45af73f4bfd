//! Making endpoints.

use crate::error::{InvalidEndpoint, WebhookError};
use crate::target::{self, Target};
use crate::{EndpointView, Webhooks, limits};
use causeway_identity::{Permit, action};
use causeway_store::{Audit, db};
use causeway_types::entity::{
    WebhookEndpoint, WebhookEndpointState, WebhookEvent, WebhookOrder, WebhookPurpose,
    WebhookSignature,
};
use causeway_types::{Place, SecretString, WebhookEndpointId};

/// An endpoint that somebody wants.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// Where messages go: https, or http on this very machine.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// The types of events that it wants; empty for all.
    pub event_types: Vec<String>,
    /// Whether it gets a message only when the one before has ended.
    pub ordered: bool,
    /// How messages are signed.
    pub signature: WebhookSignature,
}

/// A new endpoint with its secret, which is shown this once.
pub struct CreatedEndpoint {
    /// The endpoint.
    pub endpoint: EndpointView,
    /// What its messages are signed with: `whsec_…`.
    pub secret: SecretString,
}

impl Webhooks {
    /// Makes an endpoint in the permit's environment. It gets the messages that are made from now
    /// on.
    ///
    /// # Errors
    /// [`WebhookError::Invalid`] says what is wrong.
    pub async fn create_endpoint(
        &self,
        permit: &Permit<action::ManageWebhooks>,
        new: NewEndpoint,
    ) -> Result<CreatedEndpoint, WebhookError> {
        permit.covers_every_app()?;
        let (inner, tenant) = (&self.inner, permit.tenant());
        let url = target::read_url(&new.url)?;
        check_description(&new.description)?;
        let now = inner.clock.now();
        let id = WebhookEndpointId::generate(now, &*inner.random);
        let host = url.host_str().unwrap_or_default().to_owned();
        let target = Target::new(url, &*inner.random);
        let written = target.write().map_err(WebhookError::Target)?;
        let endpoint = WebhookEndpoint {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            purpose: WebhookPurpose::Events,
            target: inner.vault.seal(tenant.workspace, &Place::WebhookTarget(id), &written).await?,
            description: new.description,
            event_types: read_types(&new.event_types)?,
            delivery_order: order(new.ordered),
            signature: new.signature,
            state: WebhookEndpointState::Enabled,
            disabled_reason: None,
            disabled_at: None,
            failing_since: None,
            failed_at: None,
            created_at: now,
            updated_at: now,
        };
        let mut tx = inner.store.write(permit.actor()).await?;
        // Two at once may both see the last free place; the bound is there to bound, not to count.
        if db!(tx, webhook_endpoint::count(tenant))? >= limits::ENDPOINTS {
            return Err(InvalidEndpoint::TooMany.into());
        }
        db!(tx, webhook_endpoint::insert(&endpoint))?;
        let event = Audit::WebhookEndpointCreated { endpoint: id, host };
        tx.commit(tenant.workspace, now, event).await?;
        let view = EndpointView::new(endpoint, &target, now);
        Ok(CreatedEndpoint { endpoint: view, secret: target.secret })
    }
}

pub(crate) fn order(ordered: bool) -> WebhookOrder {
    if ordered { WebhookOrder::Strict } else { WebhookOrder::Any }
}

pub(crate) fn check_description(text: &str) -> Result<(), InvalidEndpoint> {
    if text.chars().count() > limits::DESCRIPTION || text.contains(char::is_control) {
        return Err(InvalidEndpoint::Description);
    }
    Ok(())
}

/// The types as they are stored.
pub(crate) fn read_types(types: &[String]) -> Result<String, InvalidEndpoint> {
    let known = |one: &String| one.parse::<WebhookEvent>().is_ok_and(|one| !one.is_report());
    let twice = |(at, one): (usize, &String)| types.iter().take(at).any(|other| other == one);
    if !types.iter().all(known) || types.iter().enumerate().any(twice) {
        return Err(InvalidEndpoint::EventType);
    }
    Ok(types.join(" "))
}
