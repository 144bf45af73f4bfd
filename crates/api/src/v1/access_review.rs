//! Who has what in the workspace, and who does not use it.

pub(crate) mod show;

use causeway_identity::{
    AccessReview, GroupAccess, MemberAccess, ProgramAccess, RoleOf, Scopes, StaffInside, Usage,
};
use causeway_types::entity::{MemberState, Role};
use causeway_types::{
    AccessRequestId, EnvironmentId, GroupId, MemberId, ProjectId, Timestamp, UserId, WorkspaceId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// Who has what in the workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessReview)]
pub(crate) struct AccessReviewBody {
    /// The workspace.
    workspace_id: WorkspaceId,
    /// When this was true.
    made_at: Timestamp,
    /// How many accesses were not used for 90 days.
    unused: usize,
    /// The members, the deactivated ones too.
    members: Vec<MemberAccessBody>,
    /// The groups.
    groups: Vec<GroupAccessBody>,
    /// The API keys that are neither revoked nor expired.
    api_keys: Vec<ProgramAccessBody>,
    /// The machine clients that are not revoked.
    machine_clients: Vec<ProgramAccessBody>,
    /// Staff whose access is approved and not over.
    staff: Vec<StaffInsideBody>,
}

/// What a member may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemberAccess)]
pub(crate) struct MemberAccessBody {
    /// The member.
    id: MemberId,
    /// The person; null until they have signed in.
    user_id: Option<UserId>,
    /// The e-mail address.
    email: String,
    /// The name.
    name: String,
    /// Whether they may come in.
    state: MemberState,
    /// Their roles, their own first.
    roles: Vec<RoleOfBody>,
    /// Whether they use them.
    usage: UsageBody,
}

/// A role, and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoleOf)]
pub(crate) struct RoleOfBody {
    /// The role.
    role: Role,
    /// Where it counts; null is in all of the workspace.
    project_id: Option<ProjectId>,
    /// The group through which it is held; null is directly.
    group_id: Option<GroupId>,
    /// That group's name.
    group: Option<String>,
}

/// What the members of a group may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GroupAccess)]
pub(crate) struct GroupAccessBody {
    /// The group.
    id: GroupId,
    /// Its name.
    name: String,
    /// How many members it has.
    members: usize,
    /// Its roles.
    roles: Vec<RoleOfBody>,
}

/// What a program may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProgramAccess)]
pub(crate) struct ProgramAccessBody {
    /// The id of its key or client.
    id: String,
    /// Its name.
    name: String,
    /// The project.
    project_id: ProjectId,
    /// The environment.
    environment_id: EnvironmentId,
    /// What it may do there: its actions, each by name.
    actions: Vec<String>,
    /// The apps that it may touch; null is all.
    apps: Option<Vec<String>>,
    /// Whether only some requests may go through the proxy.
    proxy_limited: bool,
    /// Who made it, as the audit chain names them.
    created_by: String,
    /// Until when it works; null is for ever.
    expires_at: Option<Timestamp>,
    /// Whether it is used.
    usage: UsageBody,
}

/// A member of the staff who may come in now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StaffInside)]
pub(crate) struct StaffInsideBody {
    /// The approved request.
    request_id: AccessRequestId,
    /// The person.
    user_id: UserId,
    /// Their e-mail address.
    email: String,
    /// The role.
    role: Role,
    /// Why.
    reason: String,
    /// Who approved it.
    approved_by: Option<String>,
    /// Until when.
    expires_at: Option<Timestamp>,
}

/// Whether an access is used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessUsage)]
pub(crate) struct UsageBody {
    /// Since when it is there.
    created_at: Timestamp,
    /// When it was used last; null if never.
    last_used_at: Option<Timestamp>,
    /// Whole days since then, or since it is there if it was never used.
    unused_for_days: i64,
    /// Whether that is 90 days or more, and it could be used.
    unused: bool,
}

impl From<AccessReview> for AccessReviewBody {
    fn from(review: AccessReview) -> Self {
        Self {
            workspace_id: review.workspace,
            made_at: review.made_at,
            unused: review.unused(),
            members: review.members.into_iter().map(Into::into).collect(),
            groups: review.groups.into_iter().map(Into::into).collect(),
            api_keys: review.api_keys.into_iter().map(Into::into).collect(),
            machine_clients: review.machine_clients.into_iter().map(Into::into).collect(),
            staff: review.staff.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<MemberAccess> for MemberAccessBody {
    fn from(one: MemberAccess) -> Self {
        Self {
            id: one.member.id,
            user_id: one.member.user_id,
            email: one.member.email,
            name: one.member.name,
            state: one.member.state,
            roles: one.roles.into_iter().map(Into::into).collect(),
            usage: one.usage.into(),
        }
    }
}

impl From<RoleOf> for RoleOfBody {
    fn from(held: RoleOf) -> Self {
        let (group_id, group) = held.group.unzip();
        Self { role: held.role, project_id: held.project, group_id, group }
    }
}

impl From<GroupAccess> for GroupAccessBody {
    fn from(one: GroupAccess) -> Self {
        let roles = one.roles.into_iter().map(|held| RoleOfBody {
            role: held.role,
            project_id: held.project_id,
            group_id: None,
            group: None,
        });
        Self {
            id: one.group.id,
            name: one.group.name,
            members: one.members,
            roles: roles.collect(),
        }
    }
}

impl From<ProgramAccess> for ProgramAccessBody {
    fn from(one: ProgramAccess) -> Self {
        let scopes =
            one.scopes.unwrap_or(Scopes { actions: Some(Vec::new()), ..Scopes::default() });
        Self {
            id: one.id,
            name: one.name,
            project_id: one.project,
            environment_id: one.environment,
            actions: scopes.actions().iter().map(ToString::to_string).collect(),
            apps: scopes.apps,
            proxy_limited: scopes.proxy.is_some(),
            created_by: one.created_by,
            expires_at: one.expires_at,
            usage: one.usage.into(),
        }
    }
}

impl From<StaffInside> for StaffInsideBody {
    fn from(one: StaffInside) -> Self {
        Self {
            request_id: one.request.id,
            user_id: one.request.user_id,
            email: one.email,
            role: one.request.role,
            reason: one.request.reason,
            approved_by: one.request.decided_by,
            expires_at: one.request.expires_at,
        }
    }
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        let Usage { created_at, last_used_at, unused_for_days, unused } = usage;
        Self { created_at, last_used_at, unused_for_days, unused }
    }
}
