//! Invocations.

pub(crate) mod cancel;
pub(crate) mod delete;
pub(crate) mod event;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod resume;
pub(crate) mod show;
pub(crate) mod tail;

use causeway_flow::{StepEgress, StepError, StepView};
use causeway_types::entity::{Invocation, InvocationState, StepState, WaitsFor};
use causeway_types::{EventId, InvocationId, StepId, Timestamp, VersionId, WorkflowId};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One run of a version on one event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Invocation)]
pub(crate) struct InvocationBody {
    /// Its id.
    id: InvocationId,
    /// The workflow.
    workflow_id: WorkflowId,
    /// The version that runs.
    version_id: VersionId,
    /// The event that it runs on.
    event_id: EventId,
    /// The invocation that this one repeats.
    replay_of: Option<InvocationId>,
    /// The invocation whose loop it is an item of.
    parent_id: Option<InvocationId>,
    /// Its number among the items of that loop, from 0.
    item_index: Option<i64>,
    /// How far it is.
    state: InvocationState,
    /// What it waits for, if it waits: a time, its turn among items, or its own items.
    waits_for: Option<WaitsFor>,
    /// How often its next step has failed and is tried again.
    attempts: i64,
    /// When it goes on, if it waits for a time.
    wake_at: Option<Timestamp>,
    /// The failure's code, if it failed; of the last attempt, if it waits for the next.
    error_code: Option<String>,
    /// The isolation tier of its sandbox.
    tier: Option<String>,
    /// When it was stored.
    created_at: Timestamp,
    /// When a worker first took it up.
    started_at: Option<Timestamp>,
    /// When it ended.
    finished_at: Option<Timestamp>,
}

/// A finished step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Step)]
pub(crate) struct StepBody {
    /// Its id.
    id: StepId,
    /// Its name in the workflow.
    name: String,
    /// Its place in the workflow, from 0.
    position: i64,
    /// Which attempt at the step this was, from 1. Of a step that was tried again, each is here.
    attempt: i64,
    /// How it ended.
    state: StepState,
    /// What the code returned.
    #[schema(value_type = Option<serde_json::Value>)]
    return_value: Option<Box<RawValue>>,
    /// What it exported by name.
    #[schema(value_type = BTreeMap<String, serde_json::Value>)]
    exports: BTreeMap<String, Box<RawValue>>,
    /// Why the workflow ended with this step, if the code said so.
    exit: Option<String>,
    /// Why it failed, if it did.
    error: Option<ErrorBody>,
    /// What it printed.
    logs: Vec<LogBody>,
    /// Whether it printed more than is kept.
    logs_truncated: bool,
    /// What it connected to, and what was decided.
    egress: Vec<EgressBody>,
    /// How many connections and requests there were beyond those.
    egress_more: u64,
    /// What it used.
    usage: UsageBody,
    /// When it began.
    started_at: Timestamp,
    /// When it ended.
    finished_at: Timestamp,
}

/// Why a step failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StepError)]
pub(crate) struct ErrorBody {
    /// A stable word.
    code: String,
    /// What happened.
    message: String,
    /// The code's own stack.
    stack: Option<String>,
}

/// A line that a step printed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub(crate) struct LogBody {
    /// When.
    at: Timestamp,
    /// `stdout` or `stderr`.
    stream: String,
    /// The line.
    text: String,
}

/// A connection of a step, or a request that the broker read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Egress)]
pub(crate) struct EgressBody {
    /// The host.
    host: String,
    /// The port.
    port: u16,
    /// The request's method; none for a connection.
    method: Option<String>,
    /// `passed`, `brokered` or `refused`.
    decision: String,
    /// The status that a brokered request was answered with.
    status: Option<u16>,
    /// Why it was refused.
    code: Option<String>,
    /// Bytes from the code.
    sent: u64,
    /// Bytes to the code.
    received: u64,
}

/// What a step used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageBody {
    /// Wall time in microseconds.
    wall_us: u64,
    /// Processor time in microseconds.
    cpu_us: u64,
    /// The most memory that its sandbox has held, in bytes.
    peak_memory_bytes: u64,
}

impl From<Invocation> for InvocationBody {
    fn from(invocation: Invocation) -> Self {
        Self {
            id: invocation.id,
            workflow_id: invocation.workflow_id,
            version_id: invocation.version_id,
            event_id: invocation.event_id,
            replay_of: invocation.replay_of,
            parent_id: invocation.parent_id,
            item_index: invocation.item_index,
            state: invocation.state,
            waits_for: invocation.waits_for,
            error_code: invocation.error_code,
            attempts: invocation.attempts,
            wake_at: invocation.wake_at,
            tier: invocation.tier,
            created_at: invocation.created_at,
            started_at: invocation.started_at,
            finished_at: invocation.finished_at,
        }
    }
}

impl From<StepView> for StepBody {
    fn from(StepView { step, record }: StepView) -> Self {
        let log = |line: causeway_flow::StepLog| LogBody {
            at: line.at(),
            stream: line.stream,
            text: line.text,
        };
        Self {
            id: step.id,
            name: step.name,
            position: step.position,
            attempt: step.attempt,
            state: step.state,
            return_value: record.return_value,
            exports: record.exports,
            exit: record.exit,
            error: record.error.map(ErrorBody::from),
            logs: record.logs.into_iter().map(log).collect(),
            logs_truncated: record.logs_truncated,
            egress: record.egress.into_iter().map(EgressBody::from).collect(),
            egress_more: record.egress_more,
            usage: UsageBody {
                wall_us: record.usage.wall_us,
                cpu_us: record.usage.cpu_us,
                peak_memory_bytes: record.usage.peak_memory_bytes,
            },
            started_at: step.started_at,
            finished_at: step.finished_at,
        }
    }
}

impl From<StepEgress> for EgressBody {
    fn from(one: StepEgress) -> Self {
        Self {
            host: one.host,
            port: one.port,
            method: one.method,
            decision: one.decision,
            status: one.status,
            code: one.code,
            sent: one.sent,
            received: one.received,
        }
    }
}

impl From<StepError> for ErrorBody {
    fn from(error: StepError) -> Self {
        Self { code: error.code, message: error.message, stack: error.stack }
    }
}
