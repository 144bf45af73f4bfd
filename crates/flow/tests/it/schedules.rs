//! Schedules: each time fires once, whichever node is at it and whatever the clock does.

use crate::kit::World;
use causeway_flow::{InvocationFilter, TriggerSchedule};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::{InvocationState, Schedule};
use causeway_types::{Clock, InvocationId, ManualClock, SystemClock, Timestamp, WorkflowId};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

on_both!(
    a_schedule_fires_at_its_times_and_its_steps_see_the_event,
    a_deploy_keeps_the_rhythm_that_has_not_changed_and_stops_what_is_gone,
    the_latest_missed_time_fires_after_downtime,
    a_clock_that_goes_back_fires_nothing_twice,
    many_that_are_due_at_once_all_fire,
    an_event_that_finds_the_queue_full_is_kept_as_a_dead_letter,
);

/// Nine o'clock in Berlin, on a Monday of winter.
const MONDAY: i64 = 1_795_420_800_000_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_micros(MONDAY).minus(Duration::from_secs(10))))
}

fn monday() -> Timestamp {
    Timestamp::from_micros(MONDAY)
}

/// A workflow whose invocations do nothing but wait, so that no sandbox is needed for them.
fn patient(trigger: &str) -> String {
    format!(
        "name: patient\n{trigger}\nsteps: [{{ name: pause, delay: 365d }}, {{ name: a, run: ./a.mjs }}]"
    )
}

fn files(manifest: &str) -> [(&str, &str); 2] {
    [
        ("workflow.yaml", manifest),
        ("a.mjs", "export default ({ event, $ }) => ({ event, trigger: $.context.trigger })"),
    ]
}

/// The ids of a workflow's invocations, oldest first.
async fn invocations(world: &World, workflow: WorkflowId) -> Vec<InvocationId> {
    let filter = InvocationFilter { workflow: Some(workflow), ..InvocationFilter::default() };
    let newest = "inv_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    let page = world.flow.invocations(&world.permit(), filter, newest, 2_000).await.unwrap();
    page.into_iter().rev().map(|one| one.id).collect()
}

/// Waits until a workflow has so many invocations.
async fn until_fired(world: &World, workflow: WorkflowId, count: usize) -> Vec<InvocationId> {
    let fired = world.eventually("the schedule to fire", async || {
        Some(invocations(world, workflow).await).filter(|ids| ids.len() >= count)
    });
    let fired = fired.await;
    assert_eq!(fired.len(), count);
    fired
}

/// The times for which a workflow has events, in seconds since 1970.
async fn times(world: &World, workflow: WorkflowId) -> Vec<i64> {
    let mut times = Vec::new();
    for id in invocations(world, workflow).await {
        let event = world.flow.invocation_event(&world.permit(), id).await.unwrap();
        let event: Value = serde_json::from_slice(event.expose()).unwrap();
        times.push(event["timestamp"].as_i64().unwrap());
    }
    times
}

async fn rows(world: &World, workflow: WorkflowId) -> Vec<Schedule> {
    let mut conn = world.store().read().await.unwrap();
    let tenant = world.permit::<causeway_identity::action::ReadWorkflows>().tenant();
    db!(conn, schedule::of_workflow(tenant, workflow)).unwrap()
}

/// Waits until a workflow's only schedule has moved on to a time.
async fn until_next(world: &World, workflow: WorkflowId, next: Timestamp) {
    world
        .eventually("the schedule to move on", async || {
            rows(world, workflow).await.iter().all(|row| row.next_at == next).then_some(())
        })
        .await;
}

async fn shown(world: &World, workflow: WorkflowId) -> TriggerSchedule {
    let permit = world.permit();
    let workflow = world.flow.workflow(&permit, workflow).await.unwrap();
    let mut triggers = world.flow.workflow_triggers(&permit, &workflow).await.unwrap();
    triggers.remove(0).view.schedule.unwrap()
}

