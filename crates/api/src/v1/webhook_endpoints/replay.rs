use crate::extract::{Authorized, JsonBody, PathId};
use crate::v1::audit::time;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;
use causeway_webhooks::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which deliveries to send again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookReplay)]
pub(crate) struct ReplayBody {
    /// Those of messages from this time on (RFC 3339).
    since: Option<String>,
    /// Those of messages before this time (RFC 3339).
    until: Option<String>,
    /// Not only the dead ones, but those too that were delivered. Default false.
    #[serde(default)]
    delivered: bool,
}

/// What is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayedWebhooks)]
pub(crate) struct ReplayedBody {
    /// How many deliveries.
    replayed: u64,
    /// Whether there may be more: ask again.
    more: bool,
}

/// Send an endpoint's dead deliveries again, or all of a time: at most 10,000 at once, the oldest
/// first. Receivers see the ids that these messages always had.
#[utoipa::path(
    post, path = "/webhook-endpoints/{id}/replay", tag = "webhooks", operation_id = "replay_webhook_endpoint",
    params(("id" = WebhookEndpointId, Path)),
    request_body = ReplayBody,
    responses((status = 200, description = "What is sent again.", body = ReplayedBody), (status = "default", response = Problem))
)]
pub(crate) async fn replay(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReplayWebhooks>,
    PathId(id): PathId<WebhookEndpointId>,
    JsonBody(wish): JsonBody<ReplayBody>,
) -> Result<Json<ReplayedBody>, Problem> {
    let span = Span {
        since: time("since", wish.since.as_deref())?,
        until: time("until", wish.until.as_deref())?,
        delivered: wish.delivered,
    };
    let replayed = api.webhooks().replay_endpoint(&permit, id, span).await?;
    Ok(Json(ReplayedBody { replayed: replayed.deliveries, more: replayed.more }))
}
