//! One attempt: sign, send, and write down how it went.

use crate::ladder;
use crate::target::{Target, TargetError};
use crate::{Inner, answer, report, signature};
use bytes::Bytes;
use causeway_net::RequestLimits;
use causeway_store::{Audit, Bookkeeping, WriteTx, db};
use causeway_types::entity::{
    WebhookAttempt, WebhookDeadReason, WebhookDelivery, WebhookDeliveryState,
    WebhookDisabledReason, WebhookEndpoint, WebhookEndpointState, WebhookMessage,
};
use causeway_types::{Actor, Place, Timestamp, WebhookAttemptId, chain};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use std::time::Duration;
use tokio::time::Instant;

/// An endpoint to which nothing could be delivered for so long is disabled.
const DISABLED_AFTER: Duration = Duration::from_hours(120);
/// Failures that are further apart are not of one piece: the longest pause of the ladder, and more.
const OF_ONE_PIECE: Duration = Duration::from_hours(36);

/// How an attempt went.
struct Attempted {
    started_at: Timestamp,
    duration: Duration,
    /// The status of the answer, or why none came.
    result: Result<StatusCode, &'static str>,
    /// For how long the endpoint wants to be left alone.
    wish: Option<Duration>,
    answer: Option<String>,
}

/// An attempt could not be made, or not be written down. The delivery is taken up again when the
/// lease ends.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error("opening a webhook's endpoint")]
    Target(#[from] TargetError),
    #[error("opening a webhook's body, or sealing an answer to it")]
    Vault(#[from] causeway_vault::VaultError),
    #[error("building a webhook's request")]
    Sign(#[from] signature::SignError),
    #[error("building a webhook's request")]
    Request(#[from] http::Error),
    #[error("reading or writing a webhook's delivery")]
    Store(#[from] causeway_store::Error),
}

/// What an attempt means for its delivery.
enum Verdict {
    Delivered,
    Again(Duration),
    Dead(WebhookDeadReason),
}

impl Inner {
    /// Makes the next attempt of a delivery that was taken up.
    pub(crate) async fn attempt(&self, delivery: WebhookDelivery) {
        let (id, endpoint) = (delivery.id, delivery.endpoint_id);
        if let Err(error) = Box::pin(self.attempt_and_write(delivery)).await {
            tracing::warn!(
                delivery.id = %id,
                endpoint.id = %endpoint,
                error = chain(&error),
                "a webhook was not sent, or sent and not written down; it is taken up again"
            );
        }
    }

    async fn attempt_and_write(&self, delivery: WebhookDelivery) -> Result<(), AttemptError> {
        let workspace = delivery.workspace_id;
        let mut conn = self.store.read().await?;
        let endpoint = db!(conn, webhook_endpoint::of_workspace(workspace, delivery.endpoint_id))?;
        let message = db!(conn, webhook::message_of_workspace(workspace, delivery.message_id))?;
        drop(conn);
        // Deleted since, and the delivery with it.
        let (Some(endpoint), Some(message)) = (endpoint, message) else { return Ok(()) };
        if endpoint.state == WebhookEndpointState::Disabled {
            return Ok(self.write_without_attempt(&delivery).await?);
        }
        let target = self.target(&endpoint).await?;
        let attempted = self.send(&endpoint, &target, &message).await?;
        let record = self.record(&delivery, &attempted).await?;
        self.write(&delivery, &attempted, &record).await?;
        Ok(())
    }

    /// Sends a message once.
    async fn send(
        &self,
        endpoint: &WebhookEndpoint,
        target: &Target,
        message: &WebhookMessage,
    ) -> Result<Attempted, AttemptError> {
        let place = Place::WebhookBody(message.id);
        let body = self.vault.open(message.workspace_id, &place, &message.body).await?;
        let started_at = self.clock.now();
        let signed =
            signature::headers(endpoint.signature, target, message.id, body.expose(), started_at)?;
        let mut request = http::Request::post(target.url.as_str())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Bytes::copy_from_slice(body.expose()))?;
        request.headers_mut().extend(signed);
        let limits = RequestLimits {
            total: self.config.timeout,
            // The body of an answer is not read to its end, however large it is.
            max_response_bytes: u64::MAX,
            max_redirects: 0,
        };
        let token = report::token_of(message.kind, body.expose());
        let begun = Instant::now();
        let sent = self.http.request(request, limits).await;
        // Of the answer's head; its body decides nothing.
        let duration = begun.elapsed();
        let (result, wish, answer) = match sent {
            Ok(response) => {
                let status = response.status();
                let wish = wish(status, response.headers(), self.clock.now());
                (
                    Ok(status),
                    wish,
                    answer::beginning(response, target, token.as_ref(), started_at).await,
                )
            }
            Err(error) => (Err(error.code()), None, None),
        };
        Ok(Attempted { started_at, duration, result, wish, answer })
    }

    /// The line in the log of attempts.
    async fn record(
        &self,
        delivery: &WebhookDelivery,
        attempted: &Attempted,
    ) -> Result<WebhookAttempt, AttemptError> {
        let id = WebhookAttemptId::generate(attempted.started_at, &*self.random);
        let answer = match &attempted.answer {
            Some(text) => {
                let place = Place::WebhookAnswer(id);
                Some(self.vault.seal(delivery.workspace_id, &place, text.as_bytes()).await?)
            }
            None => None,
        };
        Ok(WebhookAttempt {
            id,
            workspace_id: delivery.workspace_id,
            delivery_id: delivery.id,
            number: delivery.attempts + 1,
            status: attempted.result.ok().map(|status| i64::from(status.as_u16())),
            error_code: attempted.result.err().map(str::to_owned),
            answer,
            started_at: attempted.started_at,
            duration_us: i64::try_from(attempted.duration.as_micros()).unwrap_or(i64::MAX),
        })
    }

    /// Writes how an attempt went, unless somebody else has taken the delivery up meanwhile.
    async fn write(
        &self,
        delivery: &WebhookDelivery,
        attempted: &Attempted,
        record: &WebhookAttempt,
    ) -> Result<(), causeway_store::Error> {
        let (workspace, endpoint, now) =
            (delivery.workspace_id, delivery.endpoint_id, self.clock.now());
        let tries = delivery.tries + 1;
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        // The endpoint before its deliveries, as everybody does who changes both.
        let (verdict, disabling) = match attempted.result {
            Ok(status) if status.is_success() => {
                db!(tx, webhook_endpoint::succeeded(workspace, endpoint))?;
                (Verdict::Delivered, None)
            }
            Ok(StatusCode::GONE) => {
                (Verdict::Dead(WebhookDeadReason::Gone), Some(WebhookDisabledReason::Gone))
            }
            _ => self.after_failure(&mut tx, delivery, tries, attempted.wish, now).await?,
        };
        let disabled = match disabling {
            Some(reason) => db!(tx, webhook_endpoint::disable(workspace, endpoint, reason, now))?
                .then_some(reason),
            None => None,
        };
        let outcome = verdict.name();
        let ended = ended(delivery, &verdict, tries, now);
        if !db!(tx, webhook::finish(&ended))? {
            tracing::debug!(delivery.id = %ended.id, "somebody else has taken a webhook up");
            return Ok(());
        }
        db!(tx, webhook::insert_attempt(record))?;
        metrics::counter!("causeway_webhook_attempts_total", "outcome" => outcome).increment(1);
        let Some(reason) = disabled else {
            return tx.commit_bookkeeping(Bookkeeping::Webhooks).await;
        };
        db!(tx, webhook::give_up(workspace, endpoint, now))?;
        let event = Audit::WebhookEndpointDisabled { endpoint, reason };
        tx.commit(workspace, now, event).await?;
        tracing::warn!(endpoint.id = %endpoint, %reason, "a webhook endpoint was disabled");
        Ok(())
    }

    /// What a failed attempt means for its delivery, and for the endpoint.
    async fn after_failure(
        &self,
        tx: &mut WriteTx,
        delivery: &WebhookDelivery,
        tries: i64,
        wish: Option<Duration>,
        now: Timestamp,
    ) -> Result<(Verdict, Option<WebhookDisabledReason>), causeway_store::Error> {
        let (workspace, endpoint) = (delivery.workspace_id, delivery.endpoint_id);
        let recently = now.minus(OF_ONE_PIECE);
        let since = db!(tx, webhook_endpoint::failed(workspace, endpoint, now, recently))?;
        let given_up = Verdict::Dead(WebhookDeadReason::EndpointDisabled);
        Ok(match since {
            // Disabled while the attempt was under way.
            None => (given_up, None),
            Some(since) if now.since(since) >= DISABLED_AFTER => {
                (given_up, Some(WebhookDisabledReason::Failing))
            }
            Some(_) => match ladder::pause(tries, wish, &*self.random) {
                Some(pause) => (Verdict::Again(pause), None),
                None => (Verdict::Dead(WebhookDeadReason::Exhausted), None),
            },
        })
    }

    /// Gives a delivery up whose endpoint was disabled before anything was sent.
    async fn write_without_attempt(
        &self,
        delivery: &WebhookDelivery,
    ) -> Result<(), causeway_store::Error> {
        let dead = WebhookDelivery {
            state: WebhookDeliveryState::Dead,
            dead_reason: Some(WebhookDeadReason::EndpointDisabled),
            due_at: None,
            ended_at: Some(self.clock.now()),
            ..delivery.clone()
        };
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        db!(tx, webhook::finish(&dead))?;
        tx.commit_bookkeeping(Bookkeeping::Webhooks).await
    }
}

impl Verdict {
    fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again(_) => "failed",
            Self::Dead(_) => "dead",
        }
    }
}

/// A delivery after an attempt.
fn ended(
    delivery: &WebhookDelivery,
    verdict: &Verdict,
    tries: i64,
    now: Timestamp,
) -> WebhookDelivery {
    let attempts = delivery.attempts + 1;
    let (state, dead_reason, due_at) = match verdict {
        Verdict::Delivered => (WebhookDeliveryState::Delivered, None, None),
        Verdict::Again(pause) => (WebhookDeliveryState::Pending, None, Some(now.plus(*pause))),
        Verdict::Dead(reason) => (WebhookDeliveryState::Dead, Some(*reason), None),
    };
    let ended_at = due_at.is_none().then_some(now);
    WebhookDelivery { state, dead_reason, attempts, tries, due_at, ended_at, ..delivery.clone() }
}

/// For how long an endpoint that is overloaded wants to be left alone.
fn wish(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    ladder::read_wish(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}
