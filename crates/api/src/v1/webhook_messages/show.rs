use super::WebhookMessageBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookMessageId;

/// Show a webhook message with its body.
#[utoipa::path(
    get, path = "/webhook-messages/{id}", tag = "webhooks", operation_id = "show_webhook_message",
    params(("id" = WebhookMessageId, Path)),
    responses((status = 200, description = "The message.", body = WebhookMessageBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    PathId(id): PathId<WebhookMessageId>,
) -> Result<Json<WebhookMessageBody>, Problem> {
    Ok(Json(api.webhooks().message(&permit, id).await?.into()))
}
