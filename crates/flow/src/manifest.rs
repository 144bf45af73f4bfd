//! `workflow.yaml`: what a workflow is, as its author writes it.
//!
//! The JSON Schema of this form is generated from these types and served at
//! `/schemas/workflow.json`.

mod bound;
mod connection;
mod control;
mod expression;
mod retry;
mod step;
mod tier;
mod time_span;
mod trigger;

pub use bound::{QueueSpec, ThrottleSpec, WhenFull};
pub use connection::ConnectionSpec;
pub use control::{
    Arm, Case, ForEachSpec, OnError, OneOrMore, ParallelArm, RequestSpec, RespondSpec, SwitchSpec,
};
pub use expression::{Expression, Template};
pub(crate) use expression::{literal, write_expression};
pub use retry::{RetrySpec, Retryable};
pub(crate) use step::Kind;
pub use step::StepSpec;
use step::Surroundings;
pub use tier::TierSpec;
pub use time_span::TimeSpan;
pub use trigger::{HttpResponse, TriggerSpec};
pub(crate) use trigger::{Rhythm, ScheduleTrigger};

use causeway_sandbox::{EgressRules, Limits, Runtime, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The name of the manifest in a workflow's folder.
pub const FILE_NAME: &str = "workflow.yaml";

/// The most steps that a workflow may have, those inside of others included.
pub(crate) const MAX_STEPS: usize = 100;
/// The most steps that one may stand inside of.
const MAX_DEPTH: usize = 8;

/// The longest name of a workflow, a step or a connection, in characters.
const MAX_NAME: usize = 64;

/// The most packages whose install scripts may run.
const MAX_INSTALL_SCRIPTS: usize = 100;
/// The longest name of a package, in bytes: npm's own limit.
const MAX_PACKAGE: usize = 214;

/// The most memory that a workflow may ask for, in MiB.
const MAX_MEMORY_MIB: u64 = 4096;
/// The longest that one step may take, in seconds.
const MAX_WALL_SECONDS: u64 = 900;

/// A workflow: steps that run in order on each event of its triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["trigger"] }, { "required": ["triggers"] }]))]
pub struct Manifest {
    /// The workflow's name, unique in its environment: 1 to 64 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// What starts it, if that is one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerSpec>,
    /// What starts it, if that is several things, each with a name of 1 to 64 of `a-z`, `0-9` and `-`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<String, TriggerSpec>,
    /// How many of its invocations may run at a time, on all servers together: 1 to 100,000. Default: as
    /// many as the servers have room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<i64>,
    /// How many of its invocations may begin in a period. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<ThrottleSpec>,
    /// How many events may wait, and what becomes of more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueSpec>,
    /// Hosts that its code may reach beyond those of its connections' apps:
    /// `api.example.com`, or `*.example.com` for every name below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<String>,
    /// Packages whose install scripts run when it is deployed, in a sandbox that reaches the registry
    /// only. Those of no other package do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub install_scripts: Vec<String>,
    /// What each of its sandboxes may use.
    #[serde(default, skip_serializing_if = "LimitsSpec::is_empty")]
    pub limits: LimitsSpec,
    /// The weakest kind of sandbox that its code may run in: `jail`, `gvisor` or `vm`. Default: the
    /// server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_tier: Option<TierSpec>,
    /// When its steps are tried again, unless a step says so itself. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// The steps, in order.
    pub steps: Vec<StepSpec>,
}

/// What each sandbox of a workflow may use. What is left out has its default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Memory of all its processes, in MiB: 64 to 4096. Default 256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Wall time of one step, in seconds: 1 to 900. Default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<u64>,
    /// Processor time of one step, in seconds: 1 to 900. Default 15.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Processes and threads: 16 to 512. Default 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// Temporary files, in MiB: 1 to 2048. Default 64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mib: Option<u64>,
    /// A step's return value, exports and answer together, in KiB: 1 to 8192. Default 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_kib: Option<u64>,
    /// What one step prints, in KiB: 1 to 8192. Default 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_kib: Option<u64>,
}

