//! A sandbox in use by one invocation.

use crate::apps::Apps;
use crate::pool::Lease;
use crate::program::{Limits, Program, Runtime};
use crate::protocol::{self, Body, EncodeError, Frame, Outcome, Rerun, Violation};
use crate::sandbox::Sandbox;
use crate::step::{
    LogStream, Respond, StepCall, StepFailure, StepReport, StepSuccess, Usage, Wait,
};
use crate::tier::Tier;
use crate::{control::ToServer, output::Output};
use causeway_types::{Clock, InvocationId};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use zeroize::Zeroizing;

mod verdict;

/// A limit longer than this is this: the clock's arithmetic has an end.
const LONGEST_WALL: Duration = Duration::from_hours(24 * 365);
/// The longest wait that a step may ask for: a year.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 365);
/// How often processor time is looked at while a step runs.
const CPU_TICK: Duration = Duration::from_millis(100);
/// How long a runner that has closed its socket may take to end.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// A received buffer larger than this is not kept, in bytes.
const INBOX_KEPT: usize = 256 << 10;

/// A sandbox in use by one invocation. When dropped it goes back to the pool if it is clean;
/// otherwise it is ended.
pub struct Session {
    lease: Lease,
    program: Arc<Program>,
    clock: Arc<dyn Clock>,
}

/// How a step came to its end.
enum End {
    /// The runner answered.
    Answered(Box<Outcome>),
    /// The sandbox has to be ended, for this reason.
    Stopped(StepFailure),
    /// The runner's socket or the program has ended.
    Gone { code: Option<i32>, signal: Option<i32> },
}

/// Figures before a step.
struct Before {
    started: Instant,
    cpu: Duration,
    refused_tasks: u64,
    memory_kills: u64,
}

impl Session {
    pub(crate) fn new(lease: Lease, program: Arc<Program>, clock: Arc<dyn Clock>) -> Self {
        Self { lease, program, clock }
    }

    /// Random bytes that are this sandbox's own and never in it; `None` if an earlier step has
    /// spoilt the sandbox.
    pub fn seed(&self) -> Option<[u8; 32]> {
        self.lease.sandbox().map(|sandbox| *sandbox.way.seed())
    }

    /// Runs one step. Dropping the future ends the sandbox.
    pub async fn step(&mut self, call: StepCall) -> StepReport {
        let Limits { wall, output_bytes, .. } = self.program.limits;
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let runs = Some((call.invocation, call.apps.clone()));
        let frame = move |id| protocol::encode(&call, id, wall_ms, output_bytes);
        self.converse(runs, frame).await
    }

    /// Reads these files and what they import, as a step of each would, and runs nothing of them:
    /// a failure is what the step's call would end with before its first line. Dropping the future
    /// ends the sandbox.
    pub async fn check(&mut self, entries: &[String]) -> Result<(), StepFailure> {
        let output_bytes = self.program.limits.output_bytes;
        let frame = |id| protocol::encode_check(entries, id, output_bytes);
        self.converse(None, frame).await.outcome.map(|_| ())
    }

    /// Whether a step has left the sandbox so that no other can run in it.
    pub fn is_spent(&self) -> bool {
        self.lease.is_spent()
    }

    /// Sends one frame, made with its number, and hears what comes of it.
    async fn converse(
        &mut self,
        runs: Option<(InvocationId, Option<Arc<dyn Apps>>)>,
        frame: impl FnOnce(u64) -> Result<Zeroizing<Vec<u8>>, EncodeError>,
    ) -> StepReport {
        let Program { limits, runtime, tier, .. } = *self.program;
        let mut output = Output::new(Arc::clone(&self.clock), limits.log_bytes);
        let started = Instant::now();
        let Some(sandbox) = self.lease.begin() else {
            return refused(tier, started, verdict::ended_before());
        };
        let before = Before {
            started,
            cpu: sandbox.account.cpu(),
            refused_tasks: sandbox.account.refused_tasks(),
            memory_kills: 0,
        };
        let id = sandbox.next_call;
        sandbox.next_call += 1;
        match runs {
            Some((invocation, apps)) => sandbox.way.runs(invocation, apps),
            None => sandbox.way.rests(),
        }
        // What was called with is dropped here: its credentials are in the frame only.
        let frame = match frame(id) {
            Ok(frame) => frame,
            Err(error) => {
                self.lease.clean();
                return refused(tier, started, verdict::bad_call(error));
            }
        };
        let mut end = converse(sandbox, frame, id, &limits, &before, &mut output).await;
        let exports = exported(&mut end, &limits);
        let (outcome, clean) =
            conclude(sandbox, end, (&limits, runtime), &before, &mut output).await;
        let usage = Usage {
            wall: started.elapsed(),
            cpu: sandbox.account.cpu().saturating_sub(before.cpu),
            peak_memory_bytes: sandbox.account.peak_memory(),
        };
        if sandbox.inbox.capacity() > INBOX_KEPT {
            sandbox.inbox = Vec::with_capacity(16 << 10);
        }
        let (egress, egress_more) = sandbox.way.log().take();
        if clean {
            self.lease.clean();
        } else {
            sandbox.kill();
        }
        let (logs, logs_truncated) = output.finish();
        StepReport { outcome, exports, logs, logs_truncated, egress, egress_more, usage, tier }
    }
}

