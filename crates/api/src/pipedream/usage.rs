//! Usage: operation 68. Nothing here is sold by credits; a call through the proxy counts as one, and so
//! does a run of an action.

use super::caller::InEnvironment;
use super::params::{Params, wrong};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action::ReadConnections;
use causeway_types::Timestamp;
use causeway_types::entity::UsageKind;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);
/// The days that are shown if nothing is said.
const USUAL: u32 = 30;

/// The use of an environment, a day each.
#[derive(Serialize)]
pub(crate) struct Usage {
    data: Vec<Day>,
}

#[derive(Serialize)]
struct Day {
    credits_used: i64,
    action_run_credits_used: i64,
    proxy_credits_used: i64,
    source_emit_credits_used: i64,
    /// Seconds since 1970.
    usage_start_ts: u64,
    usage_end_ts: u64,
}

/// Shows what was used, by the days on which something was.
pub(crate) async fn show(
    State(api): State<Api>,
    InEnvironment(permit): InEnvironment<ReadConnections>,
    params: Params,
) -> Result<Json<Usage>, Problem> {
    let to = params.time("end_ts")?.unwrap_or(api.clock().now());
    let from = params.time("start_ts")?.unwrap_or(to.minus(DAY * USUAL));
    if to < from {
        return Err(wrong("end_ts", "is before `start_ts`"));
    }
    let counts = api.connect().used(&permit, from, to).await?;
    let mut days: BTreeMap<u64, (i64, i64)> = BTreeMap::new();
    for count in counts {
        let (calls, runs) = days.entry(count.hour.as_secs() / DAY.as_secs()).or_default();
        match count.kind {
            UsageKind::ProxyCall => *calls += count.count,
            UsageKind::ActionRun => *runs += count.count,
        }
    }
    let data = days.into_iter().map(|(day, (calls, runs))| {
        let start = Timestamp::from_micros(0).plus(Duration::from_secs(day * DAY.as_secs()));
        Day {
            credits_used: calls + runs,
            action_run_credits_used: runs,
            proxy_credits_used: calls,
            source_emit_credits_used: 0,
            usage_start_ts: start.as_secs(),
            usage_end_ts: start.plus(DAY).as_secs(),
        }
    });
    Ok(Json(Usage { data: data.collect() }))
}
