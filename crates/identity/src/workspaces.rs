//! Workspaces, projects and environments.

use crate::action::{ManageProjects, ManageWorkspaces, ReadWorkspace};
use crate::email::Email;
use crate::invitations::{Given, INVITATION_LIFETIME, MadeInvitation, invited};
use crate::members::{Members, MembersError, Thing, Twice, check_name};
use crate::permit::{Caller, Permit};
use causeway_store::{Audit, WriteTx, db};
use causeway_types::entity::{Environment, EnvironmentKind, Project, Role, Workspace};
use causeway_types::{
    Code, Coded, EnvironmentId, INSTALLATION, ProjectId, Randomness, Timestamp, WorkspaceId,
};
use causeway_vault::{Vault, VaultError};
use std::borrow::Cow;

/// The most projects of a workspace.
pub const MAX_PROJECTS: usize = 200;

/// A workspace with what divides it.
#[derive(Debug, Clone)]
pub struct WorkspaceDetail {
    /// The workspace.
    pub workspace: Workspace,
    /// Its projects, oldest first.
    pub projects: Vec<ProjectDetail>,
}

/// A project with its two environments.
#[derive(Debug, Clone)]
pub struct ProjectDetail {
    /// The project.
    pub project: Project,
    /// Its environments.
    pub environments: Vec<Environment>,
}

/// A workspace to make.
#[derive(Debug, Clone)]
pub struct NewWorkspace {
    /// Its name.
    pub name: String,
    /// The name of its first project.
    pub project: String,
    /// The e-mail address of its first owner, who is invited.
    pub owner_email: String,
}

/// A workspace that was made, with the link for its first owner.
pub struct MadeWorkspace {
    /// The workspace.
    pub workspace: Workspace,
    /// Its project.
    pub project: ProjectDetail,
    /// The invitation of its first owner.
    pub invitation: MadeInvitation,
}

/// A workspace could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// Its name, its project's or its owner's address cannot be used, or the store failed.
    #[error(transparent)]
    Members(#[from] MembersError),
    /// Its data key could not be made.
    #[error("making the workspace's data key")]
    Vault(#[from] VaultError),
}

impl From<causeway_store::Error> for WorkspaceError {
    fn from(error: causeway_store::Error) -> Self {
        Self::Members(MembersError::Store(error))
    }
}

impl Coded for WorkspaceError {
    fn code(&self) -> Code {
        match self {
            Self::Members(source) => source.code(),
            Self::Vault(source) => source.code(),
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Members(source) => source.public(),
            Self::Vault(source) => source.public(),
        }
    }
}

impl Members {
    /// The caller's workspace. Who has roles in some projects only is shown those.
    ///
    /// # Errors
    /// [`MembersError::NotFound`] if it is gone; [`MembersError::Store`].
    pub async fn workspace(
        &self,
        permit: &Permit<ReadWorkspace>,
        caller: &Caller,
    ) -> Result<WorkspaceDetail, MembersError> {
        let id = permit.workspace();
        let mut conn = self.store().read().await?;
        let workspace = db!(conn, workspace::get(id))?
            .ok_or(MembersError::NotFound { thing: Thing::Workspace })?;
        drop(conn);
        Ok(WorkspaceDetail { workspace, projects: self.projects(permit, caller).await? })
    }

    /// The workspace's projects, oldest first, as far as the caller may see them.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn projects(
        &self,
        permit: &Permit<ReadWorkspace>,
        caller: &Caller,
    ) -> Result<Vec<ProjectDetail>, MembersError> {
        let id = permit.workspace();
        let mut conn = self.store().read().await?;
        let projects = db!(conn, workspace::projects(id))?;
        let mut environments = db!(conn, workspace::environments(id))?;
        environments.sort_by_key(|environment| environment.kind.as_str());
        let of = |project: Project| {
            let environments =
                environments.iter().filter(|one| one.project_id == project.id).cloned().collect();
            ProjectDetail { project, environments }
        };
        let shown = projects.into_iter().filter(|project| sees(caller, id, project.id));
        Ok(shown.map(of).collect())
    }

    /// Makes a project with its two environments.
    ///
    /// # Errors
    /// [`MembersError::Name`]; [`MembersError::Taken`]; [`MembersError::TooMany`];
    /// [`MembersError::Store`].
    pub async fn create_project(
        &self,
        permit: &Permit<ManageProjects>,
        name: &str,
    ) -> Result<ProjectDetail, MembersError> {
        check_name(name)?;
        let (workspace, now) = (permit.workspace(), self.clock().now());
        let mut tx = self.store().write(permit.actor()).await?;
        // One project at a time, so that names stay unique.
        db!(tx, audit::lock_head(workspace))?;
        let there = db!(tx, workspace::projects(workspace))?;
        if there.iter().any(|project| project.name == name) {
            return Err(MembersError::Taken(Twice::ProjectName));
        }
        if there.len() >= MAX_PROJECTS {
            let what = "projects in a workspace";
            return Err(MembersError::TooMany { what, most: MAX_PROJECTS });
        }
        let made = insert_project(&mut tx, workspace, name, now, self.random()).await?;
        let event = Audit::ProjectCreated { project: made.project.id, name: name.to_owned() };
        tx.commit(workspace, now, event).await?;
        Ok(made)
    }

    /// Makes a workspace with a data key, an audit chain, a project and its environments, and
    /// invites its first owner. The operators that make it have no access to it.
    ///
    /// # Errors
    /// See [`WorkspaceError`]; nothing is kept then.
    pub async fn create_workspace(
        &self,
        permit: &Permit<ManageWorkspaces>,
        new: &NewWorkspace,
    ) -> Result<MadeWorkspace, WorkspaceError> {
        check_name(&new.name)?;
        check_name(&new.project)?;
        let email: Email = new.owner_email.parse().map_err(MembersError::Email)?;
        let now = self.clock().now();
        let mut tx = self.store().write(permit.actor()).await?;
        let names = (new.name.as_str(), new.project.as_str());
        let (workspace, project) =
            insert_workspace::<WorkspaceError>(&mut tx, self.vault(), names, now, self.random())
                .await?;
        let given =
            Given { workspace: workspace.id, email: &email, role: Role::Owner, project: None };
        let lifetime = INVITATION_LIFETIME;
        let invitation =
            given.insert(&mut tx, self.token_key(), self.random(), now, lifetime).await?;
        let created =
            || Audit::WorkspaceCreated { workspace: workspace.id, name: workspace.name.clone() };
        tx.record(workspace.id, now, created()).await?;
        tx.record(workspace.id, now, invited(&invitation.invitation)).await?;
        tx.commit(INSTALLATION, now, created()).await?;
        Ok(MadeWorkspace { workspace, project, invitation })
    }

    /// A page of all workspaces but the installation's own, by id: their names and nothing else.
    ///
    /// # Errors
    /// [`MembersError::Store`].
    pub async fn workspaces(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        after: WorkspaceId,
        limit: i64,
    ) -> Result<Vec<Workspace>, MembersError> {
        let mut conn = self.store().read().await?;
        Ok(db!(conn, workspace::page(after.max(INSTALLATION), limit))?)
    }
}

