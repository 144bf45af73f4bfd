//! Firing schedules: when a time of one has come, its event is stored, with the invocation that runs on it,
//! in the transaction that moves the schedule on to its next time. So each time fires once, whichever node
//! is at it, and whenever that dies.

use crate::manifest::{Rhythm, WhenFull};
use crate::target::Target;
use crate::{FlowError, Inner, Notice};
use causeway_store::{Bookkeeping, db};
use causeway_types::entity::{CatchUp, DueSchedule, Event, Invocation, Schedule, TriggerKind};
use causeway_types::{Actor, EventId, InvocationId, Place, Timestamp, TriggerId, chain};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Schedules that are fired in one transaction, and the events at which it gets no more of them.
const BATCH: i64 = 500;
/// The most missed times of a schedule that fire.
const MOST_MISSED: usize = 1_000;
/// A time that has passed longer ago was missed.
const MISSED: Duration = Duration::from_mins(1);
/// When a schedule that cannot be read is looked at again.
const UNREADABLE: Duration = Duration::from_hours(1);

/// The event of a schedule.
#[derive(Serialize)]
struct ScheduleEvent<'a> {
    /// The interval, if it is one.
    interval_seconds: Option<i64>,
    /// The cron expression, if it is one.
    cron: Option<&'a str>,
    /// The time that came, in seconds since 1970.
    timestamp: u64,
    /// The same on the clocks of the schedule's zone.
    timezone_configured: WallClock,
    /// The same on those of UTC.
    timezone_utc: WallClock,
}

/// What the clocks of a zone show.
#[derive(Serialize)]
struct WallClock {
    timezone: String,
    iso8601: String,
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    second: i8,
    /// 0 is Sunday, as in cron expressions.
    day_of_week: i8,
}

impl WallClock {
    fn at(moment: jiff::Timestamp, zone: TimeZone, name: &str) -> Self {
        let wall = moment.to_zoned(zone);
        Self {
            timezone: name.to_owned(),
            iso8601: wall.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            year: wall.year(),
            month: wall.month(),
            day: wall.day(),
            hour: wall.hour(),
            minute: wall.minute(),
            second: wall.second(),
            day_of_week: wall.weekday().to_sunday_zero_offset(),
        }
    }
}

/// Why a schedule cannot fire.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("its {0} is none: {1}")]
    Rhythm(&'static str, String),
    #[error("it has no next time")]
    Over,
}

/// What is stored when a schedule fires.
#[derive(Default)]
struct Batch {
    moves: Vec<(TriggerId, Timestamp, Timestamp)>,
    fired: Vec<(TriggerId, Event, Invocation)>,
    /// The counts of open invocations of the workflows that fire.
    open: HashMap<causeway_types::WorkflowId, Arc<AtomicI64>>,
}

impl Inner {
    /// Fires what is due; when the next schedule is.
    pub(crate) async fn fire_due(&self) -> Result<Option<Timestamp>, FlowError> {
        loop {
            let now = self.clock.now();
            let mut conn = self.store.read().await?;
            let next = db!(conn, schedule::next())?;
            if next.is_none_or(|at| at > now) {
                return Ok(next);
            }
            let due = db!(conn, schedule::due(now, BATCH))?;
            drop(conn);
            if self.fire(&due, now).await? == 0 {
                // Another node is at it.
                return Ok(None);
            }
        }
    }