impl LimitsSpec {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is not YAML of this form. The parser's message says line and column.
    #[error("{FILE_NAME}: {0}")]
    Form(String),
    /// A value breaks a rule.
    #[error("{FILE_NAME}: {at}: {rule}")]
    Rule {
        /// The path of the value.
        at: String,
        /// The rule, and what to write instead.
        rule: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(yaml: &str) -> Result<Self, ManifestError> {
        // The message says line and column; a picture of the line would not fit into a sentence.
        let options = serde_saphyr::options! { with_snippet: false };
        let manifest: Self = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| ManifestError::Form(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let rule = |at: &str, rule: &str| {
            Err(ManifestError::Rule { at: at.to_owned(), rule: rule.to_owned() })
        };
        if !is_name(&self.name) {
            return rule("name", "write 1 to 64 of a-z, 0-9 and -, beginning with a letter");
        }
        if let Some((at, broken)) = self.broken_trigger() {
            return rule(&at, &broken);
        }
        if let Some((at, broken)) = self.broken_bound() {
            return rule(at, &broken);
        }
        if self.steps.is_empty() {
            return rule("steps", "a workflow needs at least one step");
        }
        if self.all_steps().len() > MAX_STEPS {
            return rule("steps", &format!("a workflow has at most {MAX_STEPS} steps"));
        }
        EgressRules::parse(&self.egress).map_err(|error| ManifestError::Rule {
            at: "egress".to_owned(),
            rule: error.to_string(),
        })?;
        if self.install_scripts.len() > MAX_INSTALL_SCRIPTS
            || self.install_scripts.iter().any(|name| name.is_empty() || name.len() > MAX_PACKAGE)
        {
            return rule(
                "install_scripts",
                &format!("write the names of at most {MAX_INSTALL_SCRIPTS} packages"),
            );
        }
        if let Some((at, broken)) = self.retry.as_ref().and_then(RetrySpec::broken_rule) {
            return rule(&format!("retry.{at}"), &broken);
        }
        let root = Surroundings { is_last: true, in_loop: false };
        check_steps(&self.steps, "steps", root, 0, &mut BTreeSet::new())?;
        self.limits.check()
    }

    /// Every step, those inside of others after the one that they are in.
    pub(crate) fn all_steps(&self) -> Vec<&StepSpec> {
        fn gather<'a>(steps: &'a [StepSpec], all: &mut Vec<&'a StepSpec>) {
            for step in steps {
                all.push(step);
                for (_, body) in step.bodies() {
                    gather(body, all);
                }
            }
        }
        let mut all = Vec::new();
        gather(&self.steps, &mut all);
        all
    }

    /// When a step of it is tried again, if it is.
    pub(crate) fn retry<'a>(&'a self, step: &'a StepSpec) -> Option<&'a RetrySpec> {
        step.retry.as_ref().or(self.retry.as_ref())
    }

    /// What its steps need to run.
    pub fn runtimes(&self) -> BTreeSet<Runtime> {
        self.all_steps().into_iter().filter_map(StepSpec::runtime).collect()
    }

    /// The names of all connections that the workflow uses.
    pub fn connections(&self) -> BTreeSet<&str> {
        self.links().map(|link| link.name.as_str()).collect()
    }

    /// The names of those whose credential some step's code gets itself.
    pub fn exposed(&self) -> BTreeSet<&str> {
        self.links().filter(|link| link.expose).map(|link| link.name.as_str()).collect()
    }

    fn links(&self) -> impl Iterator<Item = &ConnectionSpec> {
        self.all_steps().into_iter().flat_map(|step| step.connections.values())
    }

    /// The limits of its sandboxes.
    pub fn sandbox_limits(&self) -> Limits {
        let (spec, default) = (&self.limits, Limits::default());
        Limits {
            memory_bytes: spec.memory_mib.map_or(default.memory_bytes, |mib| mib << 20),
            wall: spec.wall_seconds.map_or(default.wall, Duration::from_secs),
            cpu: spec.cpu_seconds.map_or(default.cpu, Duration::from_secs),
            processes: spec.processes.unwrap_or(default.processes),
            disk_bytes: spec.disk_mib.map_or(default.disk_bytes, |mib| mib << 20),
            output_bytes: spec.output_kib.map_or(default.output_bytes, |kib| kib << 10),
            log_bytes: spec.log_kib.map_or(default.log_bytes, |kib| kib << 10),
        }
    }

    /// The kind of sandbox that its code runs in, where none weaker than `floor` is used.
    pub fn tier(&self, floor: Tier) -> Tier {
        self.minimum_tier.map_or(floor, |own| Tier::from(own).max(floor))
    }

    /// The JSON Schema of the form.
    pub fn json_schema() -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self);
        schema.insert("title".to_owned(), "Causeway workflow".into());
        schema.to_value()
    }
}

