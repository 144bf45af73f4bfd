use super::WorkspaceNameBody;
use crate::extract::{Authorized, QueryOf};
use crate::page::{Page, PageQuery};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::WorkspaceId;

/// List the workspaces of the installation by name, oldest first.
#[utoipa::path(
    get, path = "/workspaces", tag = "installation", operation_id = "list_workspaces",
    params(PageQuery),
    responses((status = 200, description = "One page.", body = Page<WorkspaceNameBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWorkspaces>,
    QueryOf(query): QueryOf<PageQuery>,
) -> Result<Json<Page<WorkspaceNameBody>>, Problem> {
    let (limit, after) = (query.limit()?, query.after(WorkspaceId::lowest())?);
    let found = api.members().workspaces(&permit, after, limit + 1).await?;
    Ok(Json(Page::of(found, limit, |one| one.id.to_string(), WorkspaceNameBody::from)))
}
