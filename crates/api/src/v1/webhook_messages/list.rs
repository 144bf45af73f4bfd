use super::WebhookMessageBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookMessageId;

/// List webhook messages, newest first. Events that no endpoint wanted are not among them.
#[utoipa::path(
    get, path = "/webhook-messages", tag = "webhooks", operation_id = "list_webhook_messages",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<WebhookMessageBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<WebhookMessageBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let before = query.after(WebhookMessageId::highest())?;
    let found = api.webhooks().messages(&permit, Some(before), limit).await?;
    Ok(Json(Page::new(found.items, found.next, WebhookMessageBody::from)))
}
