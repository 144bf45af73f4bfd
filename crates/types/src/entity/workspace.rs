//! Workspaces and what divides them.

use crate::column::words;
use crate::{EnvironmentId, ProjectId, Tenant, Timestamp, WorkspaceId};

/// A workspace: the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A project of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

words! {
    /// The two environments that every project has, isolated from each other.
    EnvironmentKind {
        /// For trying things out.
        Development = "development",
        /// For customers.
        Production = "production",
    }
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The workspace that it belongs to.
    pub workspace_id: WorkspaceId,
    /// The project that it belongs to.
    pub project_id: ProjectId,
    /// Which of the two it is.
    pub kind: EnvironmentKind,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Environment {
    /// The tenant that it is.
    pub fn tenant(&self) -> Tenant {
        Tenant { workspace: self.workspace_id, project: self.project_id, environment: self.id }
    }
}
