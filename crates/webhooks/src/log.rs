//! What was sent, and how it went.

use crate::error::WebhookError;
use crate::{Page, Webhooks, report};
use causeway_identity::{Permit, action};
use causeway_store::db;
use causeway_types::entity::{
    WebhookAttempt, WebhookDelivery, WebhookDeliveryFilter, WebhookEvent, WebhookMessage,
};
use causeway_types::{Place, Timestamp, WebhookDeliveryId, WebhookMessageId};
use serde_json::Value;

/// A message with its body.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// Its id.
    pub id: WebhookMessageId,
    /// What it tells of.
    pub kind: WebhookEvent,
    /// The body that is sent; in a report, the connect token is masked.
    pub body: Value,
    /// When it happened.
    pub created_at: Timestamp,
}

/// An attempt, opened.
#[derive(Debug, Clone)]
pub struct AttemptView {
    /// Which attempt of its delivery, from 1.
    pub number: i64,
    /// The status of the answer, if one came.
    pub status: Option<i64>,
    /// Why none came.
    pub error_code: Option<String>,
    /// The first KiB of the answer, masked; none if it was empty.
    pub answer: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
}

impl Webhooks {
    /// A page of the environment's messages, newest first, older than `before`. Events that no
    /// endpoint wanted are not among them.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn messages(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        before: Option<WebhookMessageId>,
        limit: u16,
    ) -> Result<Page<MessageView, WebhookMessageId>, WebhookError> {
        permit.covers_every_app()?;
        let before = before.unwrap_or(WebhookMessageId::highest());
        let mut conn = self.inner.store.read().await?;
        let more = i64::from(limit) + 1;
        let rows = db!(conn, webhook::messages(permit.tenant(), before, more))?;
        drop(conn);
        let page = Page::of(rows, limit, |one| one.id, |one| one);
        let mut items = Vec::with_capacity(page.items.len());
        for message in page.items {
            items.push(self.opened(message).await?);
        }
        Ok(Page { items, next: page.next })
    }

    /// A message.
    ///
    /// # Errors
    /// [`WebhookError::NoMessage`].
    pub async fn message(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        id: WebhookMessageId,
    ) -> Result<MessageView, WebhookError> {
        permit.covers_every_app()?;
        let mut conn = self.inner.store.read().await?;
        let found = db!(conn, webhook::message(permit.tenant(), id))?;
        drop(conn);
        self.opened(found.ok_or(WebhookError::NoMessage(id))?).await
    }

    async fn opened(&self, message: WebhookMessage) -> Result<MessageView, WebhookError> {
        let place = Place::WebhookBody(message.id);
        let body = self.inner.vault.open(message.workspace_id, &place, &message.body).await?;
        let mut body = serde_json::from_slice(body.expose()).map_err(|_| WebhookError::Corrupt)?;
        let WebhookMessage { id, kind, created_at, .. } = message;
        report::mask(kind, &mut body);
        Ok(MessageView { id, kind, body, created_at })
    }

    /// A page of the environment's deliveries, newest first, older than `before`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub async fn deliveries(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        filter: &WebhookDeliveryFilter,
        before: Option<WebhookDeliveryId>,
        limit: u16,
    ) -> Result<Page<WebhookDelivery, WebhookDeliveryId>, WebhookError> {
        permit.covers_every_app()?;
        let before = before.unwrap_or(WebhookDeliveryId::highest());
        let mut conn = self.inner.store.read().await?;
        let more = i64::from(limit) + 1;
        let rows = db!(conn, webhook::deliveries(permit.tenant(), filter, before, more))?;
        Ok(Page::of(rows, limit, |one| one.id, |one| one))
    }

    /// A delivery.
    ///
    /// # Errors
    /// [`WebhookError::NoDelivery`].
    pub async fn delivery(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        id: WebhookDeliveryId,
    ) -> Result<WebhookDelivery, WebhookError> {
        permit.covers_every_app()?;
        let mut conn = self.inner.store.read().await?;
        db!(conn, webhook::delivery(permit.tenant(), id))?.ok_or(WebhookError::NoDelivery(id))
    }

    /// A page of a delivery's attempts, newest first, those before number `before`.
    ///
    /// # Errors
    /// [`WebhookError::NoDelivery`].
    pub async fn attempts(
        &self,
        permit: &Permit<action::ReadWebhooks>,
        id: WebhookDeliveryId,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Page<AttemptView, i64>, WebhookError> {
        permit.covers_every_app()?;
        let tenant = permit.tenant();
        let mut conn = self.inner.store.read().await?;
        db!(conn, webhook::delivery(tenant, id))?.ok_or(WebhookError::NoDelivery(id))?;
        let (before, more) = (before.unwrap_or(i64::MAX), i64::from(limit) + 1);
        let rows = db!(conn, webhook::attempts(tenant.workspace, id, before, more))?;
        drop(conn);
        let page = Page::of(rows, limit, |one| one.number, |one| one);
        let mut items = Vec::with_capacity(page.items.len());
        for attempt in page.items {
            items.push(self.opened_attempt(attempt).await?);
        }
        Ok(Page { items, next: page.next })
    }

    async fn opened_attempt(&self, attempt: WebhookAttempt) -> Result<AttemptView, WebhookError> {
        let answer = match &attempt.answer {
            Some(sealed) => {
                let place = Place::WebhookAnswer(attempt.id);
                let opened = self.inner.vault.open(attempt.workspace_id, &place, sealed).await?;
                let text = std::str::from_utf8(opened.expose());
                Some(text.map_err(|_| WebhookError::Corrupt)?.to_owned())
            }
            None => None,
        };
        Ok(AttemptView {
            number: attempt.number,
            status: attempt.status,
            error_code: attempt.error_code,
            answer,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_us / 1000,
        })
    }
}