fn refused(tier: Tier, started: Instant, failure: StepFailure) -> StepReport {
    StepReport {
        outcome: Err(failure),
        exports: BTreeMap::new(),
        logs: Vec::new(),
        logs_truncated: false,
        egress: Vec::new(),
        egress_more: 0,
        usage: Usage { wall: started.elapsed(), ..Usage::default() },
        tier,
    }
}

/// Sends the call and hears what comes of it.
async fn converse(
    sandbox: &mut Sandbox,
    frame: Zeroizing<Vec<u8>>,
    id: u64,
    limits: &Limits,
    before: &Before,
    output: &mut Output,
) -> End {
    let deadline = before.started + limits.wall.min(LONGEST_WALL);
    let mut next_look = before.started + CPU_TICK;
    let mut unsent = frame.as_slice();
    loop {
        match next_event(sandbox, &mut unsent, deadline.min(next_look), output).await {
            Event::Continue => {}
            Event::Tick => {
                if Instant::now() >= deadline {
                    return End::Stopped(verdict::time_limit(limits));
                }
                next_look += CPU_TICK;
                let used = sandbox.account.cpu().saturating_sub(before.cpu);
                if used > limits.cpu {
                    return End::Stopped(verdict::cpu_limit(limits, used));
                }
            }
            Event::LogLimit => return End::Stopped(verdict::log_limit(limits)),
            Event::Gone { code, signal } => {
                // The end is told on a way of its own, and overtakes what was written before it.
                while receive_rest(sandbox) {
                    match read_frames(sandbox, id, limits, output) {
                        None => {}
                        Some(End::Answered(mut outcome)) => {
                            outcome.discard = true;
                            return End::Answered(outcome);
                        }
                        Some(end) => return end,
                    }
                }
                return End::Gone { code, signal };
            }
            Event::Received => {
                if let Some(end) = read_frames(sandbox, id, limits, output) {
                    return end;
                }
            }
        }
    }
}

/// Takes what the program has written and nobody has read yet. False if there is nothing.
fn receive_rest(sandbox: &mut Sandbox) -> bool {
    let mut buffer = [0_u8; 4096];
    // Past the runtime, whose own knowledge of readiness may be behind.
    match rustix::io::read(&sandbox.runner, &mut buffer) {
        Ok(count @ 1..) => {
            sandbox.inbox.extend_from_slice(buffer.get(..count).unwrap_or_default());
            true
        }
        Ok(_) | Err(_) => false,
    }
}

/// Reads the whole frames that are there; the step's end, if they tell one.
fn read_frames(
    sandbox: &mut Sandbox,
    id: u64,
    limits: &Limits,
    output: &mut Output,
) -> Option<End> {
    loop {
        let inbox = std::mem::take(&mut sandbox.inbox);
        let step = read_frame(&inbox, id, limits, output);
        sandbox.inbox = inbox;
        match step {
            Ok(Read::Nothing) => return None,
            Ok(Read::Skip(length)) => drop(sandbox.inbox.drain(..length)),
            Ok(Read::Result(outcome, length)) => {
                sandbox.inbox.drain(..length);
                return Some(End::Answered(outcome));
            }
            Ok(Read::LogLimit) => return Some(End::Stopped(verdict::log_limit(limits))),
            Err(violation) => return Some(End::Stopped(verdict::violation(&violation))),
        }
    }
}

enum Event {
    Continue,
    Received,
    Tick,
    LogLimit,
    Gone { code: Option<i32>, signal: Option<i32> },
}