    /// Fires schedules in one transaction; how many of them.
    async fn fire(&self, due: &[DueSchedule], now: Timestamp) -> Result<usize, FlowError> {
        let mut batch = Batch::default();
        for one in due {
            if batch.fired.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX) {
                break;
            }
            self.add(&mut batch, one, now).await?;
        }
        let mut tx = self.store.write(Actor::Node(self.node)).await?;
        let moved: HashSet<TriggerId> =
            db!(tx, firing::move_on(&batch.moves))?.into_iter().collect();
        batch.fired.retain(|(id, ..)| moved.contains(id));
        let events: Vec<&Event> = batch.fired.iter().map(|(_, event, _)| event).collect();
        let invocations: Vec<&Invocation> =
            batch.fired.iter().map(|(.., invocation)| invocation).collect();
        if !events.is_empty() {
            db!(tx, dialect::insert_events(&events))?;
            db!(tx, dialect::insert_invocations(&invocations))?;
        }
        tx.commit_bookkeeping(Bookkeeping::Journal).await?;
        self.fired(&batch);
        Ok(moved.len())
    }

    /// Prepares what a schedule stores when it fires.
    async fn add(
        &self,
        batch: &mut Batch,
        due: &DueSchedule,
        now: Timestamp,
    ) -> Result<(), FlowError> {
        let schedule = &due.schedule;
        let (times, next) = match times(schedule, now) {
            Ok(times) => times,
            Err(error) => {
                tracing::error!(
                    schedule.id = %schedule.id,
                    workflow.id = %schedule.workflow_id,
                    error = chain(&error),
                    "a schedule cannot fire; this will be tried again in an hour"
                );
                batch.moves.push((schedule.id, schedule.next_at, now.plus(UNREADABLE)));
                return Ok(());
            }
        };
        batch.moves.push((schedule.id, schedule.next_at, next));
        if times.is_empty() {
            return Ok(());
        }
        let tenant = schedule.tenant();
        let limit = self.config.queue_limit;
        let target = Target {
            tenant,
            workflow: schedule.workflow_id,
            version: due.version_id,
            gate: due.gate,
            queue_limit: due.queue_limit.map_or(limit, |own| own.min(limit)),
            // Nobody is there who could be refused.
            when_full: WhenFull::DeadLetter,
        };
        let open = self.open_invocations(tenant, schedule.workflow_id).await?;
        let added = batch.fired.iter().filter(|(_, one, _)| one.workflow_id == target.workflow);
        let queued =
            open.load(Ordering::Relaxed) + i64::try_from(added.count()).unwrap_or(i64::MAX);
        let room = usize::try_from(target.queue_limit - queued).unwrap_or(0);
        for (position, at) in times.into_iter().enumerate() {
            // In the order of their times, for whoever runs one after the other.
            let made_at = now.plus(Duration::from_millis(position.try_into().unwrap_or(u64::MAX)));
            let id = InvocationId::generate(made_at, &*self.random);
            let event = self.event(schedule, at, now).await?;
            let invocation = if position < room {
                target.invocation(id, event.id, now)
            } else {
                target.dead_letter(id, event.id, now)
            };
            batch.fired.push((schedule.id, event, invocation));
        }
        batch.open.insert(target.workflow, open);
        Ok(())
    }

    /// The event of a time of a schedule.
    async fn event(
        &self,
        schedule: &Schedule,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<Event, FlowError> {
        let event_id = EventId::generate(now, &*self.random);
        let body = body(schedule, at)?;
        let place = Place::EventBody(event_id);
        Ok(Event {
            id: event_id,
            workspace_id: schedule.workspace_id,
            environment_id: schedule.environment_id,
            workflow_id: schedule.workflow_id,
            trigger_kind: TriggerKind::Schedule,
            trigger_name: schedule.name.clone(),
            dedupe_key: None,
            body: self.vault.seal(schedule.workspace_id, &place, &body).await?,
            received_at: now,
        })
    }

    /// Starts what was stored.
    fn fired(&self, batch: &Batch) {
        for (_, event, invocation) in &batch.fired {
            metrics::counter!("causeway_events_accepted_total").increment(1);
            if invocation.state.is_final() {
                metrics::counter!("causeway_invocations_total", "state" => "dead").increment(1);
                self.notify(Notice::of(invocation));
            } else if let Some(open) = batch.open.get(&event.workflow_id) {
                open.fetch_add(1, Ordering::Relaxed);
            }
        }
        if !batch.fired.is_empty() {
            self.wake();
        }
    }
}

/// The times of a schedule that fire now, and its next time.
fn times(schedule: &Schedule, now: Timestamp) -> Result<(Vec<Timestamp>, Timestamp), Unreadable> {
    let rhythm = Rhythm::new(schedule.cron.as_deref(), schedule.every_s, &schedule.timezone)
        .map_err(|(field, rule)| Unreadable::Rhythm(field, rule))?;
    let most = if schedule.catch_up == CatchUp::All { MOST_MISSED } else { 1 };
    let mut times = rhythm.up_to(now, schedule.next_at, most);
    let latest = times.last().copied().unwrap_or(schedule.next_at);
    if schedule.catch_up == CatchUp::None {
        times.retain(|at| now.since(*at) <= MISSED);
    }
    Ok((times, rhythm.after(latest).ok_or(Unreadable::Over)?))
}

