#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::{AuditEventBody, time};
use crate::extract::{Authorized, QueryOf, no_control};
use crate::page::{self, Page};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::entity::AuditFilter;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which events to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// Those of this actor. A person's id also finds what they did as staff.
    actor: Option<String>,
    /// Those of this kind, such as `signed_in`.
    action: Option<String>,
    /// Those in which this id stands.
    about: Option<String>,
    /// Those from this time on (RFC 3339).
    since: Option<String>,
    /// Those before this time (RFC 3339).
    until: Option<String>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// How many records, 1 to 100. Default 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List what was done in the workspace, newest first.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "list_audit_events",
    params(ListQuery),
    responses((status = 200, description = "One page.", body = Page<AuditEventBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadAudit>,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Json<Page<AuditEventBody>>, Problem> {
    let limit = page::short_limit(query.limit)?;
    let before = page::cursor(query.cursor.as_deref(), i64::MAX)?;
    no_control("actor", query.actor.as_deref())?;
    no_control("action", query.action.as_deref())?;
    let every = AuditFilter::default();
    let filter = AuditFilter {
        since: time("since", query.since.as_deref())?.unwrap_or(every.since),
        until: time("until", query.until.as_deref())?.unwrap_or(every.until),
        actor: query.actor,
        action: query.action,
        about: query.about,
    };
    let found = api.audit().events(&permit, &filter, Some(before), limit).await?;
    Ok(Json(Page::new(found.rows, found.next, AuditEventBody::from)))
}
