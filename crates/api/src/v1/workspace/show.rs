use super::WorkspaceBody;
use crate::extract::{Authorized, Calling};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Show the caller's workspace with its projects and environments.
#[utoipa::path(
    get, path = "/workspace", tag = "workspace", operation_id = "show_workspace",
    responses((status = 200, description = "The workspace.", body = WorkspaceBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkspace>,
    Calling(caller): Calling,
) -> Result<Json<WorkspaceBody>, Problem> {
    Ok(Json(api.members().workspace(&permit, &caller).await?.into()))
}
