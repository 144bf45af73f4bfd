use super::ProjectBody;
use crate::extract::{Authorized, Calling};
use crate::page::Page;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ProjectId;

/// List the workspace's projects with their environments, oldest first, all on one page. Who has
/// roles in some projects only is shown those.
#[utoipa::path(
    get, path = "/projects", tag = "workspace", operation_id = "list_projects",
    responses((status = 200, description = "All of them.", body = Page<ProjectBody>), (status = "default", response = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkspace>,
    Calling(caller): Calling,
) -> Result<Json<Page<ProjectBody>>, Problem> {
    let projects = api.members().projects(&permit, &caller).await?;
    Ok(Json(Page::new(projects, None::<ProjectId>, ProjectBody::from)))
}
