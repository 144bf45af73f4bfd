//! What an event runs, and under which bounds.

use crate::manifest::{Manifest, WhenFull};
use causeway_types::entity::{Gate, Invocation, InvocationState};
use causeway_types::{EventId, InvocationId, Tenant, Timestamp, VersionId, WorkflowId};

/// The code of an invocation whose event found its workflow's queue full.
pub(crate) const QUEUE_FULL: &str = "queue_full";

/// What an event runs, and under which bounds.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) tenant: Tenant,
    pub(crate) workflow: WorkflowId,
    /// The active version.
    pub(crate) version: VersionId,
    /// Whether invocations wait until they are let through.
    pub(crate) gate: Gate,
    /// How many may be open.
    pub(crate) queue_limit: i64,
    /// What becomes of more.
    pub(crate) when_full: WhenFull,
}

impl Target {
    /// A version of a workflow, where the server lets `most` invocations of one be open.
    pub(crate) fn new(
        (tenant, workflow, version): (Tenant, WorkflowId, VersionId),
        manifest: &Manifest,
        most: i64,
    ) -> Self {
        Self {
            tenant,
            workflow,
            version,
            gate: manifest.gate(),
            queue_limit: manifest.queue_limit(most),
            when_full: manifest.when_full(),
        }
    }

    /// An invocation that is to run on an event.
    pub(crate) fn invocation(
        &self,
        id: InvocationId,
        event_id: EventId,
        now: Timestamp,
    ) -> Invocation {
        Invocation {
            id,
            workspace_id: self.tenant.workspace,
            environment_id: self.tenant.environment,
            workflow_id: self.workflow,
            version_id: self.version,
            event_id,
            replay_of: None,
            parent_id: None,
            item_index: None,
            waits_for: None,
            state: InvocationState::Queued,
            gate: self.gate,
            next_step: 0,
            attempts: 0,
            wake_at: None,
            error_code: None,
            tier: None,
            owner: None,
            fence: 0,
            response: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }

    /// The same for an event that has found the queue full, and waits for a replay.
    pub(crate) fn dead_letter(
        &self,
        id: InvocationId,
        event_id: EventId,
        now: Timestamp,
    ) -> Invocation {
        Invocation {
            state: InvocationState::Dead,
            gate: Gate::Open,
            error_code: Some(QUEUE_FULL.to_owned()),
            finished_at: Some(now),
            ..self.invocation(id, event_id, now)
        }
    }
}
