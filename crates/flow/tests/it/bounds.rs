//! What bounds a workflow: how many run, how many begin, how many wait.

use crate::kit::World;
use causeway_flow::{FlowError, InvocationFilter};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::{Gate, Invocation, InvocationState, WaitsFor};
use causeway_types::{Clock as _, InvocationId, ManualClock, SystemClock, WorkflowId};
use std::sync::Arc;
use std::time::Duration;

on_both!(
    no_more_run_than_may_and_in_their_order,
    who_waits_makes_room_and_comes_back_through_the_gate,
    what_is_canceled_makes_room,
    no_more_begin_than_the_throttle_lets,
    bounds_that_are_taken_away_let_everything_through,
    a_full_queue_refuses_or_keeps_dead_letters,
    who_waits_for_its_items_keeps_its_place,
);

fn files<'a>(manifest: &'a str, code: &'a str) -> [(&'a str, &'a str); 2] {
    [("workflow.yaml", manifest), ("a.mjs", code)]
}

fn manifest(rest: &str) -> String {
    format!("name: bound\ntrigger: {{ http: {{ auth: none }} }}\n{rest}")
}

const FOREVER: &str = "export default () => new Promise(() => setInterval(() => {}, 1000))";
const QUICK: &str = "export default ({ event }) => event";

async fn get(world: &World, id: InvocationId) -> Invocation {
    world.flow.invocation(&world.permit(), id).await.unwrap().0
}

async fn why(world: &World, id: InvocationId) -> String {
    let (one, steps) = world.flow.invocation(&world.permit(), id).await.unwrap();
    world.flow.explain(&world.permit(), &one, &steps).await.unwrap()
}

/// How many of a workflow's invocations are behind its gate, and how many were let through and run.
async fn at_the_gate(world: &World, workflow: WorkflowId) -> (usize, i64) {
    let mut conn = world.store().read().await.unwrap();
    let line = db!(conn, gate::in_line(workflow, 1_000)).unwrap();
    (line.len(), db!(conn, gate::running(workflow)).unwrap())
}

async fn begin(world: &World, workflow: WorkflowId, count: usize) -> Vec<InvocationId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(world.begin(workflow).await);
    }
    ids
}

async fn no_more_run_than_may_and_in_their_order(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest("concurrency: 1\nsteps: [{ name: a, run: ./a.mjs }]");
    let workflow = world.deploy(&files(&manifest, QUICK)).await.unwrap();
    let ids = begin(&world, workflow, 12).await;
    let mut ended = Vec::new();
    for id in &ids {
        let (one, _) = world.until(*id, |one| one.state.is_final()).await;
        assert_eq!((one.state, one.gate), (InvocationState::Succeeded, Gate::Passed));
        ended.push((one.started_at.unwrap(), one.finished_at.unwrap(), *id));
    }
    ended.sort_unstable();
    for pair in ended.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "one begins after the other's end: {pair:?}");
        assert!(pair[0].2 < pair[1].2, "and in the order of their events: {pair:?}");
    }
    assert_eq!(at_the_gate(&world, workflow).await, (0, 0));
    world.stop().await;
}

async fn who_waits_makes_room_and_comes_back_through_the_gate(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(
        "concurrency: 1
steps: [{ name: pause, delay: 1s }, { name: a, run: ./a.mjs }]",
    );
    let workflow = world.deploy(&files(&manifest, QUICK)).await.unwrap();
    let ids = begin(&world, workflow, 3).await;
    // All three wait at the same time, although one runs at a time.
    let mut waits = Vec::new();
    for id in &ids {
        let (one, steps) = world.until(*id, |one| one.state.is_final()).await;
        assert_eq!(one.state, InvocationState::Succeeded);
        waits.push((steps[0].step.finished_at, steps[1].step.started_at));
    }
    let begun_last = waits.iter().map(|wait| wait.0).max().unwrap();
    let went_on_first = waits.iter().map(|wait| wait.1).min().unwrap();
    assert!(begun_last < went_on_first, "{waits:?}");
    world.stop().await;
}

async fn what_is_canceled_makes_room(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest("concurrency: 1\nsteps: [{ name: a, run: ./a.mjs }]");
    let workflow = world.deploy(&files(&manifest, FOREVER)).await.unwrap();
    let ids = begin(&world, workflow, 3).await;
    world
        .eventually("the first to be let through", async || {
            (get(&world, ids[0]).await.gate == Gate::Passed).then_some(())
        })
        .await;
    assert_eq!(at_the_gate(&world, workflow).await, (2, 1));
    let said = why(&world, ids[2]).await;
    assert_eq!(
        said,
        "It is queued behind 1 other: its workflow runs 1 at a time (`concurrency`), and so many run."
    );
    world.flow.cancel(&world.permit(), ids[1]).await.unwrap();
    assert_eq!(at_the_gate(&world, workflow).await, (1, 1), "who was in line has left it");
    world.flow.cancel(&world.permit(), ids[0]).await.unwrap();
    world
        .eventually("the next one to be let through", async || {
            (at_the_gate(&world, workflow).await == (0, 1)).then_some(())
        })
        .await;
    world.flow.cancel(&world.permit(), ids[2]).await.unwrap();
    assert!(why(&world, ids[2]).await.starts_with("It was canceled at "));
    world.stop().await;
}

