use super::WorkflowBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WorkflowId;

/// List workflows, oldest first.
#[utoipa::path(
    get, path = "/workflows", tag = "workflows", operation_id = "list_workflows",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<WorkflowBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkflows>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<WorkflowBody>>, Problem> {
    let limit = query.limit()?;
    let after = query.after(WorkflowId::lowest())?;
    let workflows = api.flow().workflows(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(workflows, limit, |one| one.id.to_string(), WorkflowBody::from)))
}
