//! Workspaces, what divides them, and what may enter them.

use crate::column::words;
use crate::{ApiKeyId, EnvironmentId, MachineClientId, ProjectId, Tenant, Timestamp, WorkspaceId};

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

/// An API key. The key itself is not stored, only its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// The workspace that it opens.
    pub workspace_id: WorkspaceId,
    /// The project that it opens.
    pub project_id: ProjectId,
    /// The environment that it opens.
    pub environment_id: EnvironmentId,
    /// What people call it.
    pub name: String,
    /// SHA-256 of the key. The key holds 256 random bits, so no slow hash is needed.
    pub digest: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// What it opens.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// A machine's OAuth client for Causeway's own API. Its secret is stored as a digest only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineClient {
    /// Its id, which is also the OAuth `client_id`.
    pub id: MachineClientId,
    /// The workspace that it opens.
    pub workspace_id: WorkspaceId,
    /// The project that it opens.
    pub project_id: ProjectId,
    /// The environment that it opens.
    pub environment_id: EnvironmentId,
    /// SHA-256 of the secret, which holds 256 random bits.
    pub digest: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}
