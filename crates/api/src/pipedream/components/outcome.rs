//! What components gave, as the contract writes it. What their code threw and printed is part of that.

use causeway_flow::{ComponentOutcome, PropDefinition, StepError, StepLog};
use causeway_types::DynamicPropsId;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Something that was seen while the code ran.
#[derive(Serialize)]
pub(super) struct Observation {
    /// `console.log`, `console.error` or `error`.
    k: &'static str,
    /// When, in milliseconds since 1970.
    ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<Thrown>,
}

/// What the code threw.
#[derive(Serialize)]
struct Thrown {
    /// Our code for it.
    name: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
}

/// What can be chosen for a prop.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Choices {
    options: Option<Vec<Choice>>,
    string_options: Option<Vec<String>>,
    context: Option<Value>,
    observations: Vec<Observation>,
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Choice {
    label: String,
    value: Value,
}

/// The props that a component has with certain values.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reloaded {
    observations: Vec<Observation>,
    errors: Vec<String>,
    dynamic_props: Option<DynamicProps>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DynamicProps {
    id: DynamicPropsId,
    configurable_props: Vec<PropDefinition>,
}

/// What came of running an action.
#[derive(Serialize)]
pub(crate) struct Ran {
    exports: BTreeMap<String, Box<RawValue>>,
    os: Vec<Observation>,
    ret: Option<Box<RawValue>>,
    stash_id: Option<String>,
}

fn observations(logs: Vec<StepLog>, error: Option<StepError>, at_ms: u64) -> Vec<Observation> {
    let printed = logs.into_iter().map(|line| Observation {
        k: if line.stream == "stderr" { "console.error" } else { "console.log" },
        ts: line.at().as_millis(),
        msg: Some(line.text),
        err: None,
    });
    let thrown = error.map(|StepError { code, message, stack }| Observation {
        k: "error",
        ts: at_ms,
        msg: None,
        err: Some(Thrown { name: code, message, stack }),
    });
    printed.chain(thrown).collect()
}

fn errors(error: Option<&StepError>) -> Vec<String> {
    error.map(|error| format!("{}: {}", error.code, error.message)).into_iter().collect()
}

impl From<ComponentOutcome<causeway_flow::Choices>> for Choices {
    fn from(outcome: ComponentOutcome<causeway_flow::Choices>) -> Self {
        let ComponentOutcome { value, error, logs, at_ms, .. } = outcome;
        let (options, string_options, context) =
            value.map_or((None, None, None), |given| (given.options, given.strings, given.context));
        let show = |one: causeway_flow::Choice| Choice { label: one.label, value: one.value };
        Self {
            options: options.map(|options| options.into_iter().map(show).collect()),
            string_options,
            context,
            errors: errors(error.as_ref()),
            observations: observations(logs, error, at_ms),
        }
    }
}

impl From<ComponentOutcome<(DynamicPropsId, Vec<PropDefinition>)>> for Reloaded {
    fn from(outcome: ComponentOutcome<(DynamicPropsId, Vec<PropDefinition>)>) -> Self {
        let ComponentOutcome { value, error, logs, at_ms, .. } = outcome;
        Self {
            errors: errors(error.as_ref()),
            observations: observations(logs, error, at_ms),
            dynamic_props: value
                .map(|(id, configurable_props)| DynamicProps { id, configurable_props }),
        }
    }
}

impl From<ComponentOutcome<Box<RawValue>>> for Ran {
    fn from(outcome: ComponentOutcome<Box<RawValue>>) -> Self {
        let ComponentOutcome { value, exports, error, logs, at_ms } = outcome;
        Self { exports, os: observations(logs, error, at_ms), ret: value, stash_id: None }
    }
}
