//! How often a step is tried, and when.

use super::time_span::TimeSpan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most attempts at a step.
const MAX_ATTEMPTS: u32 = 25;
/// The wait before the second attempt, unless it is said.
const WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts, unless it is said.
const LONGEST: Duration = Duration::from_hours(1);

/// When a step that has failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySpec {
    /// How often it is tried in all: 1 to 25. With 1, a step is exempt from the workflow's `retry`.
    pub attempts: u32,
    /// How long it waits before the second attempt; each later wait is twice as long. Of each wait,
    /// up to half is left out at random, so that what failed together does not come back together.
    /// Default `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<TimeSpan>,
    /// The longest wait. Default `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_wait: Option<TimeSpan>,
    /// After which failures. Default: `user_error`, `process_exited` and `sandbox_crashed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<Retryable>>,
}

/// A failure that another attempt may mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retryable {
    /// The code threw.
    UserError,
    /// The code ended its process.
    ProcessExited,
    /// The sandbox ended in a way that nobody asked for.
    SandboxCrashed,
    /// The step took too long.
    TimeLimit,
    /// The step used too much processor time.
    CpuLimit,
    /// The sandbox needed too much memory.
    MemoryLimit,
    /// The sandbox needed too many processes.
    ProcessLimit,
    /// The step wrote too many temporary files.
    DiskLimit,
}

impl Retryable {
    /// What is tried again if nothing is said.
    const USUAL: [Self; 3] = [Self::UserError, Self::ProcessExited, Self::SandboxCrashed];

    /// The code of the failure, as [`causeway_sandbox::FailureCode`] writes it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::UserError => "user_error",
            Self::ProcessExited => "process_exited",
            Self::SandboxCrashed => "sandbox_crashed",
            Self::TimeLimit => "time_limit",
            Self::CpuLimit => "cpu_limit",
            Self::MemoryLimit => "memory_limit",
            Self::ProcessLimit => "process_limit",
            Self::DiskLimit => "disk_limit",
        }
    }
}

impl RetrySpec {
    /// The rule that it breaks, if it breaks one.
    pub(super) fn broken_rule(&self) -> Option<(&'static str, String)> {
        if !(1..=MAX_ATTEMPTS).contains(&self.attempts) {
            return Some(("attempts", format!("write a number from 1 to {MAX_ATTEMPTS}")));
        }
        if self.first() > self.longest() {
            return Some(("wait", "it is longer than `longest_wait`".to_owned()));
        }
        if self.on.as_ref().is_some_and(Vec::is_empty) {
            return Some(("on", "name a failure, or leave it out for the usual ones".to_owned()));
        }
        None
    }

    /// How long to wait after the attempt of this number, from 1, has failed with this code; none
    /// if it is not tried again. `luck`, from 0 to 1, is what of the half at random is waited.
    pub(crate) fn wait_after(&self, attempt: u32, code: &str, luck: f64) -> Option<Duration> {
        let on = self.on.as_deref().unwrap_or(&Retryable::USUAL);
        if attempt >= self.attempts || !on.iter().any(|one| one.as_str() == code) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let wait = self.first().saturating_mul(doubled).min(self.longest());
        Some(wait.mul_f64(0.5 + luck.clamp(0.0, 1.0) / 2.0))
    }

    fn first(&self) -> Duration {
        self.wait.map_or(WAIT, TimeSpan::get)
    }

    fn longest(&self) -> Duration {
        self.longest_wait.map_or(LONGEST, TimeSpan::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_sandbox::FailureCode;

    fn spec(yaml: &str) -> RetrySpec {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_attempts() {
        let retry = spec("{ attempts: 6, wait: 10s, longest_wait: 1m }");
        let wait = |attempt| retry.wait_after(attempt, "user_error", 1.0).map(|one| one.as_secs());
        let waits: Vec<_> = (1..=7).map(wait).collect();
        assert_eq!(waits, [Some(10), Some(20), Some(40), Some(60), Some(60), None, None]);
        assert_eq!(spec("{ attempts: 25 }").wait_after(24, "user_error", 1.0), Some(LONGEST));
        assert_eq!(spec("{ attempts: 1 }").wait_after(1, "user_error", 1.0), None);
    }

    #[test]
    fn half_of_a_wait_is_left_to_chance() {
        let retry = spec("{ attempts: 2, wait: 10s }");
        let wait = |luck| retry.wait_after(1, "user_error", luck).unwrap().as_millis();
        assert_eq!([wait(0.0), wait(0.5), wait(1.0)], [5_000, 7_500, 10_000]);
    }

    #[test]
    fn only_the_failures_that_are_named_are_tried_again() {
        let usual = spec("{ attempts: 2 }");
        let again = |retry: &RetrySpec| {
            let of = |code: &FailureCode| retry.wait_after(1, code.as_str(), 0.0).is_some();
            FailureCode::ALL.into_iter().filter(of).collect::<Vec<_>>()
        };
        assert_eq!(
            again(&usual),
            [FailureCode::UserError, FailureCode::ProcessExited, FailureCode::SandboxCrashed]
        );
        let named = spec("{ attempts: 2, on: [time_limit, memory_limit] }");
        assert_eq!(again(&named), [FailureCode::TimeLimit, FailureCode::MemoryLimit]);
    }

    #[test]
    fn every_failure_that_can_be_named_is_one_of_the_sandboxes() {
        use Retryable::{CpuLimit, DiskLimit, MemoryLimit, ProcessLimit, TimeLimit};
        for one in Retryable::USUAL.into_iter().chain([
            TimeLimit,
            CpuLimit,
            MemoryLimit,
            ProcessLimit,
            DiskLimit,
        ]) {
            assert!(FailureCode::ALL.iter().any(|code| code.as_str() == one.as_str()), "{one:?}");
        }
    }
}
