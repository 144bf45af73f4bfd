//! The workspaces of the installation, for whoever operates it: their names, never their contents.

pub(crate) mod create;
pub(crate) mod list;

use causeway_types::entity::Workspace;
use causeway_types::{Timestamp, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// A workspace by its name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkspaceName)]
pub(crate) struct WorkspaceNameBody {
    /// Its id.
    id: WorkspaceId,
    /// Its name.
    name: String,
    /// When it was made.
    created_at: Timestamp,
}

impl From<Workspace> for WorkspaceNameBody {
    fn from(workspace: Workspace) -> Self {
        Self { id: workspace.id, name: workspace.name, created_at: workspace.created_at }
    }
}
