//! Making messages, in the transaction of whoever has something to tell.

use crate::event::Event;
use crate::report::{self, Report};
use crate::target::Target;
use causeway_store::{WriteTx, db};
use causeway_types::entity::{
    WebhookDeadReason, WebhookDelivery, WebhookDeliveryState, WebhookEndpoint,
    WebhookEndpointState, WebhookEvent, WebhookMessage, WebhookOrder, WebhookPurpose,
    WebhookSignature, WebhookTaker,
};
use causeway_types::place::Sealed;
use causeway_types::{
    Code, Coded, Place, Randomness, Tenant, Timestamp, WebhookDeliveryId, WebhookEndpointId,
    WebhookMessageId,
};
use causeway_vault::Keyring;
use std::borrow::Cow;
use std::sync::Arc;
use url::Url;

/// Makes messages in one workspace. [`Webhooks::outbox`](crate::Webhooks::outbox) gives it.
pub struct Outbox {
    keys: Arc<Keyring>,
    random: Arc<dyn Randomness>,
}

/// A message could not be made; the transaction has to be given up.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The body could not be written.
    #[error("writing a webhook's body")]
    Body(#[source] serde_json::Error),
    /// The body of a report names no token: a defect.
    #[error("reading the token that a report names")]
    NoToken,
    /// The body could not be sealed.
    #[error("sealing a webhook's body")]
    Seal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error("writing a webhook")]
    Store(#[from] causeway_store::Error),
}

impl Coded for EnqueueError {
    fn code(&self) -> Code {
        match self {
            Self::Body(_) | Self::NoToken | Self::Seal(_) => Code::Internal,
            Self::Store(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Body(_) | Self::NoToken | Self::Seal(_) => {
                "A webhook could not be made of it, so nothing was done. The server's log has the details under this request's id.".into()
            }
            Self::Store(source) => source.public(),
        }
    }
}

impl Outbox {
    pub(crate) fn new(keys: Arc<Keyring>, random: Arc<dyn Randomness>) -> Self {
        Self { keys, random }
    }

    /// Leaves a message for every endpoint of the environment that wants events of this type, in the
    /// caller's transaction: if that commits, they are on their way. Where nobody wants them, it
    /// costs one query. Messages for a disabled endpoint are dead from the beginning and can be
    /// replayed.
    ///
    /// Call it after the change itself and before the first audit event of the transaction: on
    /// PostgreSQL it holds the endpoints until the commit, and whoever changes an endpoint takes
    /// these locks in the same order.
    ///
    /// # Errors
    /// [`EnqueueError`]; the transaction must not commit then.
    pub async fn enqueue(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        event: &Event,
        now: Timestamp,
    ) -> Result<(), EnqueueError> {
        let kind = event.kind();
        let mut takers = db!(tx, webhook_claims::takers(tenant))?;
        takers.retain(|taker| wants(&taker.event_types, kind));
        if takers.is_empty() {
            return Ok(());
        }
        let body = event.body(tenant, now).map_err(EnqueueError::Body)?;
        self.leave(tx, tenant, (kind, &body), takers, now).await
    }

    /// Leaves the report of a connect session's outcome for its own receiver, if it has one, and for
    /// the environment's project webhook, if there is one: as [`enqueue`](Self::enqueue) does, and
    /// to be called where that is.
    ///
    /// # Errors
    /// [`EnqueueError`]; the transaction must not commit then.
    pub async fn report(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        report: &Report,
        now: Timestamp,
    ) -> Result<(), EnqueueError> {
        let own = match &report.url {
            Some(url) => Some(self.receiver(tx, tenant, report, url, now).await?),
            None => None,
        };
        let takers = db!(tx, webhook_claims::reported_to(tenant, own))?;
        if takers.is_empty() {
            return Ok(());
        }
        self.leave(tx, tenant, (report.kind, report.body.expose()), takers, now).await
    }

    /// The endpoint of a connect session, made with its first report. It has the session's id with
    /// another prefix, so there is one. What is sent there is signed with the session's token, which
    /// whoever made the session knows.
    async fn receiver(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        report: &Report,
        url: &Url,
        now: Timestamp,
    ) -> Result<WebhookEndpointId, EnqueueError> {
        let id = WebhookEndpointId::from_bytes(report.session.to_bytes());
        let token = report::token_of(report.kind, report.body.expose());
        let target = Target::with_secret(url.clone(), token.ok_or(EnqueueError::NoToken)?);
        let written = target.write().map_err(EnqueueError::Body)?;
        let endpoint = WebhookEndpoint {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            purpose: WebhookPurpose::Session,
            target: self.seal(&Place::WebhookTarget(id), &written)?,
            description: format!("Outcome of {}", report.session),
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
        };
        db!(tx, webhook_endpoint::insert(&endpoint))?;
        Ok(id)
    }

    /// Leaves a message for these endpoints.
    async fn leave(
        &self,
        tx: &mut WriteTx,
        tenant: Tenant,
        (kind, body): (WebhookEvent, &[u8]),
        takers: Vec<WebhookTaker>,
        now: Timestamp,
    ) -> Result<(), EnqueueError> {
        let id = WebhookMessageId::generate(now, &*self.random);
        let body = self.seal(&Place::WebhookBody(id), body)?;
        let message = WebhookMessage {
            id,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            kind,
            body,
            created_at: now,
        };
        db!(tx, webhook::insert_message(&message))?;
        let mut due = false;
        for taker in takers {
            let delivery = self.delivery(&message, &taker);
            due |= delivery.state == WebhookDeliveryState::Pending;
            db!(tx, webhook::insert_delivery(&delivery))?;
        }
        if due {
            tx.webhooks_due().await?;
        }
        Ok(())
    }

    fn seal(&self, place: &Place, bytes: &[u8]) -> Result<Sealed, EnqueueError> {
        self.keys.seal(place, bytes).map_err(|source| EnqueueError::Seal(Box::new(source)))
    }

    fn delivery(&self, message: &WebhookMessage, taker: &WebhookTaker) -> WebhookDelivery {
        let now = message.created_at;
        let enabled = taker.state == WebhookEndpointState::Enabled;
        let (state, dead_reason) = if enabled {
            (WebhookDeliveryState::Pending, None)
        } else {
            (WebhookDeliveryState::Dead, Some(WebhookDeadReason::EndpointDisabled))
        };
        WebhookDelivery {
            id: WebhookDeliveryId::generate(now, &*self.random),
            workspace_id: message.workspace_id,
            environment_id: message.environment_id,
            message_id: message.id,
            endpoint_id: taker.id,
            position: 0,
            state,
            dead_reason,
            attempts: 0,
            tries: 0,
            due_at: enabled.then_some(now),
            owner: None,
            fence: 0,
            created_at: now,
            ended_at: (!enabled).then_some(now),
        }
    }
}

/// Whether an endpoint with these types wants events of this one.
fn wants(event_types: &str, kind: WebhookEvent) -> bool {
    event_types.is_empty() || event_types.split(' ').any(|one| one == kind.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_of_types_wants_them_all() {
        assert!(wants("", WebhookEvent::ConnectionRevoked));
        let some = "connection.created connection.revoked";
        assert!(wants(some, WebhookEvent::ConnectionRevoked));
        assert!(!wants(some, WebhookEvent::ConnectionRecovered));
    }
}
