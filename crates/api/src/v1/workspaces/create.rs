use super::WorkspaceNameBody;
use crate::extract::{Authorized, JsonBody};
use crate::v1::invitations::MadeInvitationBody;
use crate::v1::projects::ProjectBody;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewWorkspace, action};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A workspace to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWorkspaceBody {
    /// Its name: 1 to 100 characters.
    name: String,
    /// The name of its first project. Default `Default`.
    project: Option<String>,
    /// The e-mail address of its first owner.
    owner_email: String,
}

/// A workspace that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct MadeWorkspace {
    /// The workspace.
    workspace: WorkspaceNameBody,
    /// Its first project with its environments.
    project: ProjectBody,
    /// The invitation of its first owner.
    owner: MadeInvitationBody,
}

/// Make a workspace and invite its first owner. Whoever makes it has no access to it.
#[utoipa::path(
    post, path = "/workspaces", tag = "installation", operation_id = "create_workspace",
    request_body = NewWorkspaceBody,
    responses((status = 201, description = "The workspace.", body = MadeWorkspace), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageWorkspaces>,
    JsonBody(new): JsonBody<NewWorkspaceBody>,
) -> Result<(StatusCode, Json<MadeWorkspace>), Problem> {
    let new = NewWorkspace {
        name: new.name,
        project: new.project.unwrap_or_else(|| "Default".to_owned()),
        owner_email: new.owner_email,
    };
    let made = api.members().create_workspace(&permit, &new).await?;
    let body = MadeWorkspace {
        workspace: made.workspace.into(),
        project: made.project.into(),
        owner: MadeInvitationBody::of(&api, made.invitation),
    };
    Ok((StatusCode::CREATED, Json(body)))
}