/// Checks steps that stand side by side, and what is inside of them.
fn check_steps<'a>(
    steps: &'a [StepSpec],
    place: &str,
    around: Surroundings,
    depth: usize,
    seen: &mut BTreeSet<&'a str>,
) -> Result<(), ManifestError> {
    let refuse = |at: String, rule: String| Err(ManifestError::Rule { at, rule });
    if depth > MAX_DEPTH {
        return refuse(place.to_owned(), format!("steps stand in at most {MAX_DEPTH} others"));
    }
    for (index, step) in steps.iter().enumerate() {
        let at = format!("{place}[{index}]");
        let is_last = around.is_last && index + 1 == steps.len();
        if let Some((field, rule)) = step.broken_rule(Surroundings { is_last, ..around }) {
            return refuse(format!("{at}.{field}"), rule);
        }
        if !seen.insert(&step.name) {
            let rule = format!("`{}` names an earlier step: names are unique", step.name);
            return refuse(format!("{at}.name"), rule);
        }
        let inside = match (&step.for_each, &step.parallel) {
            (Some(_), _) => Surroundings { is_last: true, in_loop: true },
            (_, Some(_)) => Surroundings { is_last: true, in_loop: false },
            _ => Surroundings { is_last, ..around },
        };
        for (field, body) in step.bodies() {
            let at = format!("{at}.{field}");
            if body.is_empty() && field != "switch.default" {
                return refuse(at, "write at least one step".to_owned());
            }
            check_steps(body, &at, inside, depth + 1, seen)?;
        }
    }
    Ok(())
}

impl LimitsSpec {
    fn check(&self) -> Result<(), ManifestError> {
        let bounds = [
            ("memory_mib", self.memory_mib, 64, MAX_MEMORY_MIB),
            ("wall_seconds", self.wall_seconds, 1, MAX_WALL_SECONDS),
            ("cpu_seconds", self.cpu_seconds, 1, MAX_WALL_SECONDS),
            ("processes", self.processes.map(u64::from), 16, 512),
            ("disk_mib", self.disk_mib, 1, 2048),
            ("output_kib", self.output_kib, 1, 8192),
            ("log_kib", self.log_kib, 1, 8192),
        ];
        for (name, value, least, most) in bounds {
            if value.is_some_and(|value| value < least || value > most) {
                return Err(ManifestError::Rule {
                    at: format!("limits.{name}"),
                    rule: format!("write a number from {least} to {most}"),
                });
            }
        }
        Ok(())
    }
}

/// What a file's ending says about what runs it.
pub(crate) fn runtime_of(file: &str) -> Option<Runtime> {
    match file.rsplit_once('.')?.1 {
        "mjs" | "js" | "cjs" | "ts" => Some(Runtime::Node),
        "py" => Some(Runtime::Python),
        "sh" => Some(Runtime::Bash),
        _ => None,
    }
}

