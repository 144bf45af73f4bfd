//! Projects and their environments.

pub(crate) mod create;
pub(crate) mod list;

use causeway_identity::ProjectDetail;
use causeway_types::entity::{Environment, EnvironmentKind};
use causeway_types::{EnvironmentId, ProjectId, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// A project with its two environments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Project)]
pub(crate) struct ProjectBody {
    /// Its id.
    id: ProjectId,
    /// Its name, unique in the workspace.
    name: String,
    /// Its environments, isolated from each other.
    environments: Vec<EnvironmentBody>,
    /// When it was made.
    created_at: Timestamp,
}

/// An environment of a project.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Environment)]
pub(crate) struct EnvironmentBody {
    /// Its id.
    id: EnvironmentId,
    /// Which of the two it is.
    kind: EnvironmentKind,
}

impl From<ProjectDetail> for ProjectBody {
    fn from(detail: ProjectDetail) -> Self {
        Self {
            id: detail.project.id,
            name: detail.project.name,
            environments: detail.environments.into_iter().map(EnvironmentBody::from).collect(),
            created_at: detail.project.created_at,
        }
    }
}

impl From<Environment> for EnvironmentBody {
    fn from(environment: Environment) -> Self {
        Self { id: environment.id, kind: environment.kind }
    }
}
