#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::ConnectionBody;
use crate::extract::{Authorized, QueryOf, no_control};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_connect::ConnectionFilter;
use causeway_identity::action;
use causeway_types::ConnectionId;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which connections to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those of the customer with this id of yours.
    customer: Option<String>,
    /// Those to this app.
    app: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List connections, newest first.
#[utoipa::path(
    get, path = "/connections", tag = "connections", operation_id = "list_connections",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<ConnectionBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<ConnectionBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    no_control("customer", query.customer.as_deref())?;
    no_control("app", query.app.as_deref())?;
    let before = page::cursor(query.cursor.as_deref(), ConnectionId::highest())?;
    let filter = ConnectionFilter { customer: query.customer, app: query.app };
    let found = api.connect().connections(&permit, &filter, Some(before), limit).await?;
    Ok(Json(Page::new(found.items, found.next, ConnectionBody::from)))
}
