//! The caller's workspace.

pub(crate) mod leave;
pub(crate) mod show;

use super::projects::ProjectBody;
use causeway_identity::WorkspaceDetail;
use causeway_types::{Timestamp, WorkspaceId};
use serde::Serialize;
use utoipa::ToSchema;

/// A workspace with its projects and their environments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workspace)]
pub(crate) struct WorkspaceBody {
    /// Its id.
    id: WorkspaceId,
    /// Its name.
    name: String,
    /// Its projects, oldest first. Who has roles in some only is shown those.
    projects: Vec<ProjectBody>,
    /// When it was made.
    created_at: Timestamp,
}

impl From<WorkspaceDetail> for WorkspaceBody {
    fn from(detail: WorkspaceDetail) -> Self {
        Self {
            id: detail.workspace.id,
            name: detail.workspace.name,
            projects: detail.projects.into_iter().map(ProjectBody::from).collect(),
            created_at: detail.workspace.created_at,
        }
    }
}