/// The event of a time of a schedule, JSON.
fn body(schedule: &Schedule, at: Timestamp) -> Result<Vec<u8>, FlowError> {
    let lacks = |what| move |_| FlowError::Dangling { what, of: schedule.id.to_string() };
    let moment = jiff::Timestamp::from_microsecond(at.as_micros()).map_err(lacks("time"))?;
    let zone = TimeZone::get(&schedule.timezone).map_err(lacks("time zone"))?;
    let event = serde_json::to_vec(&ScheduleEvent {
        interval_seconds: schedule.every_s,
        cron: schedule.cron.as_deref(),
        timestamp: at.as_secs(),
        timezone_configured: WallClock::at(moment, zone, &schedule.timezone),
        timezone_utc: WallClock::at(moment, TimeZone::UTC, "UTC"),
    });
    event.map_err(|source| FlowError::Stored { what: "schedule", source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::{EnvironmentId, OsRandom, ProjectId, WorkflowId, WorkspaceId};
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    fn schedule(cron: Option<&str>, catch_up: CatchUp, next_at: &str) -> Schedule {
        let now = at("2026-11-01T00:00:00Z");
        Schedule {
            id: TriggerId::generate(now, &OsRandom),
            workspace_id: WorkspaceId::generate(now, &OsRandom),
            project_id: ProjectId::generate(now, &OsRandom),
            environment_id: EnvironmentId::generate(now, &OsRandom),
            workflow_id: WorkflowId::generate(now, &OsRandom),
            name: "schedule".into(),
            cron: cron.map(str::to_owned),
            every_s: if cron.is_some() { None } else { Some(900) },
            timezone: if cron.is_some() { "Europe/Berlin".into() } else { "UTC".into() },
            catch_up,
            next_at: at(next_at),
            created_at: now,
        }
    }

    #[test]
    fn a_time_that_comes_fires_and_the_next_one_is_after_it() {
        for catch_up in [CatchUp::Latest, CatchUp::None, CatchUp::All] {
            let one = schedule(Some("0 9 * * *"), catch_up, "2026-11-20T08:00:00Z");
            let fired = times(&one, at("2026-11-20T08:00:00.4Z")).unwrap();
            assert_eq!(fired, (vec![one.next_at], at("2026-11-21T08:00:00Z")), "{catch_up}");
        }
    }

    #[test]
    fn after_downtime_the_latest_none_or_all_of_the_missed_times_fire() {
        let fired = |catch_up| {
            let one = schedule(None, catch_up, "2026-11-20T08:00:00Z");
            times(&one, at("2026-11-20T09:10:00Z")).unwrap()
        };
        let (next, latest) = (at("2026-11-20T09:15:00Z"), at("2026-11-20T09:00:00Z"));
        assert_eq!(fired(CatchUp::Latest), (vec![latest], next));
        assert_eq!(fired(CatchUp::None), (vec![], next));
        let (all, then) = fired(CatchUp::All);
        assert_eq!((all.len(), all[0], then), (5, at("2026-11-20T08:00:00Z"), next));
        let long_ago = schedule(None, CatchUp::All, "2020-11-20T08:00:00Z");
        let (all, then) = times(&long_ago, at("2026-11-20T09:10:00Z")).unwrap();
        assert_eq!((all.len(), all.last(), then), (MOST_MISSED, Some(&latest), next));
    }

    #[test]
    fn a_schedule_that_cannot_be_read_says_why() {
        let mut one = schedule(Some("0 9 * * *"), CatchUp::Latest, "2026-11-20T08:00:00Z");
        one.timezone = "Europe/Atlantis".into();
        let error = times(&one, at("2026-11-20T08:00:00Z")).unwrap_err().to_string();
        assert!(error.contains("`Europe/Atlantis` is no time zone"), "{error}");
    }

    #[test]
    fn the_event_says_what_came_and_when_on_both_clocks() {
        let one = schedule(Some("0 9 * * 1-5"), CatchUp::Latest, "2026-11-20T08:00:00Z");
        let event: serde_json::Value =
            serde_json::from_slice(&body(&one, one.next_at).unwrap()).unwrap();
        assert_eq!(
            event,
            json!({
                "interval_seconds": null,
                "cron": "0 9 * * 1-5",
                "timestamp": 1_795_161_600,
                "timezone_configured": {
                    "timezone": "Europe/Berlin", "iso8601": "2026-11-20T09:00:00+01:00",
                    "year": 2026, "month": 11, "day": 20, "hour": 9, "minute": 0, "second": 0,
                    "day_of_week": 5,
                },
                "timezone_utc": {
                    "timezone": "UTC", "iso8601": "2026-11-20T08:00:00+00:00",
                    "year": 2026, "month": 11, "day": 20, "hour": 8, "minute": 0, "second": 0,
                    "day_of_week": 5,
                },
            })
        );
        let every = schedule(None, CatchUp::Latest, "2026-11-20T08:00:00Z");
        let event: serde_json::Value =
            serde_json::from_slice(&body(&every, every.next_at).unwrap()).unwrap();
        assert_eq!((&event["interval_seconds"], &event["cron"]), (&json!(900), &json!(null)));
    }
}
