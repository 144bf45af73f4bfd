use super::RoleGrantBody;
use crate::extract::{Authorized, Calling, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{Grantee, NewRoleGrant, action};
use causeway_types::entity::Role;
use causeway_types::{Code, GroupId, MemberId, ProjectId};
use serde::Deserialize;
use utoipa::ToSchema;

/// A role to give, to a member or to a group.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRoleGrantBody {
    /// The member who gets it.
    member_id: Option<MemberId>,
    /// The group whose members get it.
    group_id: Option<GroupId>,
    /// The role.
    role: Role,
    /// The project in which it counts; left out for all of the workspace.
    project_id: Option<ProjectId>,
}

/// Give a role to a member or to a group. Nobody gives more than they have.
#[utoipa::path(
    post, path = "/role-grants", tag = "members", operation_id = "create_role_grant",
    request_body = NewRoleGrantBody,
    responses((status = 201, description = "The role is given.", body = RoleGrantBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMembers>,
    Calling(caller): Calling,
    JsonBody(new): JsonBody<NewRoleGrantBody>,
) -> Result<(StatusCode, Json<RoleGrantBody>), Problem> {
    let to = match (new.member_id, new.group_id) {
        (Some(member), None) => Grantee::Member(member),
        (None, Some(group)) => Grantee::Group(group),
        _ => {
            return Err(Problem::new(
                Code::InvalidRequest,
                "Name one of `member_id` and `group_id`.",
            ));
        }
    };
    let new = NewRoleGrant { to, role: new.role, project: new.project_id };
    let grant = api.members().grant_role(&permit, &caller, new).await?;
    Ok((StatusCode::CREATED, Json(grant.into())))
}