/// Whether the caller may know that there is such a project: programs and whoever has a role in
/// all of the workspace may, others if they have a role in it.
fn sees(caller: &Caller, workspace: WorkspaceId, project: ProjectId) -> bool {
    let roles = caller.roles();
    let concerns = |here: Option<ProjectId>| here.is_none_or(|here| here == project);
    caller.workspace() == workspace
        && (roles.is_empty() || roles.iter().any(|held| concerns(held.project_id)))
}

/// Inserts a workspace with its audit chain, a project and a data key.
pub(crate) async fn insert_workspace<E>(
    tx: &mut WriteTx,
    vault: &Vault,
    (name, project): (&str, &str),
    now: Timestamp,
    random: &dyn Randomness,
) -> Result<(Workspace, ProjectDetail), E>
where
    E: From<causeway_store::Error> + From<VaultError>,
{
    let id = WorkspaceId::generate(now, random);
    let workspace = Workspace { id, name: name.to_owned(), created_at: now };
    db!(tx, workspace::insert(&workspace))?;
    db!(tx, audit::insert_head(id))?;
    let project = insert_project(tx, id, project, now, random).await?;
    vault.create_data_key(tx, id, now).await?;
    Ok((workspace, project))
}

/// Inserts a project with its two environments.
pub(crate) async fn insert_project(
    tx: &mut WriteTx,
    workspace_id: WorkspaceId,
    name: &str,
    now: Timestamp,
    random: &dyn Randomness,
) -> Result<ProjectDetail, causeway_store::Error> {
    let project = Project {
        id: ProjectId::generate(now, random),
        workspace_id,
        name: name.to_owned(),
        created_at: now,
    };
    db!(tx, workspace::insert_project(&project))?;
    let mut environments = Vec::new();
    for kind in EnvironmentKind::ALL {
        let environment = Environment {
            id: EnvironmentId::generate(now, random),
            workspace_id,
            project_id: project.id,
            kind: *kind,
            created_at: now,
        };
        db!(tx, workspace::insert_environment(&environment))?;
        environments.push(environment);
    }
    Ok(ProjectDetail { project, environments })
}
