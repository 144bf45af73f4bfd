//! The words for what went wrong in a step.

use crate::program::{Limits, Runtime};
use crate::protocol::{EncodeError, Thrown, Violation};
use crate::step::{FailureCode, StepFailure};
use std::time::Duration;

/// SIGXCPU and SIGXFSZ of signal(7).
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// What is known of a program that ended during a step.
pub(super) struct Evidence {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// The kernel has killed in the sandbox for want of memory.
    pub(super) memory_kills: bool,
    /// The kernel has refused the sandbox a process or thread.
    pub(super) refused_tasks: bool,
    /// The last that was printed.
    pub(super) printed: String,
}

fn failure(code: FailureCode, message: String) -> StepFailure {
    StepFailure { code, message, stack: None }
}

fn raise(name: &str) -> String {
    format!("raise `limits.{name}` in workflow.yaml")
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn mebibytes(bytes: u64) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{bytes} bytes")
    }
}

pub(super) fn time_limit(limits: &Limits) -> StepFailure {
    let limit = seconds(limits.wall);
    let message =
        format!("the step ran for {limit}, its limit is {limit}: {}", raise("wall_seconds"));
    failure(FailureCode::TimeLimit, message)
}

pub(super) fn cpu_limit(limits: &Limits, used: Duration) -> StepFailure {
    let message = format!(
        "the step used {} of processor time, its limit is {}: {}",
        seconds(used),
        seconds(limits.cpu),
        raise("cpu_seconds")
    );
    failure(FailureCode::CpuLimit, message)
}

pub(super) fn log_limit(limits: &Limits) -> StepFailure {
    let message = format!(
        "the step printed more than {}, which is its limit: print less, or {}",
        mebibytes(limits.log_bytes),
        raise("log_kib")
    );
    failure(FailureCode::LogLimit, message)
}

pub(super) fn output_limit(limits: &Limits, size: u64) -> StepFailure {
    let message = format!(
        "the step gives {size} bytes of results, its limit is {} bytes: {}, or keep large data in \
         a store and return a reference",
        limits.output_bytes,
        raise("output_kib")
    );
    failure(FailureCode::OutputLimit, message)
}

pub(super) fn process_limit(limits: &Limits) -> StepFailure {
    let message = format!(
        "the step tried to have more than {} processes and threads, which is its limit: {}",
        limits.processes,
        raise("processes")
    );
    failure(FailureCode::ProcessLimit, message)
}

pub(super) fn memory_limit(limits: &Limits, runtime: Runtime) -> StepFailure {
    let share = match runtime {
        Runtime::Node => " (three quarters of it for JavaScript's heap)",
        Runtime::Python | Runtime::Bash => "",
    };
    let message = format!(
        "the step needed more than {} of memory, which is its limit{share}: {}",
        mebibytes(limits.memory_bytes),
        raise("memory_mib")
    );
    failure(FailureCode::MemoryLimit, message)
}

fn disk_limit(limits: &Limits) -> StepFailure {
    let message = format!(
        "the step wrote more than {} of temporary files, which is its limit: {}",
        mebibytes(limits.disk_bytes),
        raise("disk_mib")
    );
    failure(FailureCode::DiskLimit, message)
}

pub(super) fn deep(name: &str) -> StepFailure {
    let message = format!("{name} is nested deeper than 100 levels");
    failure(FailureCode::ExportsNotJson, message)
}

pub(super) fn violation(violation: &Violation) -> StepFailure {
    let message = format!(
        "something in the sandbox wrote {violation} to the runner's own socket (descriptor 3); \
         the sandbox was ended"
    );
    failure(FailureCode::ProtocolViolation, message)
}

pub(super) fn ended_before() -> StepFailure {
    let message = "the sandbox has ended with an earlier step: check a new one out".to_owned();
    failure(FailureCode::SandboxCrashed, message)
}

pub(super) fn bad_call(error: EncodeError) -> StepFailure {
    failure(FailureCode::SandboxCrashed, format!("the step could not be called: {error}"))
}

/// What the runner says of an error in the code. Where it names a limit, the limit's own words
/// follow, with its figures.
pub(super) fn thrown(
    thrown: Thrown,
    limits: &Limits,
    runtime: Runtime,
) -> Result<StepFailure, Violation> {
    let code = FailureCode::from_word(&thrown.code).ok_or(Violation::Form)?;
    let own = match code {
        FailureCode::MemoryLimit => Some(memory_limit(limits, runtime)),
        FailureCode::ProcessLimit => Some(process_limit(limits)),
        FailureCode::DiskLimit => Some(disk_limit(limits)),
        _ => None,
    };
    let message = match own {
        Some(own) => format!("{} ({})", own.message, thrown.message),
        None => thrown.message,
    };
    Ok(StepFailure { code, message, stack: thrown.stack })
}

/// Whether a sandbox in which this happened can be used again.
pub(super) fn leaves_clean(code: FailureCode) -> bool {
    matches!(
        code,
        FailureCode::UserError
            | FailureCode::SyntaxError
            | FailureCode::ExportsNotJson
            | FailureCode::OutputLimit
    )
}

/// Whether bash has printed that it may not start a process.
pub(super) fn bash_was_refused(printed: &str) -> bool {
    let refusals = ["fork: retry: Resource temporarily", "fork: Resource temporarily"];
    refusals.iter().any(|words| printed.contains(words))
}

/// Why a program ended during a step.
pub(super) fn crash(evidence: &Evidence, limits: &Limits, runtime: Runtime) -> StepFailure {
    // V8 says so before it aborts.
    let out_of_heap = ["heap out of memory", "Allocation failed", "ERR_WORKER_OUT_OF_MEMORY"]
        .iter()
        .any(|words| evidence.printed.contains(words));
    if evidence.memory_kills || out_of_heap {
        return memory_limit(limits, runtime);
    }
    if evidence.refused_tasks {
        return process_limit(limits);
    }
    let how = match (evidence.code, evidence.signal) {
        (_, Some(SIGXCPU)) => return cpu_limit(limits, limits.cpu),
        (_, Some(SIGXFSZ)) => return disk_limit(limits),
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    failure(FailureCode::SandboxCrashed, format!("the process that ran the step {how}"))
}
