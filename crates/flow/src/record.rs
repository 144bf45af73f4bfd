//! What the journal keeps of a step: its results, logs and use, masked and then sealed.

use causeway_sandbox::{Decision, EgressRecord, FailureCode, StepReport, StepSuccess, Wait};
use causeway_types::Timestamp;
use causeway_vault::Redactor;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A step's record as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct StepRecord {
    /// What the code returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_value: Option<Box<RawValue>>,
    /// What it exported by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exports: BTreeMap<String, Box<RawValue>>,
    /// Why the workflow ended with this step, if the code said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// What the code finds when it is run again, as it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<Box<RawValue>>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StepError>,
    /// What it printed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<StepLog>,
    /// Whether it printed more than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logs_truncated: bool,
    /// What it connected to, and what was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<StepEgress>,
    /// How many connections and requests there were beyond those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub egress_more: u64,
    /// What it used.
    #[serde(default)]
    pub usage: StepUsage,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A connection of a step, or a request that the broker read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepEgress {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The request's method; none for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// `passed`, `brokered` or `refused`.
    pub decision: String,
    /// The status that a brokered request was answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Bytes from the code.
    pub sent: u64,
    /// Bytes to the code.
    pub received: u64,
}

impl StepEgress {
    fn of(record: &EgressRecord, redactor: &Redactor) -> Self {
        let (decision, status, code) = match &record.decision {
            Decision::Passed => ("passed", None, None),
            Decision::Brokered { status } => ("brokered", Some(*status), None),
            Decision::Refused { code } => ("refused", None, Some(code.clone())),
        };
        Self {
            host: redactor.redact(&record.host).into_owned(),
            port: record.port,
            method: record.method.as_deref().map(|name| redactor.redact(name).into_owned()),
            decision: decision.to_owned(),
            status,
            code,
            sent: record.sent,
            received: record.received,
        }
    }
}

/// Why a step failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepError {
    /// A stable word.
    pub code: String,
    /// What happened.
    pub message: String,
    /// The code's own stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

/// A line that a step printed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepLog {
    /// When, in microseconds since the epoch.
    pub at_us: i64,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The line.
    pub text: String,
}

/// What a step used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct StepUsage {
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// Processor time in microseconds.
    pub cpu_us: u64,
    /// The most memory that its sandbox has held, in bytes.
    pub peak_memory_bytes: u64,
}

impl StepLog {
    /// When it was printed.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_micros(self.at_us)
    }
}

impl StepRecord {
    /// Makes the record of a report, with every secret masked.
    pub(crate) fn from_report(report: &StepReport, redactor: &Redactor) -> Self {
        let text = |text: &str| redactor.redact(text).into_owned();
        let (success, error) = match &report.outcome {
            Ok(success) => (Some(success), None),
            Err(failure) => (
                None,
                Some(StepError {
                    code: failure.code.as_str().to_owned(),
                    message: text(&failure.message),
                    stack: failure.stack.as_deref().map(text),
                }),
            ),
        };
        let masked = success.map(|success| Masked::of(success, redactor));
        let (masked, error) = match masked {
            Some(None) => (Masked::default(), Some(unsearchable())),
            Some(Some(masked)) => (masked, error),
            None => (Masked::of_failed(report, redactor), error),
        };
        let Masked { return_value, exports, exit, rerun } = masked;
        Self {
            return_value,
            exports,
            exit,
            rerun,
            error,
            logs: report
                .logs
                .iter()
                .map(|line| StepLog {
                    at_us: line.at.as_micros(),
                    stream: line.stream.as_str().to_owned(),
                    text: text(&line.text),
                })
                .collect(),
            logs_truncated: report.logs_truncated,
            egress: report.egress.iter().map(|one| StepEgress::of(one, redactor)).collect(),
            egress_more: report.egress_more,
            usage: StepUsage {
                wall_us: micros(report.usage.wall),
                cpu_us: micros(report.usage.cpu),
                peak_memory_bytes: report.usage.peak_memory_bytes,
            },
        }
    }

    /// The record of a step that failed before its code could run.
    pub(crate) fn from_error(code: &str, message: String) -> Self {
        let error = StepError { code: code.to_owned(), message, stack: None };
        Self { error: Some(error), ..Self::empty() }
    }

