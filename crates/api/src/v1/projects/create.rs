use super::ProjectBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use serde::Deserialize;
use utoipa::ToSchema;

/// A project to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProject {
    /// Its name, unique in the workspace: 1 to 100 characters.
    name: String,
}

/// Make a project with its two environments, `development` and `production`.
#[utoipa::path(
    post, path = "/projects", tag = "workspace", operation_id = "create_project",
    request_body = NewProject,
    responses((status = 201, description = "The project.", body = ProjectBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageProjects>,
    JsonBody(new): JsonBody<NewProject>,
) -> Result<(StatusCode, Json<ProjectBody>), Problem> {
    let project = api.members().create_project(&permit, &new.name).await?;
    Ok((StatusCode::CREATED, Json(project.into())))
}
