//! Who calls.

pub(crate) mod show;

use super::sessions::SessionBody;
use causeway_identity::action::ActionName;
use causeway_identity::{Caller, Me, MyWorkspace};
use causeway_types::entity::{HeldRole, Role, User};
use causeway_types::{EnvironmentId, ProjectId, Timestamp, UserId, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// Who calls: a person who is signed in, or a program.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeBody {
    /// Who it is, as the audit chain names them: a person, an API key or an OAuth client.
    actor: String,
    /// The person; null for programs.
    user: Option<UserBody>,
    /// The session; null for programs.
    session: Option<SessionBody>,
    /// The workspaces that the person is a member of; empty for programs.
    workspaces: Vec<MembershipBody>,
    /// Where this request acts, and what it may do there. Null for a person who names no place in
    /// `causeway-environment` or `causeway-workspace`.
    here: Option<HereBody>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    /// Their id.
    id: UserId,
    /// The e-mail address that their identity provider has verified.
    email: String,
    /// What the provider calls them.
    name: String,
    /// When they came for the first time.
    created_at: Timestamp,
}

/// A person's place in a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Membership)]
pub(crate) struct MembershipBody {
    /// The workspace.
    id: WorkspaceId,
    /// Its name.
    name: String,
    /// The roles that the person holds there, their own and those of their groups.
    roles: Vec<HeldRoleBody>,
    /// What the workspace demands of a sign-in that this session does not meet; null if it does.
    refused: Option<String>,
}

/// A role and where it counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HeldRole)]
pub(crate) struct HeldRoleBody {
    /// The role.
    role: Role,
    /// The project that it counts in; null where it counts in all of the workspace.
    project_id: Option<ProjectId>,
}

/// Where a request acts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Here)]
pub(crate) struct HereBody {
    /// The workspace.
    workspace_id: WorkspaceId,
    /// The project, where it is in an environment.
    project_id: Option<ProjectId>,
    /// The environment, where it is in one.
    environment_id: Option<EnvironmentId>,
    /// What the caller may do here, by the names of permissions.
    permissions: Vec<&'static str>,
}

impl HereBody {
    fn of(caller: &Caller) -> Self {
        let tenant = caller.place().environment();
        let permissions = ActionName::ALL.iter().filter(|name| caller.may(**name));
        Self {
            workspace_id: caller.workspace(),
            project_id: tenant.map(|tenant| tenant.project),
            environment_id: tenant.map(|tenant| tenant.environment),
            permissions: permissions.map(|name| name.as_str()).collect(),
        }
    }
}

impl MeBody {
    fn program(caller: &Caller) -> Self {
        Self {
            actor: caller.actor().to_string(),
            user: None,
            session: None,
            workspaces: Vec::new(),
            here: Some(HereBody::of(caller)),
        }
    }

    fn person(me: Me, caller: Option<&Caller>) -> Self {
        let actor = caller.map_or_else(|| me.user.id.to_string(), |one| one.actor().to_string());
        Self {
            actor,
            user: Some(me.user.into()),
            session: Some(me.session.into()),
            workspaces: me.workspaces.into_iter().map(MembershipBody::from).collect(),
            here: caller.map(HereBody::of),
        }
    }
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self { id: user.id, email: user.email, name: user.name, created_at: user.created_at }
    }
}

impl From<MyWorkspace> for MembershipBody {
    fn from(workspace: MyWorkspace) -> Self {
        Self {
            id: workspace.id,
            name: workspace.name,
            roles: workspace.roles.into_iter().map(HeldRoleBody::from).collect(),
            refused: workspace.refused,
        }
    }
}

impl From<HeldRole> for HeldRoleBody {
    fn from(held: HeldRole) -> Self {
        Self { role: held.role, project_id: held.project_id }
    }
}
