//! Why an invocation is where it is, in a sentence or two.

use crate::target::QUEUE_FULL;
use crate::worker::MAX_CRASHES;
use crate::{Flow, FlowError, StepView};
use causeway_identity::{Permit, action};
use causeway_store::db;
use causeway_types::entity::{Gate, Invocation, InvocationState, WaitsFor};
use causeway_types::{Tenant, Timestamp};
use std::time::Duration;

/// Invocations ahead of one in its queue are counted up to here.
const COUNTED: i64 = 1_000;

impl Flow {
    /// Why an invocation is where it is. `steps` are those of it that have ended.
    pub async fn explain(
        &self,
        permit: &Permit<action::ReadInvocations>,
        invocation: &Invocation,
        steps: &[StepView],
    ) -> Result<String, FlowError> {
        Ok(match invocation.state {
            InvocationState::Queued if invocation.gate == Gate::Closed => {
                self.before_the_gate(invocation).await?
            }
            InvocationState::Queued => self.in_the_queue(permit.tenant(), invocation).await?,
            InvocationState::Running => running(invocation, steps),
            InvocationState::Waiting => waiting(invocation, steps),
            InvocationState::Succeeded => format!("It succeeded{}.", ended(invocation)),
            InvocationState::Failed => {
                format!("{}{}.", failure(invocation, steps), ended(invocation))
            }
            InvocationState::Canceled => format!("It was canceled{}.", ended(invocation)),
            InvocationState::Dead => dead(invocation),
        })
    }

    /// Why one that waits for nothing has not begun.
    async fn in_the_queue(
        &self,
        tenant: Tenant,
        invocation: &Invocation,
    ) -> Result<String, FlowError> {
        if let Some(node) = invocation.owner {
            return Ok(format!(
                "It is in the memory of the server {node}, which begins it as soon as it has a sandbox free."
            ));
        }
        let (workflow, id) = (invocation.workflow_id, invocation.id);
        let mut conn = self.inner.store.read().await?;
        let ahead = others(db!(conn, dialect::open_before(tenant, workflow, id, COUNTED))?);
        Ok(format!("It is queued behind {ahead} of its workflow until a server has room for it."))
    }

    /// Why one is not let through.
    async fn before_the_gate(&self, invocation: &Invocation) -> Result<String, FlowError> {
        let (workflow, id) = (invocation.workflow_id, invocation.id);
        let mut conn = self.inner.store.read().await?;
        let bound = db!(conn, bound::of(workflow))?;
        let running = db!(conn, gate::running(workflow))?;
        let ahead = others(db!(conn, gate::ahead(workflow, id, COUNTED))?);
        drop(conn);
        let now = self.inner.clock.now();
        let Some(bound) = bound else {
            return Ok(format!("It is queued behind {ahead} and is about to be let through."));
        };
        if let (Some(most), 0) = (bound.concurrency, bound.room(running)) {
            return Ok(format!(
                "It is queued behind {ahead}: its workflow runs {most} at a time (`concurrency`), and so \
                 many run."
            ));
        }
        let begins_at = bound.begins_at().filter(|at| *at > now);
        Ok(match (begins_at, bound.throttle_limit, bound.throttle_per_us) {
            (Some(at), Some(limit), Some(per)) => format!(
                "It is queued behind {ahead}: its workflow begins {limit} in {} s (`throttle`), and the next \
                 may begin at {at}.",
                per / 1_000_000
            ),
            _ => format!("It is queued behind {ahead} and is about to be let through."),
        })
    }
}

/// So many others; beyond what is counted, at least so many.
fn others(count: i64) -> String {
    match count {
        0 => "no other".to_owned(),
        1 => "1 other".to_owned(),
        COUNTED.. => format!("{COUNTED} others or more"),
        _ => format!("{count} others"),
    }
}

fn running(invocation: &Invocation, steps: &[StepView]) -> String {
    let since = invocation.started_at.unwrap_or(invocation.created_at);
    let done = match steps.last() {
        Some(last) => format!("`{}` has ended last", last.step.name),
        None => "no step has ended yet".to_owned(),
    };
    match invocation.owner {
        Some(node) => format!("It runs on the server {node} since {since}; {done}."),
        None => format!(
            "It began at {since}, and its server has let go of it; {done}. The next server with room goes on."
        ),
    }
}

fn waiting(invocation: &Invocation, steps: &[StepView]) -> String {
    let id = invocation.id;
    let at = invocation.wake_at.map(|at| at.to_string()).unwrap_or_default();
    let until = match (invocation.waits_for, invocation.parent_id) {
        (Some(WaitsFor::Items), _) => {
            return format!(
                "It waits for the items of its loop, which `causeway invocations list --items-of {id}` lists."
            );
        }
        (Some(WaitsFor::Turn), Some(parent)) => {
            return format!("It waits for its turn among the items of {parent}.");
        }
        (Some(WaitsFor::Resume), _) => format!("to be resumed, until {at} at the latest"),
        _ => format!("until {at}"),
    };
    if invocation.error_code.is_some() {
        format!(
            "{}, at attempt {}; it waits {until} and tries again.",
            failure(invocation, steps),
            invocation.attempts
        )
    } else {
        let by = steps.last().map(|last| format!(", as `{}` says", last.step.name));
        format!("It waits {until}{}.", by.unwrap_or_default())
    }
}

/// What went wrong.
fn failure(invocation: &Invocation, steps: &[StepView]) -> String {
    let code = invocation.error_code.as_deref().unwrap_or("unknown");
    let last = steps.iter().rev().find_map(|one| Some((one, one.record.error.as_ref()?)));
    match last {
        Some((one, error)) => {
            format!(
                "Its step `{}` failed with `{code}` ({})",
                one.step.name,
                first_line(&error.message)
            )
        }
        None => format!("It failed with `{code}`"),
    }
}

/// The first line of a message, which is the author's own.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn dead(invocation: &Invocation) -> String {
    let id = invocation.id;
    match invocation.error_code.as_deref() {
        Some(QUEUE_FULL) => format!(
            "It has not run: its workflow's queue was full when its event came{}. `causeway replay {id}` \
             runs it.",
            ended(invocation)
        ),
        _ => format!(
            "It was given up{}: servers died while they ran it, {MAX_CRASHES} times. `causeway replay {id}` \
             tries it again.",
            ended(invocation)
        ),
    }
}

/// When it ended, and how long it took from the event.
fn ended(invocation: &Invocation) -> String {
    let Some(at) = invocation.finished_at else { return String::new() };
    format!(" at {at}{}", after(at, invocation.created_at))
}

fn after(at: Timestamp, from: Timestamp) -> String {
    let took = at.since(from);
    if took < Duration::from_millis(1) {
        return String::new();
    }
    format!(", {}.{:03} s after its event", took.as_secs(), took.subsec_millis())
}