async fn a_schedule_fires_at_its_times_and_its_steps_see_the_event(database: TestDatabase) {
    let clock = clock();
    let world = World::on(database, &clock).await;
    let manifest = "name: morning
trigger: { schedule: { cron: '0 9 * * mon-fri', timezone: Europe/Berlin } }
steps: [{ name: a, run: ./a.mjs }]";
    let workflow = world.deploy(&files(manifest)).await.unwrap();
    let day = Duration::from_hours(24);
    let next = [monday(), monday().plus(day), monday().plus(2 * day)];
    assert_eq!(shown(&world, workflow).await.next, next);
    assert_eq!(invocations(&world, workflow).await, []);

    clock.set(monday());
    let id = until_fired(&world, workflow, 1).await[0];
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    let seen: Value =
        serde_json::from_str(steps[0].record.return_value.as_ref().unwrap().get()).unwrap();
    assert_eq!(seen["trigger"], json!({ "name": "schedule", "kind": "schedule" }));
    let event = &seen["event"];
    assert_eq!(event["timestamp"], monday().as_secs());
    assert_eq!(event["cron"], "0 9 * * mon-fri");
    assert_eq!(event["timezone_configured"]["iso8601"], "2026-11-23T09:00:00+01:00");
    until_next(&world, workflow, monday().plus(day)).await;
    world.stop().await;
}

async fn a_deploy_keeps_the_rhythm_that_has_not_changed_and_stops_what_is_gone(
    database: TestDatabase,
) {
    let clock = clock();
    let world = World::on(database, &clock).await;
    let first = patient("trigger: { schedule: { every: 15m } }");
    let workflow = world.deploy(&files(&first)).await.unwrap();
    let next = clock.now().plus(Duration::from_mins(15));
    until_next(&world, workflow, next).await;
    clock.advance(Duration::from_mins(5));
    let changed =
        patient("egress: [api.example.com]\ntrigger: { schedule: { every: 15m, catch_up: none } }");
    world.deploy(&files(&changed)).await.unwrap();
    assert_eq!(rows(&world, workflow).await[0].next_at, next, "the rhythm is as before");
    let other = patient(
        "triggers: { schedule: { schedule: { every: 10m } }, b: { schedule: { every: 1h } } }",
    );
    world.deploy(&files(&other)).await.unwrap();
    let soon = clock.now().plus(Duration::from_mins(10));
    let times: Vec<_> =
        rows(&world, workflow).await.into_iter().map(|row| (row.name, row.next_at)).collect();
    let hour = clock.now().plus(Duration::from_hours(1));
    assert_eq!(times, [("b".to_owned(), hour), ("schedule".to_owned(), soon)]);

    world.deploy(&files(&patient("trigger: { manual: {} }"))).await.unwrap();
    assert_eq!(rows(&world, workflow).await, []);
    // Another schedule that fires shows that the first would have.
    let witness = first.replace("patient", "witness").replace("15m", "2h");
    let witness = world.deploy(&files(&witness)).await.unwrap();
    clock.advance(Duration::from_hours(2));
    until_fired(&world, witness, 1).await;
    assert_eq!(invocations(&world, workflow).await, [], "what is gone has stopped");
    world.stop().await;
}

async fn the_latest_missed_time_fires_after_downtime(database: TestDatabase) {
    let clock = clock();
    let mut world = World::on(database, &clock).await;
    let mut workflows = Vec::new();
    for catch_up in ["latest", "none", "all"] {
        let text =
            format!("trigger: {{ schedule: {{ cron: '0 * * * *', catch_up: {catch_up} }} }}");
        let manifest = patient(&text).replace("patient", catch_up);
        workflows.push(world.deploy(&files(&manifest)).await.unwrap());
    }
    world.flow.stop(Duration::from_secs(5)).await;
    clock.set(monday().plus(Duration::from_mins(150)));
    world.flow = world.another_node().await;
    let next = monday().plus(Duration::from_hours(3));
    for workflow in &workflows {
        until_next(&world, *workflow, next).await;
    }
    let at =
        |hours: u64| i64::try_from(monday().plus(Duration::from_hours(hours)).as_secs()).unwrap();
    assert_eq!(times(&world, workflows[0]).await, [at(2)]);
    assert_eq!(times(&world, workflows[1]).await, [0_i64; 0]);
    assert_eq!(times(&world, workflows[2]).await, [at(0), at(1), at(2)]);
    world.stop().await;
}