    /// The record of a step without code.
    pub(crate) fn empty() -> Self {
        Self {
            return_value: None,
            exports: BTreeMap::new(),
            exit: None,
            rerun: None,
            error: None,
            logs: Vec::new(),
            logs_truncated: false,
            egress: Vec::new(),
            egress_more: 0,
            usage: StepUsage::default(),
        }
    }

    /// The position that a choice leads to; none if it takes no arm, or one without steps.
    pub(crate) fn taken(&self, arms: &[Option<usize>]) -> Option<usize> {
        let value = self.return_value.as_ref()?.get();
        let number: Option<usize> = serde_json::from_str(value).ok()?;
        *arms.get(number?)?
    }

    /// Whether the code returned true.
    pub(crate) fn is_true(&self) -> bool {
        self.return_value.as_ref().is_some_and(|value| value.get() == "true")
    }

    /// What later steps find under `steps.<name>`.
    pub(crate) fn as_seen_by_later_steps(&self) -> BTreeMap<&str, &RawValue> {
        let mut seen: BTreeMap<&str, &RawValue> =
            self.exports.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        if let Some(value) = &self.return_value {
            seen.insert("$return_value", value);
        }
        seen
    }
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a step gave, with every secret masked.
#[derive(Default)]
struct Masked {
    return_value: Option<Box<RawValue>>,
    exports: BTreeMap<String, Box<RawValue>>,
    exit: Option<String>,
    rerun: Option<Box<RawValue>>,
}

impl Masked {
    /// What a step that failed had exported; what cannot be searched is left out.
    fn of_failed(report: &StepReport, redactor: &Redactor) -> Self {
        let exports = report.exports.iter().filter_map(|(name, value)| {
            Some((redactor.redact(name).into_owned(), mask(value, redactor)?))
        });
        Self { exports: exports.collect(), ..Self::default() }
    }

    /// None if a value cannot be searched.
    fn of(success: &StepSuccess, redactor: &Redactor) -> Option<Self> {
        let exports = success.exports.iter().map(|(name, value)| {
            Some((redactor.redact(name).into_owned(), mask(value, redactor)?))
        });
        Some(Self {
            return_value: Some(mask(&success.return_value, redactor)?),
            exports: exports.collect::<Option<_>>()?,
            exit: success.exit.as_deref().map(|exit| redactor.redact(exit).into_owned()),
            rerun: match &success.wait {
                Some(Wait::Rerun { context, .. }) => Some(mask(context, redactor)?),
                _ => None,
            },
        })
    }
}

/// The error of a step whose results might hold secrets that nobody can find.
fn unsearchable() -> StepError {
    StepError {
        code: FailureCode::ExportsNotJson.as_str().to_owned(),
        message: "The step's results cannot be searched for its connections' secrets: they are \
                  nested deeper than 127 levels, or hold half of a surrogate pair. Return less \
                  deeply nested values of whole characters."
            .to_owned(),
        stack: None,
    }
}

/// Masks secrets in JSON; None if its strings cannot be read. The common case, no secret to mask,
/// copies the text and no more.
fn mask(value: &RawValue, redactor: &Redactor) -> Option<Box<RawValue>> {
    if redactor.is_empty() {
        return Some(value.to_owned());
    }
    let mut parsed: serde_json::Value = serde_json::from_str(value.get()).ok()?;
    redactor.redact_json(&mut parsed);
    serde_json::value::to_raw_value(&parsed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn what_cannot_be_searched_for_secrets_is_not_kept() {
        let redactor = Redactor::new(std::iter::once(&b"canary-secret"[..])).unwrap();
        let deep = format!("{}\"canary-secret\"{}", "[".repeat(200), "]".repeat(200));
        assert!(mask(&raw(&deep), &redactor).is_none());
        assert!(mask(&raw("\"\\ud800 canary-secret\""), &redactor).is_none());
        let masked = mask(&raw("{\"a\":[\"canary-secret\"]}"), &redactor).unwrap();
        assert!(!masked.get().contains("canary"), "{masked}");
    }
}
