//! Schedules of workflows.

use super::Gate;
use crate::column::words;
use crate::{
    EnvironmentId, ProjectId, Tenant, Timestamp, TriggerId, VersionId, WorkflowId, WorkspaceId,
};

words! {
    /// What becomes of times at which no server was there.
    CatchUp {
        /// The latest of them fires, late.
        Latest = "latest",
        /// None of them fires.
        None = "none",
        /// Each of them fires, late.
        All = "all",
    }
}

/// A schedule of a workflow's active version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: TriggerId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Its name in the workflow.
    pub name: String,
    /// Its cron expression, if it has one.
    pub cron: Option<String>,
    /// Its interval in seconds, if it has no cron expression.
    pub every_s: Option<i64>,
    /// The name of the time zone in which the cron expression is meant.
    pub timezone: String,
    /// What becomes of times that were missed.
    pub catch_up: CatchUp,
    /// When it fires next.
    pub next_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Schedule {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// A schedule whose time has come, with what its workflow makes of events at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// The workflow's active version.
    pub version_id: VersionId,
    /// Whether its invocations wait for bounds of the workflow.
    pub gate: Gate,
    /// How many invocations of the workflow may be open, if it says so itself.
    pub queue_limit: Option<i64>,
}
