//! Workflows, the events that reach them and the invocations that follow.

use super::ItemOf;
use crate::column::words;
use crate::place::Sealed;
use crate::{
    EnvironmentId, EventId, InvocationId, NodeId, StepId, Tenant, Timestamp, TriggerId, VersionId,
    WorkflowId, WorkspaceId,
};

/// A workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    /// Its id.
    pub id: WorkflowId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its name, unique in the environment.
    pub name: String,
    /// The version that new events run.
    pub active_version_id: Option<VersionId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An immutable version of a workflow, addressed by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: VersionId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// Counts a workflow's versions from 1.
    pub number: i64,
    /// SHA-256 of the bundle, in hexadecimal: the same content is the same version.
    pub digest: String,
    /// Manifest and files, sealed.
    pub bundle: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

words! {
    /// What starts a workflow.
    TriggerKind {
        /// An HTTP request.
        Http = "http",
        /// A time that has come.
        Schedule = "schedule",
        /// Somebody by hand.
        Manual = "manual",
    }
}

/// Which of its workflow's triggers fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredBy {
    /// What started the workflow.
    pub kind: TriggerKind,
    /// The trigger's name in the workflow.
    pub name: String,
}

/// A trigger of a workflow that has a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its id.
    pub id: TriggerId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project, so that a request that holds only the URL finds its whole tenant.
    pub project_id: crate::ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// What starts the workflow.
    pub kind: TriggerKind,
    /// Its name in the workflow: the same in all versions.
    pub name: String,
    /// SHA-256 of the unguessable part of its URL, for look-up.
    pub token_digest: Vec<u8>,
    /// The unguessable part of its URL, sealed, for showing the URL again.
    pub token: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Trigger {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow that it is for.
    pub workflow_id: WorkflowId,
    /// What started the workflow.
    pub trigger_kind: TriggerKind,
    /// The name of the trigger that fired.
    pub trigger_name: String,
    /// The sender's own id of the event: a second one is the same event.
    pub dedupe_key: Option<String>,
    /// The event, sealed.
    pub body: Sealed,
    /// When it was received.
    pub received_at: Timestamp,
}

words! {
    /// How far an invocation is.
    InvocationState {
        /// Stored, not begun.
        Queued = "queued",
        /// A worker is at it.
        Running = "running",
        /// It waits for a time or a call.
        Waiting = "waiting",
        /// Its last step ended well.
        Succeeded = "succeeded",
        /// A step failed.
        Failed = "failed",
        /// Somebody stopped it.
        Canceled = "canceled",
        /// It was given up: after repeated crashes, or because its workflow's queue was full.
        Dead = "dead",
    }
}

words! {
    /// Whether an invocation waits for what bounds its workflow.
    Gate {
        /// Nothing bounded its workflow when it was stored.
        Open = "open",
        /// It waits until it is let through.
        Closed = "closed",
        /// It was let through, and counts until it ends or waits.
        Passed = "passed",
    }
}

impl InvocationState {
    /// Whether nothing more will happen to it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Dead)
    }
}

words! {
    /// What an invocation waits for.
    WaitsFor {
        /// A time.
        Time = "time",
        /// Its turn among the items of a loop.
        Turn = "turn",
        /// The items of its own loop, or the lists that run beside each other.
        Items = "items",
        /// Its resume link, and no longer than to a time.
        Resume = "resume",
    }
}

/// One run of a version on one event, or on one item of a loop of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its id.
    pub id: InvocationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The version that runs.
    pub version_id: VersionId,
    /// The event that it runs on.
    pub event_id: EventId,
    /// The invocation that this one repeats.
    pub replay_of: Option<InvocationId>,
    /// The invocation whose loop it is an item of.
    pub parent_id: Option<InvocationId>,
    /// Its number among the items, from 0.
    pub item_index: Option<i64>,
    /// How far it is.
    pub state: InvocationState,
    /// What it waits for, if it waits.
    pub waits_for: Option<WaitsFor>,
    /// Whether it waits for what bounds its workflow.
    pub gate: Gate,
    /// The position of the next step to run.
    pub next_step: i64,
    /// How often the next step has failed and is tried again.
    pub attempts: i64,
    /// When it goes on, if it waits for a time.
    pub wake_at: Option<Timestamp>,
    /// The failure's code, if it failed; of the last attempt, if it waits for the next.
    pub error_code: Option<String>,
    /// The isolation tier that its sandbox had.
    pub tier: Option<String>,
    /// The node whose lease is on it.
    pub owner: Option<NodeId>,
    /// Grows with every change of owner; a writer that holds an older value is refused.
    pub fence: i64,
    /// What the HTTP trigger's caller was answered, sealed.
    pub response: Option<Sealed>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When a worker first took it up.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

