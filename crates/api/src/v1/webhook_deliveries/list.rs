#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::WebhookDeliveryBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::entity::{WebhookDeliveryFilter, WebhookDeliveryState};
use causeway_types::{WebhookDeliveryId, WebhookEndpointId, WebhookMessageId};
use serde::Deserialize;
use utoipa::IntoParams;

/// Which deliveries to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those to this endpoint.
    endpoint_id: Option<WebhookEndpointId>,
    /// Those of this message.
    message_id: Option<WebhookMessageId>,
    /// Those in this state.
    state: Option<WebhookDeliveryState>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List webhook deliveries, newest first. The dead ones (`state=dead`) are the dead letters.
#[utoipa::path(
    get, path = "/webhook-deliveries", tag = "webhooks", operation_id = "list_webhook_deliveries",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<WebhookDeliveryBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWebhooks>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<WebhookDeliveryBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let before = page::cursor(query.cursor.as_deref(), WebhookDeliveryId::highest())?;
    let filter = WebhookDeliveryFilter {
        endpoint: query.endpoint_id,
        message: query.message_id,
        state: query.state,
    };
    let found = api.webhooks().deliveries(&permit, &filter, Some(before), limit).await?;
    Ok(Json(Page::new(found.items, found.next, WebhookDeliveryBody::from)))
}
