//! Workflows.

pub(crate) mod list;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod trigger;

use causeway_types::entity::Workflow;
use causeway_types::{Timestamp, VersionId, WorkflowId};
use serde::Serialize;
use utoipa::ToSchema;

/// A workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workflow)]
pub(crate) struct WorkflowBody {
    /// Its id.
    id: WorkflowId,
    /// Its name, unique in the environment.
    name: String,
    /// The version that new events run.
    active_version_id: Option<VersionId>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl From<Workflow> for WorkflowBody {
    fn from(workflow: Workflow) -> Self {
        Self {
            id: workflow.id,
            name: workflow.name,
            active_version_id: workflow.active_version_id,
            created_at: workflow.created_at,
            updated_at: workflow.updated_at,
        }
    }
}
