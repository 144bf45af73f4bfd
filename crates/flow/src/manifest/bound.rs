//! What bounds a workflow's invocations, as authors write it.

use super::Manifest;
use super::time_span::TimeSpan;
use causeway_types::entity::{Gate, WorkflowBound};
use causeway_types::{Tenant, Timestamp, WorkflowId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most invocations of one workflow that may be told to run at a time, or to begin in a period.
const MOST: i64 = 100_000;

/// How many events may wait, and what becomes of more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSpec {
    /// How many invocations may be queued or run: 1 to 100,000, and no more than the server allows.
    /// Default: as many as the server allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What becomes of an event when so many are.
    #[serde(default)]
    pub when_full: WhenFull,
}

/// What becomes of an event whose workflow's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It is not stored, and its sender is told so: 429 with `queue_full`.
    #[default]
    Refuse,
    /// It is stored with an invocation that is `dead` with `queue_full`, for a replay later.
    DeadLetter,
}

/// How many invocations may begin in a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThrottleSpec {
    /// How many: 1 to 100,000. So many may begin at once after a rest, and then one each time that its
    /// share of the period has passed.
    pub limit: i64,
    /// The period.
    pub per: TimeSpan,
}

impl Manifest {
    /// Whether its invocations wait until they are let through.
    pub(crate) fn gate(&self) -> Gate {
        match (self.concurrency, &self.throttle) {
            (None, None) => Gate::Open,
            _ => Gate::Closed,
        }
    }

    /// How many of its invocations may be open, where the server allows `most`.
    pub(crate) fn queue_limit(&self, most: i64) -> i64 {
        self.queue.as_ref().and_then(|queue| queue.limit).map_or(most, |own| own.min(most))
    }

    /// What becomes of an event when its queue is full.
    pub(crate) fn when_full(&self) -> WhenFull {
        self.queue.as_ref().map_or(WhenFull::Refuse, |queue| queue.when_full)
    }

    /// What bounds the invocations of its workflow, if anything does.
    pub(crate) fn bound(&self, tenant: Tenant, workflow: WorkflowId) -> Option<WorkflowBound> {
        let throttle = self.throttle.as_ref();
        let bound = WorkflowBound {
            workflow_id: workflow,
            workspace_id: tenant.workspace,
            environment_id: tenant.environment,
            concurrency: self.concurrency,
            throttle_limit: throttle.map(|throttle| throttle.limit),
            throttle_per_us: throttle
                .and_then(|throttle| i64::try_from(throttle.per.get().as_micros()).ok()),
            throttled_until: Timestamp::from_micros(0),
            queue_limit: self.queue.as_ref().and_then(|queue| queue.limit),
        };
        (bound.gate() == Gate::Closed || bound.queue_limit.is_some()).then_some(bound)
    }

    /// The rule about bounds that it breaks, if it breaks one, and where.
    pub(super) fn broken_bound(&self) -> Option<(&'static str, String)> {
        let numbers = [
            ("concurrency", self.concurrency),
            ("throttle.limit", self.throttle.as_ref().map(|throttle| throttle.limit)),
            ("queue.limit", self.queue.as_ref().and_then(|queue| queue.limit)),
        ];
        let broken = numbers
            .into_iter()
            .find(|(_, number)| number.is_some_and(|number| !(1..=MOST).contains(&number)));
        broken.map(|(at, _)| (at, format!("write a number from 1 to {MOST}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(bounds: &str) -> Result<Manifest, String> {
        let yaml = format!(
            "name: a\ntrigger: {{ manual: {{}} }}\n{bounds}\nsteps: [{{ name: a, run: ./a.mjs }}]\n"
        );
        Manifest::parse(&yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn what_bounds_a_workflow_is_read() {
        let none = manifest("").unwrap();
        assert_eq!(
            (none.gate(), none.queue_limit(7), none.when_full()),
            (Gate::Open, 7, WhenFull::Refuse)
        );
        let all = manifest(
            "concurrency: 2\nthrottle: { limit: 5, per: 1m }\nqueue: { limit: 10, when_full: dead_letter }",
        )
        .unwrap();
        assert_eq!((all.gate(), all.queue_limit(100)), (Gate::Closed, 10));
        assert_eq!((all.queue_limit(7), all.when_full()), (7, WhenFull::DeadLetter));
        let letters = manifest("queue: { when_full: dead_letter }").unwrap();
        assert_eq!((letters.gate(), letters.queue_limit(7)), (Gate::Open, 7));
    }

    #[test]
    fn each_rule_names_its_place() {
        for (text, at) in [
            ("concurrency: 0", "concurrency: write a number"),
            ("concurrency: 100001", "concurrency: write a number"),
            ("throttle: { limit: 0, per: 1s }", "throttle.limit: write a number"),
            ("throttle: { limit: 1, per: 1w }", "length of time"),
            ("throttle: { limit: 1, per: 1s, key: a }", "key"),
            ("queue: { limit: 0 }", "queue.limit: write a number"),
            ("queue: { when_full: drop }", "drop"),
        ] {
            let message = manifest(text).unwrap_err();
            assert!(message.contains(at), "{text}: {message}");
        }
    }
}