async fn a_clock_that_goes_back_fires_nothing_twice(database: TestDatabase) {
    let clock = clock();
    let world = World::on(database, &clock).await;
    let manifest = patient("trigger: { schedule: { cron: '* * * * *' } }");
    let workflow = world.deploy(&files(&manifest)).await.unwrap();
    clock.set(monday());
    until_fired(&world, workflow, 1).await;
    clock.set(monday().minus(Duration::from_secs(30)));
    // The same moment comes again, and then the next minute, which fires.
    clock.set(monday().plus(Duration::from_secs(1)));
    clock.set(monday().plus(Duration::from_mins(1)));
    until_fired(&world, workflow, 2).await;
    let first = i64::try_from(monday().as_secs()).unwrap();
    assert_eq!(times(&world, workflow).await, [first, first + 60]);
    world.stop().await;
}

async fn many_that_are_due_at_once_all_fire(database: TestDatabase) {
    let clock = clock();
    let world = World::on(database, &clock).await;
    let manifest = patient("trigger: { schedule: { cron: '0 9 * * *', timezone: Europe/Berlin } }");
    let workflow = world.deploy(&files(&manifest)).await.unwrap();
    // More than one transaction takes.
    let template = rows(&world, workflow).await.remove(0);
    let mut tx = world.store().write(causeway_types::Actor::Machine).await.unwrap();
    for n in 1..1_200 {
        let id = causeway_types::TriggerId::generate(SystemClock.now(), &causeway_types::OsRandom);
        let one = Schedule { id, name: format!("s{n}"), ..template.clone() };
        db!(tx, schedule::insert(&one)).unwrap();
    }
    tx.commit_bookkeeping(causeway_store::Bookkeeping::Journal).await.unwrap();
    clock.set(monday());
    until_fired(&world, workflow, 1_200).await;
    until_next(&world, workflow, monday().plus(Duration::from_hours(24))).await;
    world.stop().await;
}

async fn an_event_that_finds_the_queue_full_is_kept_as_a_dead_letter(database: TestDatabase) {
    let clock = clock();
    let world = World::on(database, &clock).await;
    // Nobody lets these through, so that they stay in the queue.
    let manifest = "name: narrow
trigger: { schedule: { cron: '* * * * *', catch_up: all } }
throttle: { limit: 1, per: 365d }
queue: { limit: 3 }
steps: [{ name: a, run: ./a.mjs }]";
    let workflow = world.deploy(&files(manifest)).await.unwrap();
    clock.set(monday().plus(Duration::from_mins(9)));
    let ids = until_fired(&world, workflow, 10).await;
    let mut dead = 0;
    for id in ids {
        let (one, _) = world.flow.invocation(&world.permit(), id).await.unwrap();
        if one.state == InvocationState::Dead {
            assert_eq!(one.error_code.as_deref(), Some("queue_full"));
            assert!(one.finished_at.is_some());
            let why = world.flow.explain(&world.permit(), &one, &[]).await.unwrap();
            assert!(
                why.contains("queue was full") && why.contains("causeway replay inv_"),
                "{why}"
            );
            dead += 1;
        }
    }
    assert_eq!(dead, 7, "three are in the queue");
    world.stop().await;
}

/// How long two nodes go on: less than a lease, so that neither takes the other for dead.
const SECONDS: usize = 12;

/// Two nodes on one database: only PostgreSQL has several.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_fire_each_time_once() {
    let clock = clock();
    let world = World::on(TestDatabase::postgres().await, &clock).await;
    let other = world.another_node().await;
    let mut workflows = Vec::new();
    for n in 0..8 {
        let manifest = patient("trigger: { schedule: { every: 1s, catch_up: all } }");
        let manifest = manifest.replace("patient", &format!("patient-{n}"));
        workflows.push(world.deploy(&files(&manifest)).await.unwrap());
    }
    let start: Vec<Timestamp> = {
        let mut all = Vec::new();
        for workflow in &workflows {
            all.push(rows(&world, *workflow).await[0].next_at);
        }
        all
    };
    for second in 1..=SECONDS {
        clock.advance(Duration::from_secs(1));
        for workflow in &workflows {
            until_fired(&world, *workflow, second).await;
        }
    }
    for (workflow, first) in workflows.iter().zip(start) {
        let mut seen = times(&world, *workflow).await;
        seen.sort_unstable();
        let first = i64::try_from(first.as_secs()).unwrap();
        assert_eq!(seen, (first..first + i64::try_from(SECONDS).unwrap()).collect::<Vec<_>>());
    }
    other.stop(Duration::from_secs(5)).await;
    world.stop().await;
}
