#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::ConnectionBody;
use crate::extract::{Authorized, QueryOf, no_control};
use crate::page::{self, Page};
use crate::v1::audit::time;
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
    /// The one of this name.
    name: Option<String>,
    /// Those made before this time (RFC 3339).
    created_before: Option<String>,
    /// Those that nobody has used since this time (RFC 3339); one that was never used counts from
    /// when it was made.
    unused_since: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List connections, newest first. Those that are being given up, or that a revocation could not end
/// at their apps, are among them as `revoked`.
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
    for (name, text) in [("customer", &query.customer), ("app", &query.app), ("name", &query.name)]
    {
        no_control(name, text.as_deref())?;
    }
    let before = page::cursor(query.cursor.as_deref(), ConnectionId::highest())?;
    let filter = ConnectionFilter {
        created_before: time("created_before", query.created_before.as_deref())?,
        unused_since: time("unused_since", query.unused_since.as_deref())?,
        customer: query.customer,
        app: query.app,
        name: query.name,
    };
    let found = api.connect().connections(&permit, &filter, Some(before), limit).await?;
    Ok(Json(Page::new(found.items, found.next, ConnectionBody::from)))
}
