//! Steps that decide which steps run, how often, and how many at a time.

use super::expression::{Expression, Template};
use super::step::StepSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most items of a loop that run at a time.
const MAX_CONCURRENCY: u32 = 100;

/// One way on: the first whose `if` is true is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// When it is taken: an expression that gives true or false. The last arm may go without, and is
    /// taken if no other is.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Expression>,
    /// Its steps, in order.
    pub steps: Vec<StepSpec>,
}

/// A choice by a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchSpec {
    /// The value.
    pub on: Expression,
    /// The cases, of which the first that has the value is taken.
    pub cases: Vec<Case>,
    /// What runs if no case has the value. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default: Vec<StepSpec>,
}

/// A case of a choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The values for which it is taken: texts, numbers, true, false or null.
    pub is: OneOrMore,
    /// Its steps, in order.
    pub steps: Vec<StepSpec>,
}

/// A value, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// Several.
    More(Vec<Value>),
    /// One.
    One(Value),
}

impl OneOrMore {
    /// All of them.
    pub(crate) fn values(&self) -> &[Value] {
        match self {
            Self::More(values) => values,
            Self::One(value) => std::slice::from_ref(value),
        }
    }
}

/// Steps that run beside others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParallelArm {
    /// Its name, under which its last step's result is found. Unique among its neighbours.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<StepSpec>,
}

/// Steps that run once for each item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForEachSpec {
    /// The list.
    pub items: Expression,
    /// How many items run at a time: 1 to 100. Default 1, which keeps their order.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub concurrency: u32,
    /// What becomes of the loop when an item fails. Default `stop`.
    #[serde(default, skip_serializing_if = "OnError::is_stop")]
    pub on_error: OnError,
    /// Whether the results of all items are kept as the loop's. Default true.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub collect: bool,
    /// The steps of each item. They find it as `steps.<name of the loop>.item`, and its number, from
    /// 0, as `steps.<name of the loop>.index`.
    pub steps: Vec<StepSpec>,
}

/// What becomes of a loop when an item fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// No further item is begun, and the loop fails when those that run have ended.
    #[default]
    Stop,
    /// The others go on, and the loop says which have failed.
    Continue,
}

impl OnError {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// A request over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// The address, with expressions if need be.
    pub url: Template,
    /// The method. Default `GET`, and `POST` with a body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Parameters that are added to the address; those that are null are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Template>,
    /// Header fields; those that are null are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Template>,
    /// The body: a text is sent as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// Whether an answer of any status is a result. Default: the step fails with statuses of 400 and
    /// above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_status: bool,
}

/// What the caller of the trigger is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RespondSpec {
    /// The status: 200 to 599. Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Template>,
    /// Header fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Template>,
    /// The body: a text is sent as it is, anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
}

impl ForEachSpec {
    /// The rule that it breaks, if it breaks one, and where.
    pub(super) fn broken_rule(&self) -> Option<(&'static str, String)> {
        if !(1..=MAX_CONCURRENCY).contains(&self.concurrency) {
            return Some(("concurrency", format!("write a number from 1 to {MAX_CONCURRENCY}")));
        }
        None
    }
}

impl SwitchSpec {
    /// The rule that it breaks, if it breaks one, and where.
    pub(super) fn broken_rule(&self) -> Option<(String, String)> {
        for (index, case) in self.cases.iter().enumerate() {
            let is_plain = |value: &Value| !value.is_array() && !value.is_object();
            if !case.is.values().iter().all(is_plain) {
                let rule = "write texts, numbers, true, false or null".to_owned();
                return Some((format!("cases[{index}].is"), rule));
            }
        }
        None
    }
}

/// The rule that a list of arms breaks, if it breaks one, and where.
pub(super) fn broken_rule_of_arms(arms: &[Arm]) -> Option<(String, String)> {
    let early = arms.iter().rev().skip(1).rev().position(|arm| arm.condition.is_none());
    if let Some(index) = early {
        return Some((
            format!("[{index}].if"),
            "only the last arm goes without a condition".to_owned(),
        ));
    }
    arms.is_empty().then(|| (String::new(), "write at least one arm".to_owned()))
}
