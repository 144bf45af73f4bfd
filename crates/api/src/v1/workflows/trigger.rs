//! Triggers, as deployments and workflows show them.

use crate::Api;
use causeway_flow::{DeployedTrigger, TriggerSchedule, TriggerView};
use causeway_types::Timestamp;
use causeway_types::entity::{CatchUp, TriggerKind};
use serde::Serialize;
use utoipa::ToSchema;

/// What starts a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trigger)]
pub(crate) struct TriggerBody {
    /// Its name in the workflow.
    name: String,
    /// `http`, `schedule` or `manual`.
    kind: TriggerKind,
    /// Requests to this URL are its events, if it is an HTTP trigger that is deployed. Whoever knows the
    /// URL can send them.
    url: Option<String>,
    /// Its times, if it is a schedule.
    schedule: Option<ScheduleBody>,
}

/// The times of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleBody {
    /// The cron expression, if it has one.
    cron: Option<String>,
    /// The interval in seconds, if it has one.
    every_seconds: Option<i64>,
    /// The time zone of the cron expression.
    timezone: String,
    /// What becomes of times at which no server was there: `latest`, `none` or `all`.
    catch_up: CatchUp,
    /// The next three times.
    next: Vec<Timestamp>,
}

impl From<TriggerView> for TriggerBody {
    fn from(view: TriggerView) -> Self {
        let schedule = view.schedule.map(|one: TriggerSchedule| ScheduleBody {
            cron: one.cron,
            every_seconds: one.every_seconds,
            timezone: one.timezone,
            catch_up: one.catch_up,
            next: one.next,
        });
        Self { name: view.name, kind: view.kind, url: None, schedule }
    }
}

impl TriggerBody {
    /// Those of an active version, with their URLs.
    pub(crate) fn deployed(api: &Api, triggers: Vec<DeployedTrigger>) -> Vec<Self> {
        let body = |one: DeployedTrigger| {
            let url = one.token.map(|token| api.public(&format!("/t/{}", token.expose())));
            Self { url, ..one.view.into() }
        };
        triggers.into_iter().map(body).collect()
    }

    /// The URL of the only one that has any.
    pub(crate) fn only_url(triggers: &[Self]) -> Option<String> {
        let mut urls = triggers.iter().filter_map(|one| one.url.as_ref());
        urls.next().filter(|_| urls.next().is_none()).cloned()
    }
}
