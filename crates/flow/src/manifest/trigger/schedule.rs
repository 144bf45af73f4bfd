//! Schedules, as authors write them.

use super::rhythm::Rhythm;
use crate::manifest::time_span::TimeSpan;
use causeway_types::entity::CatchUp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The time zone of cron expressions whose schedule names none.
const UTC: &str = "UTC";

/// A time that comes again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["cron"] }, { "required": ["every"] }]))]
pub struct ScheduleTrigger {
    /// Minute, hour, day of the month, month and day of the week, and before them the second if there are
    /// six fields: `0 9 * * 1-5` is nine o'clock from Monday to Friday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Where the cron expression's times are meant: a name like `Europe/Berlin`. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Instead of `cron`: how much time lies between two times, the first of them that long after the
    /// deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<TimeSpan>,
    /// What becomes of times at which no server was there.
    #[serde(default, skip_serializing_if = "CatchUpSpec::is_usual")]
    pub catch_up: CatchUpSpec,
}

/// What becomes of times at which no server was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CatchUpSpec {
    /// The latest of them makes an event, late.
    #[default]
    Latest,
    /// None of them does.
    None,
    /// Each of them does, late: the newest 1,000.
    All,
}

impl CatchUpSpec {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
    fn is_usual(&self) -> bool {
        *self == Self::Latest
    }
}

impl From<CatchUpSpec> for CatchUp {
    fn from(spec: CatchUpSpec) -> Self {
        match spec {
            CatchUpSpec::Latest => Self::Latest,
            CatchUpSpec::None => Self::None,
            CatchUpSpec::All => Self::All,
        }
    }
}

impl ScheduleTrigger {
    /// Its interval in whole seconds, if it has one.
    pub(crate) fn every_s(&self) -> Option<i64> {
        self.every.and_then(|every| i64::try_from(every.get().as_secs()).ok())
    }

    /// The name of its time zone.
    pub(crate) fn zone(&self) -> &str {
        self.timezone.as_deref().unwrap_or(UTC)
    }

    /// Its times, or the field that breaks a rule, and the rule.
    pub(crate) fn rhythm(&self) -> Result<Rhythm, (&'static str, String)> {
        match (&self.cron, self.every) {
            (None, None) => Err(("cron", "say when: `cron` or `every`".to_owned())),
            (Some(_), Some(_)) => {
                Err(("every", "either `cron` or `every`: write two triggers".to_owned()))
            }
            (None, Some(_)) if self.timezone.is_some() => {
                Err(("timezone", "an interval is the same everywhere: leave it out".to_owned()))
            }
            _ => Rhythm::new(self.cron.as_deref(), self.every_s(), self.zone()),
        }
    }
}
