use super::MadeInvitationBody;
use crate::extract::{Authorized, Calling, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewInvitation, action};
use causeway_types::ProjectId;
use causeway_types::entity::Role;
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// Whom to invite, and as what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInvitationBody {
    /// The e-mail address; whoever proves to have it may accept.
    email: String,
    /// The role that the new member gets.
    role: Role,
    /// The project in which it counts; left out for all of the workspace.
    project_id: Option<ProjectId>,
    /// For how long the invitation is open, in seconds: 3600 to 2592000. Default 604800.
    expires_in: Option<u64>,
}

/// Invite somebody into the workspace. An earlier open invitation for the same address is revoked.
#[utoipa::path(
    post, path = "/invitations", tag = "members", operation_id = "create_invitation",
    request_body = NewInvitationBody,
    responses((status = 201, description = "The invitation with its link.", body = MadeInvitationBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    JsonBody(new): JsonBody<NewInvitationBody>,
) -> Result<(StatusCode, Json<MadeInvitationBody>), Problem> {
    let new = NewInvitation {
        email: new.email,
        role: new.role,
        project: new.project_id,
        lifetime: new.expires_in.map(Duration::from_secs),
    };
    let made = api.members().invite(&permit, &caller, &new).await?;
    Ok((StatusCode::CREATED, Json(MadeInvitationBody::of(&api, made))))
}