async fn next_event(
    sandbox: &mut Sandbox,
    unsent: &mut &[u8],
    until: Instant,
    output: &mut Output,
) -> Event {
    let Sandbox { runner, inbox, stdout, stderr, control, .. } = sandbox;
    if !unsent.is_empty() {
        match runner.try_write(unsent) {
            Ok(count) => *unsent = unsent.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return Event::Gone { code: None, signal: None },
        }
    }
    let (reader, writer) = runner.split();
    let mut reader = reader;
    let (mut out, mut err) = ([0_u8; 4096], [0_u8; 4096]);
    tokio::select! {
        received = reader.read_buf(inbox) => match received {
            Ok(0) | Err(_) => Event::Gone { code: None, signal: None },
            Ok(_) => Event::Received,
        },
        _ = writer.writable(), if !unsent.is_empty() => Event::Continue,
        count = stdout.read(&mut out), if output.raw_open(LogStream::Stdout) => {
            raw(output, LogStream::Stdout, count.ok().and_then(|count| out.get(..count)))
        }
        count = stderr.read(&mut err), if output.raw_open(LogStream::Stderr) => {
            raw(output, LogStream::Stderr, count.ok().and_then(|count| err.get(..count)))
        }
        told = control.receive() => match told {
            Ok((ToServer::Ended { code, signal }, _)) => Event::Gone { code, signal },
            _ => Event::Gone { code: None, signal: None },
        },
        () = tokio::time::sleep_until(until) => Event::Tick,
    }
}

fn raw(output: &mut Output, stream: LogStream, bytes: Option<&[u8]>) -> Event {
    match bytes {
        Some(bytes) if !bytes.is_empty() => {
            if output.raw(stream, bytes) {
                Event::Continue
            } else {
                Event::LogLimit
            }
        }
        _ => {
            output.close_raw(stream);
            Event::Continue
        }
    }
}

enum Read {
    Nothing,
    Skip(usize),
    Result(Box<Outcome>, usize),
    LogLimit,
}

fn read_frame(
    inbox: &[u8],
    id: u64,
    limits: &Limits,
    output: &mut Output,
) -> Result<Read, Violation> {
    let Some((frame, length)) = protocol::parse(inbox, limits.output_bytes)? else {
        return Ok(Read::Nothing);
    };
    let within = match frame {
        Frame::Stdout(text) => output.printed(LogStream::Stdout, text),
        Frame::Stderr(text) => output.printed(LogStream::Stderr, text),
        Frame::Hello if id == 1 => true, // the first call may be sent before the runner is ready
        Frame::Hello => return Err(Violation::Form),
        Frame::Result(payload) => {
            let outcome = protocol::parse_outcome(payload, id)?;
            if inbox.len() > length {
                return Err(Violation::Form); // nothing follows a result
            }
            return Ok(Read::Result(Box::new(outcome), length));
        }
    };
    Ok(if within { Read::Skip(length) } else { Read::LogLimit })
}

/// What a step that failed had exported. What is too much, or too deep, is left out.
fn exported(end: &mut End, limits: &Limits) -> BTreeMap<String, Box<RawValue>> {
    let End::Answered(outcome) = end else { return BTreeMap::new() };
    let mut exports = std::mem::take(&mut outcome.exports);
    exports.retain(|_, value| !protocol::too_deep(value));
    let size = exports.values().map(|value| u64::try_from(value.get().len()).unwrap_or(u64::MAX));
    if size.fold(0, u64::saturating_add) > limits.output_bytes {
        exports.clear();
    }
    exports
}

/// What a step's end means, and whether the sandbox can be used again.
async fn conclude(
    sandbox: &mut Sandbox,
    end: End,
    (limits, runtime): (&Limits, Runtime),
    before: &Before,
    output: &mut Output,
) -> (Result<StepSuccess, StepFailure>, bool) {
    match end {
        End::Answered(outcome) => {
            sandbox.is_left_alone = !outcome.left;
            let mut within = drain(sandbox, output);
            within &= output.within();
            if !within {
                return (Err(verdict::log_limit(limits)), false);
            }
            if sandbox.account.refused_tasks() > before.refused_tasks {
                return (Err(verdict::process_limit(limits)), false);
            }
            let failed = outcome.error.is_some();
            // Where the machine does not count refusals, bash itself tells of them.
            if failed && runtime == Runtime::Bash && verdict::bash_was_refused(&output.tail()) {
                return (Err(verdict::process_limit(limits)), false);
            }
            // A child of the code can be killed for want of memory, and the code live to tell.
            if failed && sandbox.account.memory_kills() > before.memory_kills {
                return (Err(verdict::memory_limit(limits, runtime)), false);
            }
            let discard = outcome.discard;
            match accept(*outcome, limits, runtime) {
                Ok(Ok(success)) => (Ok(success), !discard),
                Ok(Err(failure)) => {
                    let clean = !discard && verdict::leaves_clean(failure.code);
                    (Err(failure), clean)
                }
                Err(violation) => (Err(verdict::violation(&violation)), false),
            }
        }
        End::Stopped(failure) => {
            sandbox.kill();
            drain(sandbox, output);
            (Err(failure), false)
        }
        End::Gone { code, signal } => {
            let (code, signal) = match (code, signal) {
                (None, None) => await_end(sandbox).await,
                known => known,
            };
            drain(sandbox, output);
            let evidence = verdict::Evidence {
                code,
                signal,
                memory_kills: sandbox.account.memory_kills() > before.memory_kills,
                refused_tasks: sandbox.account.refused_tasks() > before.refused_tasks,
                printed: output.tail(),
            };
            (Err(verdict::crash(&evidence, limits, runtime)), false)
        }
    }
}

