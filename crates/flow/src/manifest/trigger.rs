//! What starts a workflow: one trigger, or several by name.

mod rhythm;
mod schedule;

pub(crate) use rhythm::Rhythm;
pub(crate) use schedule::ScheduleTrigger;

use super::{Manifest, is_name};
use causeway_types::entity::TriggerKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most triggers that a workflow may have.
const MAX_TRIGGERS: usize = 20;

/// What starts a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerSpec {
    /// A request to the workflow's own URL.
    Http(HttpTrigger),
    /// A time that comes again and again.
    Schedule(ScheduleTrigger),
    /// Nothing but somebody who runs it: `causeway run`, or the API.
    Manual(ManualTrigger),
}

/// An HTTP trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    /// Who may call the URL.
    pub auth: HttpAuth,
    /// What the caller is answered.
    #[serde(default)]
    pub response: HttpResponse,
}

/// Who may call an HTTP trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpAuth {
    /// Whoever knows the URL, which holds 128 random bits.
    None,
}

/// What the caller of an HTTP trigger is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpResponse {
    /// 202 with the ids, as soon as the event is stored.
    #[default]
    Accepted,
    /// What a step gives to `$.respond`, when it does; the caller waits for it.
    Workflow,
}

/// A manual trigger, of which there is nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManualTrigger {}

impl TriggerSpec {
    /// Its kind, which is its name too if it is the only one.
    pub const fn kind(&self) -> TriggerKind {
        match self {
            Self::Http(_) => TriggerKind::Http,
            Self::Schedule(_) => TriggerKind::Schedule,
            Self::Manual(_) => TriggerKind::Manual,
        }
    }
}

impl Manifest {
    /// What starts it, by name.
    pub fn triggers(&self) -> BTreeMap<&str, &TriggerSpec> {
        let one = self.trigger.iter().map(|spec| (spec.kind().as_str(), spec));
        one.chain(self.triggers.iter().map(|(name, spec)| (name.as_str(), spec))).collect()
    }

    /// Its HTTP trigger of this name.
    pub(crate) fn http_trigger(&self, name: &str) -> Option<&HttpTrigger> {
        match self.triggers().get(name) {
            Some(TriggerSpec::Http(http)) => Some(http),
            _ => None,
        }
    }

    /// Its schedules, by name.
    pub(crate) fn schedules(&self) -> BTreeMap<&str, &ScheduleTrigger> {
        let schedule = |(name, spec)| {
            let spec: &TriggerSpec = spec;
            if let TriggerSpec::Schedule(schedule) = spec { Some((name, schedule)) } else { None }
        };
        self.triggers().into_iter().filter_map(schedule).collect()
    }

    /// The name under which somebody runs it by hand: that of its manual trigger, if it has one.
    pub(crate) fn manual_name(&self) -> &str {
        let triggers = self.triggers();
        let manual = triggers.into_iter().find(|(_, spec)| spec.kind() == TriggerKind::Manual);
        manual.map_or(TriggerKind::Manual.as_str(), |(name, _)| name)
    }

    /// The rule about triggers that it breaks, if it breaks one, and where.
    pub(super) fn broken_trigger(&self) -> Option<(String, String)> {
        let rule = |at: &str, rule: &str| Some((at.to_owned(), rule.to_owned()));
        match (&self.trigger, self.triggers.len()) {
            (None, 0) => return rule("trigger", "say what starts the workflow"),
            (Some(_), 1..) => {
                return rule(
                    "triggers",
                    "write `trigger` for one, or `triggers` for several by name",
                );
            }
            (None, count) if count > MAX_TRIGGERS => {
                return rule(
                    "triggers",
                    &format!("a workflow has at most {MAX_TRIGGERS} triggers"),
                );
            }
            _ => {}
        }
        if let Some(name) = self.triggers.keys().find(|name| !is_name(name)) {
            return rule(
                "triggers",
                &format!(
                    "`{name}` is no name: write 1 to 64 of a-z, 0-9 and -, beginning with a letter"
                ),
            );
        }
        for (name, schedule) in self.schedules() {
            if let Err((field, broken)) = schedule.rhythm() {
                let at = match self.trigger {
                    Some(_) => format!("trigger.schedule.{field}"),
                    None => format!("triggers.{name}.schedule.{field}"),
                };
                return Some((at, broken));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(triggers: &str) -> Result<Manifest, String> {
        let yaml = format!("name: a\n{triggers}\nsteps: [{{ name: a, run: ./a.mjs }}]\n");
        Manifest::parse(&yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn one_trigger_is_named_by_its_kind_and_several_by_their_author() {
        let names =
            |text| manifest(text).unwrap().triggers().into_keys().collect::<Vec<_>>().join(" ");
        assert_eq!(names("trigger: { http: { auth: none } }"), "http");
        assert_eq!(names("trigger: { manual: {} }"), "manual");
        assert_eq!(
            names(
                "triggers: { nightly: { schedule: { every: 1d } }, hook: { http: { auth: none } } }"
            ),
            "hook nightly"
        );
        let by_hand =
            manifest("triggers: { me: { manual: {} }, x: { http: { auth: none } } }").unwrap();
        assert_eq!(by_hand.manual_name(), "me");
        assert!(by_hand.http_trigger("x").is_some() && by_hand.http_trigger("me").is_none());
    }

    #[test]
    fn each_rule_names_its_place() {
        for (text, expected) in [
            ("egress: []", "trigger: say what starts"),
            (
                "trigger: { manual: {} }\ntriggers: { a: { manual: {} } }",
                "triggers: write `trigger`",
            ),
            ("triggers: { A: { manual: {} } }", "triggers: `A` is no name"),
            ("trigger: { schedule: {} }", "trigger.schedule.cron: say when"),
            (
                "trigger: { schedule: { every: 1h, cron: '* * * * *' } }",
                "trigger.schedule.every: either",
            ),
            (
                "trigger: { schedule: { every: 1h, timezone: UTC } }",
                "trigger.schedule.timezone: an interval",
            ),
            (
                "triggers: { a: { schedule: { cron: '0 0 31 2 *' } } }",
                "triggers.a.schedule.cron: `0 0 31 2 *` never",
            ),
            (
                "trigger: { schedule: { cron: '* * *' } }",
                "trigger.schedule.cron: `* * *` has 3 fields",
            ),
            (
                "trigger: { schedule: { cron: '61 * * * *' } }",
                "trigger.schedule.cron: `61 * * * *` cannot be read",
            ),
            (
                "trigger: { schedule: { cron: '0 0 * * *', timezone: Europe/Berln } }",
                "trigger.schedule.timezone: `Europe/Berln` is no time zone",
            ),
            ("trigger: { schedule: { cron: '0 0 * * *', catch_up: some } }", "some"),
            ("trigger: { manual: { a: 1 } }", "line 2"),
        ] {
            let message = manifest(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        let many: Vec<_> =
            (0..=MAX_TRIGGERS).map(|n| format!("t{n}: {{ manual: {{}} }}")).collect();
        let many = many.join(", ");
        let message = manifest(&format!("triggers: {{ {many} }}")).unwrap_err();
        assert!(message.contains("at most 20 triggers"), "{message}");
    }
}
