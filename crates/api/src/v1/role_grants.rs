//! Roles given to members and groups.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;

use causeway_types::entity::{Role, RoleGrant};
use causeway_types::{GroupId, MemberId, ProjectId, RoleGrantId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A role given to a member or to a group: one of the two is named.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoleGrant)]
pub(crate) struct RoleGrantBody {
    /// Its id.
    id: RoleGrantId,
    /// The member.
    member_id: Option<MemberId>,
    /// The group.
    group_id: Option<GroupId>,
    /// The role.
    role: Role,
    /// The project in which it counts; null for all of the workspace.
    project_id: Option<ProjectId>,
    /// When it was given.
    created_at: Timestamp,
}

impl From<RoleGrant> for RoleGrantBody {
    fn from(grant: RoleGrant) -> Self {
        Self {
            id: grant.id,
            member_id: grant.member_id,
            group_id: grant.group_id,
            role: grant.role,
            project_id: grant.project_id,
            created_at: grant.created_at,
        }
    }
}
