use crate::extract::{Authorized, PathId, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::{Timestamp, WebhookDeliveryId};
use causeway_webhooks::AttemptView;
use serde::Serialize;
use utoipa::ToSchema;

/// One attempt to deliver.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub(crate) struct AttemptBody {
    /// Which attempt of the delivery, from 1.
    number: i64,
    /// The status of the answer, if one came.
    status: Option<i64>,
    /// Why none came, such as `egress_timeout`.
    error_code: Option<String>,
    /// The first KiB of the answer's body, with the endpoint's secrets masked.
    answer: Option<String>,
    /// When it began.
    started_at: Timestamp,
    /// How long it took, in milliseconds.
    duration_ms: i64,
}

impl From<AttemptView> for AttemptBody {
    fn from(attempt: AttemptView) -> Self {
        Self {
            number: attempt.number,
            status: attempt.status,
            error_code: attempt.error_code,
            answer: attempt.answer,
            started_at: attempt.started_at,
            duration_ms: attempt.duration_ms,
        }
    }
}

/// List the attempts of a webhook delivery, newest first.
#[utoipa::path(
    get, path = "/webhook-deliveries/{id}/attempts", tag = "webhooks", operation_id = "list_webhook_attempts",
    params(("id" = WebhookDeliveryId, Path), PageQuery),
    responses((status = 200, description = "One page.", body = Page<AttemptBody>), (status = "default", response = Problem))
)]
pub(crate) async fn attempts(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    PathId(id): PathId<WebhookDeliveryId>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<AttemptBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let before = query.after(i64::MAX)?;
    let found = api.webhooks().attempts(&permit, id, Some(before), limit).await?;
    Ok(Json(Page::new(found.items, found.next, AttemptBody::from)))
}