async fn no_more_begin_than_the_throttle_lets(database: TestDatabase) {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let world = World::on(database, &clock).await;
    let manifest = manifest("throttle: { limit: 2, per: 20s }\nsteps: [{ name: a, run: ./a.mjs }]");
    let workflow = world.deploy(&files(&manifest, QUICK)).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.begin(workflow).await);
        clock.advance(Duration::from_millis(1));
    }
    let behind = async |count| {
        world
            .eventually("the throttle to let some through", async || {
                (at_the_gate(&world, workflow).await.0 == count).then_some(())
            })
            .await;
    };
    behind(3).await;
    let said = why(&world, ids[4]).await;
    let expected = "It is queued behind 2 others: its workflow begins 2 in 20 s (`throttle`), and the next \
                    may begin at 20";
    assert!(said.starts_with(expected), "{said}");
    clock.advance(Duration::from_secs(10));
    behind(2).await;
    clock.advance(Duration::from_secs(5));
    world.flow.cancel(&world.permit(), ids[4]).await.unwrap();
    behind(1).await;
    clock.advance(Duration::from_secs(5));
    behind(0).await;
    for id in &ids[..4] {
        let (one, _) = world.until(*id, |one| one.state.is_final()).await;
        assert_eq!(one.state, InvocationState::Succeeded);
    }
    world.stop().await;
}

async fn bounds_that_are_taken_away_let_everything_through(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let rest = "steps: [{ name: pause, delay: 365d }, { name: a, run: ./a.mjs }]";
    let bounded = manifest(&format!("throttle: {{ limit: 1, per: 365d }}\n{rest}"));
    let workflow = world.deploy(&files(&bounded, QUICK)).await.unwrap();
    let ids = begin(&world, workflow, 4).await;
    world.until(ids[0], |one| one.state == InvocationState::Waiting).await;
    assert_eq!(at_the_gate(&world, workflow).await.0, 3);
    world.deploy(&files(&manifest(rest), QUICK)).await.unwrap();
    for id in ids {
        world.until(id, |one| one.state == InvocationState::Waiting).await;
    }
    world.stop().await;
}

async fn a_full_queue_refuses_or_keeps_dead_letters(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let bounds = "concurrency: 1\nqueue: { limit: 2, when_full: refuse }\nsteps: [{ name: a, run: ./a.mjs }]";
    let refusing = manifest(bounds);
    let workflow = world.deploy(&files(&refusing, FOREVER)).await.unwrap();
    let ids = begin(&world, workflow, 2).await;
    let event = serde_json::value::RawValue::from_string("{}".into()).unwrap();
    let refused = world.flow.run(&world.permit(), workflow, event).await;
    assert!(matches!(refused, Err(FlowError::QueueFull { queued: 2 })), "refused");

    world.deploy(&files(&refusing.replace("refuse", "dead_letter"), FOREVER)).await.unwrap();
    let letter = world.begin(workflow).await;
    let one = get(&world, letter).await;
    assert_eq!((one.state, one.error_code.as_deref()), (InvocationState::Dead, Some("queue_full")));
    let filter = InvocationFilter {
        workflow: Some(workflow),
        state: Some(InvocationState::Dead),
        parent: None,
    };
    let newest = "inv_7zzzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
    let dead = world.flow.invocations(&world.permit(), filter, newest, 10).await.unwrap();
    assert_eq!(dead.iter().map(|one| one.id).collect::<Vec<_>>(), [letter]);
    for id in ids {
        world.flow.cancel(&world.permit(), id).await.unwrap();
    }
    // Its event is there, and runs when there is room.
    let quick = refusing.replace("refuse", "dead_letter");
    world.deploy(&files(&quick, QUICK)).await.unwrap();
    let replayed = world.flow.replay(&world.permit(), letter).await.unwrap();
    let (one, _) = world.until(replayed, |one| one.state.is_final()).await;
    assert_eq!(one.state, InvocationState::Succeeded);
    world.stop().await;
}

/// Two nodes on one database: only PostgreSQL has several.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_together_run_no_more_than_may() {
    let world = World::new(TestDatabase::postgres().await, &[]).await;
    let other = world.another_node().await;
    let manifest = manifest("concurrency: 2\nsteps: [{ name: a, run: ./a.mjs }]");
    let workflow = world.deploy(&files(&manifest, QUICK)).await.unwrap();
    let ids = begin(&world, workflow, 30).await;
    let mut spans = Vec::new();
    for id in ids {
        world
            .eventually("the invocation to end", async || {
                get(&world, id).await.state.is_final().then_some(())
            })
            .await;
        let one = get(&world, id).await;
        assert_eq!(one.state, InvocationState::Succeeded);
        spans.push((one.started_at.unwrap(), one.finished_at.unwrap()));
    }
    for (start, _) in &spans {
        let at_it = spans.iter().filter(|(from, to)| from <= start && start < to).count();
        assert!(at_it <= 2, "{at_it} at a time");
    }
    other.stop(Duration::from_secs(5)).await;
    world.stop().await;
}

async fn who_waits_for_its_items_keeps_its_place(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = "name: one-by-one
trigger: { manual: {} }
concurrency: 1
steps:
  - name: each
    for_each: { items: '{{ [1, 2] }}', steps: [{ name: ask, value: '{{ $.flow.suspend() }}' }] }
  - { name: last, value: 1 }
";
    let workflow = world.deploy(&[("workflow.yaml", manifest)]).await.unwrap();
    let (first, second) = (world.begin(workflow).await, world.begin(workflow).await);
    for index in 0..2 {
        world.until(first, |one| one.waits_for == Some(WaitsFor::Items)).await;
        let item = world.items(first).await[index].id;
        world.until(item, |one| one.waits_for == Some(WaitsFor::Resume)).await;
        let (waiting, _) = world.until(second, |_| true).await;
        assert_eq!((waiting.state, waiting.gate), (InvocationState::Queued, Gate::Closed));
        let null = serde_json::value::RawValue::NULL;
        world.flow.resume(&world.permit(), item, null).await.unwrap();
    }
    world.until(first, |one| one.state.is_final()).await;
    world.until(second, |one| one.waits_for == Some(WaitsFor::Items)).await;
    world.stop().await;
}
