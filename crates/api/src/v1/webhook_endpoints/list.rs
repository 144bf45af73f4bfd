use super::WebhookEndpointBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WebhookEndpointId;

/// List webhook endpoints, oldest first. Their secrets are never shown again.
#[utoipa::path(
    get, path = "/webhook-endpoints", tag = "webhooks", operation_id = "list_webhook_endpoints",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<WebhookEndpointBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<WebhookEndpointBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let after = query.after(WebhookEndpointId::lowest())?;
    let found = api.webhooks().endpoints(&permit, Some(after), limit).await?;
    Ok(Json(Page::new(found.items, found.next, WebhookEndpointBody::from)))
}
