//! A step: its one kind of action, and the rules of each kind.

use super::control::{
    Arm, ForEachSpec, ParallelArm, RequestSpec, RespondSpec, SwitchSpec, broken_rule_of_arms,
};
use super::expression::{Expression, Template};
use super::retry::RetrySpec;
use super::time_span::TimeSpan;
use super::{ConnectionSpec, is_connection, is_identifier, runtime_of};
use causeway_sandbox::Runtime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One step, which does one thing: `run` or one of its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = KINDS.map(|kind| serde_json::json!({ "required": [kind] }))))]
pub struct StepSpec {
    /// The step's name, unique in the workflow: a letter, then letters, digits and `_`.
    /// Later steps find its results under `steps.<name>`.
    pub name: String,
    /// The file with its code, relative to the folder: `./lookup.mjs`. The ending says what it
    /// is: `.mjs`, `.js`, `.cjs` or `.ts` for Node, `.py` for Python, `.sh` for bash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// A value, with expressions in it, that becomes the step's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Template>,
    /// A request over HTTP, whose answer becomes the step's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSpec>,
    /// What the caller of the trigger is answered, with `response: workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respond: Option<RespondSpec>,
    /// A condition without which nothing that follows runs: an expression that gives true or false. In a
    /// loop it leaves out the item, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Expression>,
    /// Ends the workflow here, as a success, for this reason. In a loop it ends the item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Template>,
    /// Ends the loop around it when the expression gives true: no further item is begun.
    #[serde(rename = "break", default, skip_serializing_if = "Option::is_none")]
    pub break_if: Option<Expression>,
    /// The steps of the first arm whose condition is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Vec<Arm>>,
    /// The steps of the case that a value has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<SwitchSpec>,
    /// Several lists of steps, all at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Vec<ParallelArm>>,
    /// Steps that run once for each item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEachSpec>,
    /// How long the next step waits: `30s`, `10m`, `2h` or `7d`, a year at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<TimeSpan>,
    /// When it is tried again after it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// The connections that its code gets: the name that the code uses, and the connection's. The
    /// code has placeholders for their secrets unless it says `{ name: …, expose: true }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub connections: BTreeMap<String, ConnectionSpec>,
    /// The values of its props, if its code is a component: by name, as the component's `props` want
    /// them. An app prop gets its account from `connections`, under the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub props: BTreeMap<String, serde_json::Value>,
}

/// The fields of which a step has exactly one.
const KINDS: [&str; 12] = [
    "run", "value", "request", "respond", "filter", "end", "break", "branch", "switch", "parallel",
    "for_each", "delay",
];

