//! Frames between server and runner: 4 bytes of length (big-endian), 1 byte of kind, payload.
//!
//! Whatever comes from the runner's end is hostile: code in the sandbox can write to that
//! descriptor as well as the runner can.

use crate::step::{Links, StepCall};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Bytes before a frame's payload.
pub(crate) const HEADER: usize = 5;
/// The longest frame of printed text, in bytes: 256 Ki UTF-16 units in UTF-8.
const LONGEST_TEXT: usize = 1 << 20;
/// What a result frame holds beside the step's own values, in bytes.
const RESULT_OVERHEAD: u64 = 64 << 10;
/// JSON may write one byte of a text as six.
const ESCAPED: u64 = 6;
/// Deepest nesting of a value that a step may give: below what JSON readers refuse.
const DEEPEST: usize = 110;

/// What the runner says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// It is ready.
    Hello,
    /// The code printed to standard output.
    Stdout(&'a [u8]),
    /// The code printed to standard error.
    Stderr(&'a [u8]),
    /// A step has ended.
    Result(&'a [u8]),
}

/// A frame that no runner of ours sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a frame of {length} bytes, where at most {most} are possible")]
    Length { length: usize, most: usize },
    #[error("a result that is not of its form")]
    Form,
    #[error("a result of another call")]
    Call,
}

/// The first whole frame of the bytes received, and its length with header.
pub(crate) fn parse(
    received: &[u8],
    output_bytes: u64,
) -> Result<Option<(Frame<'_>, usize)>, Violation> {
    let Some((header, rest)) = received.split_first_chunk::<HEADER>() else { return Ok(None) };
    let [a, b, c, d, kind] = *header;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    let most = match kind {
        b'H' => 0,
        b'O' | b'E' => LONGEST_TEXT,
        b'R' => {
            let most = output_bytes.saturating_mul(ESCAPED).saturating_add(RESULT_OVERHEAD);
            usize::try_from(most).unwrap_or(usize::MAX)
        }
        other => return Err(Violation::Kind(other)),
    };
    if length > most {
        return Err(Violation::Length { length, most });
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let frame = match kind {
        b'O' => Frame::Stdout(payload),
        b'E' => Frame::Stderr(payload),
        b'R' => Frame::Result(payload),
        _ => Frame::Hello,
    };
    Ok(Some((frame, HEADER + length)))
}

/// The result of a step, as the runner writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Outcome {
    id: u64,
    pub(crate) ok: Option<Given>,
    pub(crate) error: Option<Thrown>,
    /// What a step that failed had exported by name.
    #[serde(default)]
    pub(crate) exports: BTreeMap<String, Box<RawValue>>,
    /// The runner cannot go on after this.
    #[serde(default)]
    pub(crate) discard: bool,
    /// Processes that the step has started go on.
    #[serde(default)]
    pub(crate) left: bool,
}

/// What a step gave.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    pub(crate) value: Box<RawValue>,
    pub(crate) exports: BTreeMap<String, Box<RawValue>>,
    pub(crate) respond: Option<Answer>,
    pub(crate) exit: Option<String>,
    pub(crate) wait: Option<Wait>,
}

/// What an invocation is to wait for after a step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    pub(crate) ms: u64,
    /// It does not go on by itself when that time is over.
    pub(crate) suspend: bool,
    /// The same step comes next.
    pub(crate) rerun: Option<Rerun>,
}

/// How a step is run again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rerun {
    /// What the code finds of it then.
    pub(crate) context: Box<RawValue>,
    /// How often at most.
    pub(crate) most: u32,
}

/// What a step answers to the HTTP request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// The body of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Body {
    Text(String),
    Base64(String),
}

/// Why a step failed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Thrown {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) stack: Option<String>,
}

/// Reads the result of call `id`.
pub(crate) fn parse_outcome(payload: &[u8], id: u64) -> Result<Outcome, Violation> {
    let outcome: Outcome = serde_json::from_slice(payload).map_err(|_| Violation::Form)?;
    if outcome.id != id {
        return Err(Violation::Call);
    }
    if outcome.ok.is_some() == outcome.error.is_some() {
        return Err(Violation::Form);
    }
    Ok(outcome)
}

/// Whether valid JSON nests deeper than the server and its clients read.
pub(crate) fn too_deep(json: &RawValue) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.get().bytes() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// A call as the runner reads it. Raw values are passed through as they are.
#[derive(Serialize)]
struct CallFrame<'a> {
    id: u64,
    invocation_id: String,
    step: &'a str,
    attempt: u32,
    idempotency_key: &'a str,
    entry: &'a str,
    wall_ms: u64,
    output_bytes: u64,
    event: &'a RawValue,
    steps: &'a RawValue,
    context: &'a serde_json::Value,
    links: &'a Links,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<&'a RawValue>,
    connections: &'a RawValue,
}

/// Why a call cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("the connections are not JSON")]
    Connections,
    #[error("what is asked of the component is not JSON")]
    Component,
    #[error("the call is longer than 4 GiB")]
    Length,
}

/// Files to be read and not run, as the runner reads it.
#[derive(Serialize)]
struct CheckFrame<'a> {
    id: u64,
    entries: &'a [String],
    output_bytes: u64,
}

/// Writes the frame of a check.
pub(crate) fn encode_check(
    entries: &[String],
    id: u64,
    output_bytes: u64,
) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let mut bytes = Zeroizing::new(vec![0, 0, 0, 0, b'C']);
    serde_json::to_writer(&mut *bytes, &CheckFrame { id, entries, output_bytes })
        .map_err(|_| EncodeError::Connections)?;
    measured(bytes)
}

/// Writes the frame of a call. The bytes hold credentials and are wiped when dropped.
pub(crate) fn encode(
    call: &StepCall,
    id: u64,
    wall_ms: u64,
    output_bytes: u64,
) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let secrets = call.connections.expose();
    let secrets = if secrets.is_empty() { b"{}".as_slice() } else { secrets.as_slice() };
    let connections: &RawValue =
        serde_json::from_slice(secrets).map_err(|_| EncodeError::Connections)?;
    let component = call.component.as_ref().map(serde_json::value::to_raw_value).transpose();
    let component = component.map_err(|_| EncodeError::Component)?;
    let frame = CallFrame {
        id,
        invocation_id: call.invocation.to_string(),
        step: &call.step,
        attempt: call.attempt,
        idempotency_key: &call.idempotency_key,
        entry: &call.entry,
        wall_ms,
        output_bytes,
        event: &call.event,
        steps: &call.steps,
        context: &call.context,
        links: &call.links,
        component: component.as_deref(),
        connections,
    };
    // Room for all of it from the start: growing would leave copies of the secrets behind. The
    // credentials come last, so that an overlong context is no exception.
    let room = call.event.get().len() + call.steps.get().len() + secrets.len() + 4096;
    let room = room + component.as_ref().map_or(0, |component| component.get().len());
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    bytes.extend_from_slice(&[0, 0, 0, 0, b'S']);
    serde_json::to_writer(&mut *bytes, &frame).map_err(|_| EncodeError::Connections)?;
    measured(bytes)
}

/// Writes a frame's length into its header.
fn measured(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let length = u32::try_from(bytes.len() - HEADER).map_err(|_| EncodeError::Length)?;
    if let Some(slot) = bytes.first_chunk_mut::<4>() {
        *slot = length.to_be_bytes();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