/// 1 to 64 of `a-z`, `0-9` and `-`, beginning with a letter.
fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// 1 to 64 of `a-z`, `0-9`, `-` and `_`, beginning with a letter: as connections are named.
fn is_connection(text: &str) -> bool {
    let form = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    text.len() <= MAX_NAME
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(form)
}

/// A letter, then letters, digits and `_`, 64 at most: usable as `steps.<name>` in code.
fn is_identifier(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
name: welcome-lead
trigger:
  http: { auth: none }
egress: [api.example.com]
steps:
  - name: lookup
    run: ./lookup.mjs
    connections: { crm: acme-crm }
";

    fn refusal(yaml: &str) -> String {
        Manifest::parse(yaml).unwrap_err().to_string()
    }

    #[test]
    fn the_manifests_of_the_docs_are_read() {
        for docs in [
            include_str!("../../../docs/workflows.md"),
            include_str!("../../../docs/control-flow.md"),
        ] {
            let block = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
            Manifest::parse(block).unwrap_or_else(|error| panic!("{error}:\n{block}"));
        }
    }

    #[test]
    fn the_form_of_the_docs_is_read() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!(manifest.steps[0].run.as_deref(), Some("./lookup.mjs"));
        assert_eq!(manifest.connections(), BTreeSet::from(["acme-crm"]));
        assert_eq!(manifest.sandbox_limits(), Limits::default());
    }

    #[test]
    fn broken_yaml_is_refused_with_line_and_column() {
        let message = refusal("name: x\ntrigger: [\n");
        assert!(message.starts_with("workflow.yaml: "), "{message}");
        assert!(message.contains("line 3") || message.contains("line 2"), "{message}");
    }

    #[test]
    fn an_unknown_field_is_refused_by_name_and_line() {
        let message = refusal(&GOOD.replace("egress:", "egres:"));
        assert!(message.contains("egres") && message.contains("line 4"), "{message}");
    }

    #[test]
    fn each_rule_names_its_place() {
        for (from, to, at) in [
            ("name: welcome-lead", "name: Welcome Lead", "name:"),
            ("api.example.com", "https://api.example.com/", "egress:"),
            ("name: lookup", "name: look-up", "steps[0].name:"),
            ("lookup.mjs", "lookup.rb", "steps[0].run:"),
            ("crm: acme", "c-rm: acme", "steps[0].connections:"),
            ("acme-crm", "\"a\\0b\"", "steps[0].connections:"),
            ("egress:", "limits: { memory_mib: 1 }\negress:", "limits.memory_mib:"),
            ("egress:", "retry: { attempts: 26 }\negress:", "retry.attempts:"),
            ("run: ./lookup.mjs", "delay: 1h", "steps[0].delay: no step follows"),
            ("    run: ./lookup.mjs\n", "", "steps[0].run: say what"),
            ("run:", "delay: 1h\n    run:", "steps[0].run: a step does one thing"),
            ("run: ./lookup.mjs", "filter: a > b", "is no expression"),
            ("run: ./lookup.mjs", "break: \"{{ a }}\"", "steps[0].break: there is no"),
            ("run: ./lookup.mjs", "branch: []", "steps[0].branch: write at least one"),
            ("run: ./lookup.mjs", "branch: [{ steps: [] }]", "branch[0].steps: write at least one"),
            ("run: ./lookup.mjs", "parallel: [{ name: a-b, steps: [] }]", "parallel[0].name:"),
            (
                "run: ./lookup.mjs",
                "branch: [{ steps: [{ name: a, end: x }] }, { steps: [{ name: b, end: x }] }]",
                "steps[0].branch[0].if: only the last",
            ),
            (
                "run: ./lookup.mjs",
                "for_each: { items: \"{{ a }}\", concurrency: 0, steps: [] }",
                "steps[0].for_each.concurrency:",
            ),
            (
                "run: ./lookup.mjs",
                "for_each: { items: \"{{ a }}\", steps: [{ name: lookup, end: x }] }",
                "steps[0].for_each.steps[0].name: `lookup` names an earlier",
            ),
            (
                "run: ./lookup.mjs",
                "switch: { on: \"{{ a }}\", cases: [{ is: [[1]], steps: [{ name: a, end: x }] }] }",
                "steps[0].switch.cases[0].is:",
            ),
            ("run:", "retry: { attempts: 3, wait: 2h }\n    run:", "steps[0].retry.wait:"),
            ("run:", "retry: { attempts: 3, on: [] }\n    run:", "steps[0].retry.on:"),
            ("run:", "retry: { attempts: 3, on: [syntax_error] }\n    run:", "syntax_error"),
            ("run: ./lookup.mjs", "delay: 90", "length of time"),
        ] {
            let message = refusal(&GOOD.replace(from, to));
            assert!(message.contains(at), "{to}: {message}");
        }
    }

    #[test]
    fn a_connection_is_exposed_only_if_the_step_says_so() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert!(manifest.exposed().is_empty());
        let longer = GOOD.replace("crm: acme-crm", "crm: { name: acme-crm, expose: true }");
        let manifest = Manifest::parse(&longer).unwrap();
        assert_eq!(manifest.connections(), BTreeSet::from(["acme-crm"]));
        assert_eq!(manifest.exposed(), BTreeSet::from(["acme-crm"]));
        let message = refusal(&longer.replace("expose", "exposed"));
        assert!(message.contains("exposed") && message.contains("line 8"), "{message}");
        let message = refusal(&GOOD.replace("crm: acme-crm", "crm: [acme-crm]"));
        assert!(message.contains("expose: true"), "{message}");
    }

    #[test]
    fn a_step_may_wait_and_a_step_has_its_own_retry_or_the_workflows() {
        let yaml = GOOD
            .replace("egress:", "retry: { attempts: 3 }\negress:")
            .replace("steps:\n", "steps:\n  - { name: pause, delay: 2h }\n")
            + "  - { name: once, run: ./b.mjs, retry: { attempts: 1 } }\n";
        let manifest = Manifest::parse(&yaml).unwrap();
        let [pause, lookup, once] = &manifest.steps[..] else { panic!("three steps") };
        assert_eq!(pause.delay.unwrap().get(), Duration::from_hours(2));
        assert_eq!(pause.runtime(), None);
        assert_eq!(manifest.retry(lookup).unwrap().attempts, 3);
        assert_eq!(manifest.retry(once).unwrap().attempts, 1);
        assert_eq!(manifest.runtimes(), BTreeSet::from([Runtime::Node]));
    }

    #[test]
    fn the_ending_of_a_file_says_what_runs_it() {
        for (file, runtime) in [
            ("lookup.ts", Runtime::Node),
            ("lookup.py", Runtime::Python),
            ("a.py/lookup.sh", Runtime::Bash),
        ] {
            let manifest = Manifest::parse(&GOOD.replace("lookup.mjs", file)).unwrap();
            assert_eq!(manifest.steps[0].runtime(), Some(runtime), "{file}");
            assert_eq!(manifest.runtimes(), BTreeSet::from([runtime]), "{file}");
        }
    }

    #[test]
    fn two_steps_of_one_name_are_refused() {
        let message = refusal(&format!("{GOOD}  - {{ name: lookup, run: ./b.mjs }}\n"));
        assert!(message.contains("steps[1].name") && message.contains("unique"), "{message}");
    }

    #[test]
    fn the_schema_names_every_field() {
        let schema = Manifest::json_schema().to_string();
        for field in [
            "trigger",
            "triggers",
            "cron",
            "catch_up",
            "throttle",
            "when_full",
            "egress",
            "limits",
            "steps",
            "wall_seconds",
            "connections",
            "retry",
            "longest_wait",
            "delay",
            "for_each",
            "break",
            "if",
        ] {
            assert!(schema.contains(field), "{field}");
        }
    }
}