/// The one thing that a step does.
pub(crate) enum Kind<'a> {
    Run(&'a str),
    Value(&'a Template),
    Request(&'a RequestSpec),
    Respond(&'a RespondSpec),
    Filter(&'a Expression),
    End(&'a Template),
    Break(&'a Expression),
    Branch(&'a [Arm]),
    Switch(&'a SwitchSpec),
    Parallel(&'a [ParallelArm]),
    ForEach(&'a ForEachSpec),
    Delay(TimeSpan),
}

/// Where a step stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    /// Nothing comes after it.
    pub(super) is_last: bool,
    /// It is in a loop, and not in a parallel list inside of that.
    pub(super) in_loop: bool,
}

impl StepSpec {
    /// What it does: one thing, or its manifest is refused.
    pub(crate) fn kinds(&self) -> Vec<Kind<'_>> {
        [
            self.run.as_deref().map(Kind::Run),
            self.value.as_ref().map(Kind::Value),
            self.request.as_ref().map(Kind::Request),
            self.respond.as_ref().map(Kind::Respond),
            self.filter.as_ref().map(Kind::Filter),
            self.end.as_ref().map(Kind::End),
            self.break_if.as_ref().map(Kind::Break),
            self.branch.as_deref().map(Kind::Branch),
            self.switch.as_ref().map(Kind::Switch),
            self.parallel.as_deref().map(Kind::Parallel),
            self.for_each.as_ref().map(Kind::ForEach),
            self.delay.map(Kind::Delay),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The steps inside of it, each list with the name of its place.
    pub(crate) fn bodies(&self) -> Vec<(String, &[StepSpec])> {
        let mut bodies: Vec<(String, &[StepSpec])> = Vec::new();
        for (index, arm) in self.branch.iter().flatten().enumerate() {
            bodies.push((format!("branch[{index}].steps"), &arm.steps));
        }
        if let Some(switch) = &self.switch {
            for (index, case) in switch.cases.iter().enumerate() {
                bodies.push((format!("switch.cases[{index}].steps"), &case.steps));
            }
            bodies.push(("switch.default".to_owned(), &switch.default));
        }
        for (index, arm) in self.parallel.iter().flatten().enumerate() {
            bodies.push((format!("parallel[{index}].steps"), &arm.steps));
        }
        if let Some(each) = &self.for_each {
            bodies.push(("for_each.steps".to_owned(), &each.steps));
        }
        bodies
    }

    /// What runs its code, if it has any.
    pub(crate) fn runtime(&self) -> Option<Runtime> {
        match &self.run {
            Some(file) => runtime_of(file),
            None if self.delay.is_some() || self.parallel.is_some() => None,
            // Expressions are JavaScript.
            None => Some(Runtime::Node),
        }
    }

    /// The rule that it breaks, if it breaks one, and where. What stands in its bodies is not looked
    /// at.
    pub(super) fn broken_rule(&self, around: Surroundings) -> Option<(String, String)> {
        let rule = |at: &str, rule: &str| Some((at.to_owned(), rule.to_owned()));
        if !is_identifier(&self.name) || self.name == "trigger" {
            return rule(
                "name",
                "write a letter, then letters, digits and _ (64 at most); `trigger` is taken",
            );
        }
        let kinds = self.kinds();
        let [kind] = kinds.as_slice() else {
            return if kinds.is_empty() {
                rule("run", &format!("say what the step does: one of {}", KINDS.join(", ")))
            } else {
                rule("run", "a step does one thing: write several steps")
            };
        };
        let broken = match kind {
            Kind::Run(file) if runtime_of(file).is_none() => {
                rule("run", &format!("`{file}` does not end in .mjs, .js, .cjs, .ts, .py or .sh"))
            }
            Kind::Delay(_) if around.is_last => rule("delay", "no step follows that could wait"),
            Kind::Break(_) if !around.in_loop => rule("break", "there is no `for_each` around it"),
            Kind::Branch(arms) => {
                broken_rule_of_arms(arms).map(|(at, rule)| (format!("branch{at}"), rule))
            }
            Kind::Switch(switch) => {
                switch.broken_rule().map(|(at, rule)| (format!("switch.{at}"), rule))
            }
            Kind::ForEach(each) => {
                each.broken_rule().map(|(at, rule)| (format!("for_each.{at}"), rule))
            }
            Kind::Parallel(arms) => broken_rule_of_names(arms),
            _ => None,
        };
        broken.or_else(|| self.broken_rule_of_code(kind))
    }

    /// The rule that what it adds to its code breaks.
    fn broken_rule_of_code(&self, kind: &Kind<'_>) -> Option<(String, String)> {
        let rule = |at: &str, rule: &str| Some((at.to_owned(), rule.to_owned()));
        let has_code = self.runtime().is_some();
        if !has_code && (self.retry.is_some() || !self.connections.is_empty()) {
            let at = if matches!(kind, Kind::Delay(_)) { "delay" } else { "parallel" };
            return rule(at, "it cannot fail by itself and has no connections");
        }
        let may_be_component = self.run.as_deref().and_then(runtime_of) == Some(Runtime::Node);
        if !self.props.is_empty() && !may_be_component {
            return rule("props", "only components have props, and those are code for Node");
        }
        if let Some((at, rule)) = self.retry.as_ref().and_then(RetrySpec::broken_rule) {
            return Some((format!("retry.{at}"), rule));
        }
        if let Some(alias) = self.connections.keys().find(|alias| !is_identifier(alias)) {
            return rule(
                "connections",
                &format!(
                    "`{alias}` cannot be used in code: write a letter, then letters, digits and _"
                ),
            );
        }
        if !self.connections.values().all(|one| is_connection(&one.name)) {
            return rule(
                "connections",
                "write names of connections: 1 to 64 of a-z, 0-9, - and _, beginning with a letter",
            );
        }
        None
    }
}

fn broken_rule_of_names(arms: &[ParallelArm]) -> Option<(String, String)> {
    let mut seen = BTreeSet::new();
    for (index, arm) in arms.iter().enumerate() {
        if !is_identifier(&arm.name) || !seen.insert(&arm.name) {
            let rule = "write a letter, then letters, digits and _, and each name once".to_owned();
            return Some((format!("parallel[{index}].name"), rule));
        }
    }
    arms.is_empty().then(|| ("parallel".to_owned(), "write at least one list of steps".to_owned()))
}
