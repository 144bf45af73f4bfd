//! What bounds a workflow's invocations.

use super::Gate;
use crate::{EnvironmentId, Timestamp, WorkflowId, WorkspaceId};
use std::time::Duration;

/// What bounds a workflow's invocations, on all nodes together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowBound {
    /// The workflow.
    pub workflow_id: WorkflowId,
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The environment.
    pub environment_id: EnvironmentId,
    /// How many may run at a time.
    pub concurrency: Option<i64>,
    /// How many may begin within `throttle_per_us`.
    pub throttle_limit: Option<i64>,
    /// The time in which so many may begin, in microseconds.
    pub throttle_per_us: Option<i64>,
    /// When as many would have begun as have, had they begun evenly: the state of the throttle.
    pub throttled_until: Timestamp,
    /// How many may be open.
    pub queue_limit: Option<i64>,
}

impl WorkflowBound {
    /// Whether invocations wait until they are let through.
    pub fn gate(&self) -> Gate {
        match (self.concurrency, self.throttle_limit) {
            (None, None) => Gate::Open,
            _ => Gate::Closed,
        }
    }

    /// How many may run at once that do not yet, where `running` do; all, if nothing says so.
    pub fn room(&self, running: i64) -> i64 {
        self.concurrency.map_or(i64::MAX, |most| most.saturating_sub(running).max(0))
    }

    /// Lets one begin at `now`, if the throttle allows it. It allows as many at once as its limit, and
    /// then one each time that the limit's share of the period has passed.
    #[must_use]
    pub fn begin(&mut self, now: Timestamp) -> bool {
        let (Some(limit), Some(per)) = (self.throttle_limit, self.throttle_per_us) else {
            return true;
        };
        if self.begins_at().is_some_and(|at| at > now) {
            return false;
        }
        let from = self.throttled_until.max(now);
        self.throttled_until = from.plus(micros(per / limit.max(1)));
        true
    }

    /// From when on the throttle lets the next one begin; none without a throttle.
    pub fn begins_at(&self) -> Option<Timestamp> {
        let (limit, per) = (self.throttle_limit?, self.throttle_per_us?);
        Some(self.throttled_until.minus(micros(per - per / limit.max(1))))
    }
}

fn micros(count: i64) -> Duration {
    Duration::from_micros(u64::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsRandom;

    fn bound(limit: i64, per_s: i64) -> WorkflowBound {
        let start = Timestamp::from_micros(0);
        WorkflowBound {
            workflow_id: WorkflowId::generate(start, &OsRandom),
            workspace_id: WorkspaceId::generate(start, &OsRandom),
            environment_id: EnvironmentId::generate(start, &OsRandom),
            concurrency: Some(2),
            throttle_limit: Some(limit),
            throttle_per_us: Some(per_s * 1_000_000),
            throttled_until: start,
            queue_limit: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_throttle_lets_its_limit_begin_at_once_and_then_one_for_each_share() {
        let mut bound = bound(3, 60);
        let begun = |bound: &mut WorkflowBound, now| (0..9).filter(|_| bound.begin(now)).count();
        assert_eq!(begun(&mut bound, at(1_000)), 3);
        assert_eq!(bound.begins_at(), Some(at(1_020)));
        assert_eq!(begun(&mut bound, at(1_019)), 0);
        assert_eq!(begun(&mut bound, at(1_020)), 1);
        assert_eq!(begun(&mut bound, at(1_060)), 2, "what was not used is saved up");
        assert_eq!(begun(&mut bound, at(9_000)), 3, "and no more than the limit");
    }

    #[test]
    fn a_clock_that_is_set_back_lets_nothing_more_begin() {
        let mut bound = bound(1, 10);
        assert!(bound.begin(at(100)));
        assert!(!bound.begin(at(50)));
        assert!(bound.begin(at(110)));
    }

    #[test]
    fn there_is_room_for_as_many_as_do_not_run() {
        let mut bound = bound(1, 1);
        assert_eq!([bound.room(0), bound.room(2), bound.room(5)], [2, 0, 0]);
        bound.concurrency = None;
        assert_eq!(bound.room(5), i64::MAX);
    }
}