words! {
    /// How a step ended.
    StepState {
        /// Well.
        Succeeded = "succeeded",
        /// Not well.
        Failed = "failed",
    }
}

/// A finished step of an invocation, or an attempt at one that failed and was followed by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id.
    pub id: StepId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The invocation.
    pub invocation_id: InvocationId,
    /// Its place in the workflow, from 0.
    pub position: i64,
    /// Its name in the workflow.
    pub name: String,
    /// Which attempt at the step this was, from 1.
    pub attempt: i64,
    /// How it ended.
    pub state: StepState,
    /// The failure's code, if it failed.
    pub error_code: Option<String>,
    /// Return value, exports, logs, error and usage as JSON, sealed.
    pub record: Sealed,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// A process that runs invocations. Its leases hold as long as its own lease does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id, new for every start of a process.
    pub id: NodeId,
    /// When it started.
    pub started_at: Timestamp,
    /// Until when its leases hold.
    pub lease_until: Timestamp,
}

/// An invocation that a node just took, with what it needs to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub id: InvocationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: crate::ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The version that runs.
    pub version_id: VersionId,
    /// The event that it runs on.
    pub event_id: EventId,
    /// What started the workflow.
    pub trigger: FiredBy,
    /// Whether it counts against what bounds its workflow.
    pub gate: Gate,
    /// The next step to run.
    pub next_step: i64,
    /// How often that step has failed.
    pub attempts: i64,
    /// The fence of the claim.
    pub fence: i64,
    /// How many nodes ended without a word while they ran it.
    pub crashes: i64,
    /// The invocation whose loop it is an item of, if it is one.
    pub item_of: Option<ItemOf>,
    /// How many items of its own loop there are already; none if no loop is open.
    pub made_items: Option<i64>,
    /// It has waited for its resume link, which was not called in time.
    pub is_suspended: bool,
    /// When it was stored.
    pub created_at: Timestamp,
}

impl Claimed {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// The links that end an invocation's wait, by the SHA-256 of their tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkDigests {
    /// With this one it goes on.
    pub resume: [u8; 32],
    /// With this one it ends.
    pub cancel: [u8; 32],
}

/// An invocation that waits for a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspended {
    /// Its id.
    pub id: InvocationId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The project.
    pub project_id: crate::ProjectId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The workflow's name.
    pub workflow_name: String,
}

impl Suspended {
    /// Whose it is.
    pub fn tenant(&self) -> Tenant {
        Tenant {
            workspace: self.workspace_id,
            project: self.project_id,
            environment: self.environment_id,
        }
    }
}

/// How far an invocation is after a step.
#[derive(Debug, Clone)]
pub struct Advance {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: InvocationId,
    /// The fence of the claim.
    pub fence: i64,
    /// The next step to run.
    pub next_step: i64,
    /// How far it is now.
    pub state: InvocationState,
    /// How often the next step has failed.
    pub attempts: i64,
    /// What it is to wait for.
    pub waits_for: Option<WaitsFor>,
    /// When it goes on, if it is to wait for a time.
    pub wake_at: Option<Timestamp>,
    /// Whose item it is, which is told when it ends.
    pub item_of: Option<ItemOf>,
    /// The links that end the wait, by their tokens.
    pub links: Option<LinkDigests>,
    /// With its end, no further item of the loop around it is begun.
    pub ends_loop: bool,
    /// The failure's code.
    pub error_code: Option<String>,
    /// The tier of its sandbox.
    pub tier: Option<String>,
    /// The body that was answered, sealed.
    pub response: Option<Sealed>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
