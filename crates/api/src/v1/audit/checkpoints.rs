use super::CheckpointBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{self, Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// List the signed checkpoints of the workspace's chain, oldest first. Keep them elsewhere: they
/// prove later what the database alone cannot.
#[utoipa::path(
    get, path = "/audit/checkpoints", tag = "audit", operation_id = "list_audit_checkpoints",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<CheckpointBody>), (status = "default", response = Problem))
)]
pub(crate) async fn checkpoints(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadAudit>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<CheckpointBody>>, Problem> {
    let (limit, after) = (page::short_limit(query.limit)?, query.after(i64::MIN)?);
    let found = api.audit().checkpoints(&permit, Some(after), limit).await?;
    Ok(Json(Page::new(found.checkpoints, found.next, CheckpointBody::from)))
}