/// Checks the values of an answer.
fn accept(
    outcome: Outcome,
    limits: &Limits,
    runtime: Runtime,
) -> Result<Result<StepSuccess, StepFailure>, Violation> {
    if let Some(thrown) = outcome.error {
        return verdict::thrown(thrown, limits, runtime).map(Err);
    }
    let Some(given) = outcome.ok else { return Err(Violation::Form) };
    let named = given.exports.iter().map(|(name, value)| (name.as_str(), value));
    let mut size = 0_u64;
    for (name, value) in named.chain([("$return_value", &given.value)]) {
        if protocol::too_deep(value) {
            return Ok(Err(verdict::deep(name)));
        }
        size += u64::try_from(value.get().len()).unwrap_or(u64::MAX);
    }
    if let Some(Rerun { context, .. }) = given.wait.as_ref().and_then(|wait| wait.rerun.as_ref()) {
        if protocol::too_deep(context) {
            return Ok(Err(verdict::deep("the context of `rerun`")));
        }
        size += u64::try_from(context.get().len()).unwrap_or(u64::MAX);
    }
    let respond = match given.respond {
        Some(answer) => Some(read_answer(answer)?),
        None => None,
    };
    size += respond.as_ref().map_or(0, |answer| u64::try_from(answer.body.len()).unwrap_or(0));
    if size > limits.output_bytes {
        return Ok(Err(verdict::output_limit(limits, size)));
    }
    Ok(Ok(StepSuccess {
        return_value: given.value,
        exports: given.exports,
        respond,
        exit: given.exit,
        wait: given.wait.map(|wait| {
            let time = Duration::from_millis(wait.ms).min(LONGEST_WAIT);
            match wait.rerun {
                Some(Rerun { context, most }) => Wait::Rerun { after: time, context, most },
                None if wait.suspend => Wait::Suspend(time),
                None => Wait::Delay(time),
            }
        }),
    }))
}

/// The runner has checked the same; code that speaks for it has not.
fn read_answer(answer: protocol::Answer) -> Result<Respond, Violation> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let text = |byte: u8| byte == b'\t' || byte >= 0x20 && byte != 0x7f;
    let valid = |(name, value): &(String, String)| {
        !name.is_empty() && name.bytes().all(token) && value.bytes().all(text)
    };
    if !(200..=599).contains(&answer.status) || !answer.headers.iter().all(valid) {
        return Err(Violation::Form);
    }
    let body = match answer.body {
        Body::Text(text) => text.into_bytes(),
        Body::Base64(text) => {
            data_encoding::BASE64.decode(text.as_bytes()).map_err(|_| Violation::Form)?
        }
    };
    Ok(Respond { status: answer.status, headers: answer.headers, body })
}

/// What is in the pipes now. False if the step has printed more than it may.
fn drain(sandbox: &mut Sandbox, output: &mut Output) -> bool {
    let mut buffer = [0_u8; 4096];
    let pipes = [(&sandbox.stdout, LogStream::Stdout), (&sandbox.stderr, LogStream::Stderr)];
    for (pipe, stream) in pipes {
        // Past the runtime, whose own knowledge of readiness may be behind.
        while let Ok(count @ 1..) = rustix::io::read(pipe, &mut buffer) {
            if !output.raw(stream, buffer.get(..count).unwrap_or_default()) {
                return false;
            }
        }
    }
    true
}

/// How the program has ended, as PID 1 tells.
async fn await_end(sandbox: &mut Sandbox) -> (Option<i32>, Option<i32>) {
    match tokio::time::timeout(END_PATIENCE, sandbox.control.receive()).await {
        Ok(Ok((ToServer::Ended { code, signal }, _))) => (code, signal),
        _ => (None, None),
    }
}
