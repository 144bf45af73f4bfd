//! Loops, and lists of steps that run beside each other.

use crate::kit::{World, pool_config, returned};
use causeway_flow::{FlowConfig, StepView};
use causeway_sandbox::PoolConfig;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{Invocation, InvocationState, WaitsFor};
use causeway_types::{Code, Coded};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_loop_runs_once_for_each_item_in_order,
    as_many_items_run_at_a_time_as_may,
    a_loop_stops_at_an_item_that_fails,
    a_loop_goes_on_beside_items_that_fail,
    a_loop_can_be_broken_off,
    loops_stand_in_loops_and_beside_each_other,
    lists_beside_each_other_all_end,
    items_are_tried_again_and_wait_by_themselves,
    more_items_than_are_made_at_a_time,
    a_loop_goes_on_after_a_restart,
    a_loop_is_canceled_and_deleted_as_a_whole,
    what_a_loop_may_not_do_is_named,
);

fn manifest(steps: &str) -> String {
    format!("name: items\ntrigger: {{ http: {{ auth: none }} }}\nsteps:\n{steps}")
}

fn names(steps: &[StepView]) -> Vec<&str> {
    steps.iter().map(|one| one.step.name.as_str()).collect()
}

/// Runs a workflow of these steps; it has no other files.
async fn run(world: &World, steps: &str, event: &Value) -> (Invocation, Vec<StepView>) {
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    world.run_on(workflow, event).await
}

fn export(step: &StepView, name: &str) -> Value {
    let value = step.record.exports.get(name).map_or("null", |value| value.get());
    serde_json::from_str(value).unwrap()
}

const DOUBLE: &str = r#"
  - { name: factor, value: 2 }
  - name: each
    for_each:
      items: "{{ event.numbers }}"
      steps:
        - name: size
          branch:
            - if: "{{ steps.each.item > 10 }}"
              steps: [{ name: big, value: "big {{ steps.each.index }}" }]
            - steps: [{ name: small, value: "{{ steps.each.item * steps.factor.$return_value }}" }]
  - { name: last, value: "{{ [steps.each.$return_value, steps.each.succeeded, steps.size] }}" }
"#;

async fn a_loop_runs_once_for_each_item_in_order(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (invocation, steps) = run(&world, DOUBLE, &json!({ "numbers": [1, 20, 3] })).await;
    assert_eq!(invocation.state, InvocationState::Succeeded, "{:?}", invocation.error_code);
    assert_eq!(names(&steps), ["factor", "each", "last"]);
    assert_eq!(
        returned(&steps[2]),
        json!([[2, "big 1", 6], 3, null]),
        "what is in a loop is its items' own"
    );
    let items = world.items(invocation.id).await;
    let shape = |one: &Invocation| (one.item_index, one.parent_id, one.state);
    let is = |index| (Some(index), Some(invocation.id), InvocationState::Succeeded);
    assert_eq!(items.iter().map(shape).collect::<Vec<_>>(), [is(0), is(1), is(2)]);
    let finished: Vec<_> = items.iter().map(|one| one.finished_at.unwrap()).collect();
    assert!(finished.is_sorted(), "one at a time, in order");
    let (_, of_item) = world.until(items[1].id, |one| one.state.is_final()).await;
    assert_eq!(names(&of_item), ["size", "big"]);

    let (_, steps) = run(&world, DOUBLE, &json!({ "numbers": [] })).await;
    assert_eq!(returned(&steps[2]), json!([[], 0, null]));
    world.stop().await;
}

/// With more room for sandboxes than the loop may take.
async fn roomy(database: TestDatabase) -> World {
    let pool = PoolConfig { max_sandboxes: 4, max_per_version: 4, ..pool_config() };
    World::with(database, &[], pool, FlowConfig { concurrency: 4, ..FlowConfig::default() }).await
}

async fn as_many_items_run_at_a_time_as_may(database: TestDatabase) {
    let world = roomy(database).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [...Array(12).keys()] }}'
      concurrency: 2
      steps: [{ name: one, value: '{{ steps.each.item }}' }, { name: two, value: '{{ steps.one.$return_value }}' }]
";
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    let mut notices = world.flow.notices();
    let id = world.begin(workflow).await;
    let mut most = 0;
    loop {
        let items = world.items(id).await;
        let is_on = |one: &&Invocation| {
            matches!(one.state, InvocationState::Queued | InvocationState::Running)
        };
        let on = items.iter().filter(is_on).count();
        assert!(on <= 2, "{on} are under way");
        most = most.max(on);
        let waits = |one: &&Invocation| one.waits_for == Some(WaitsFor::Turn);
        let is_last = items.len() == 12 && items.iter().all(|one| one.state.is_final());
        if is_last {
            break;
        }
        assert_eq!(items.iter().filter(waits).count() + on + ended(&items), items.len());
        tokio::time::timeout(Duration::from_mins(1), notices.recv()).await.unwrap().unwrap();
    }
    assert_eq!(most, 2, "two at a time, and not one after the other");
    let (_, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(returned(&steps[0]), json!((0..12).collect::<Vec<_>>()));
    world.stop().await;
}

fn ended(items: &[Invocation]) -> usize {
    items.iter().filter(|one| one.state.is_final()).count()
}

const THIRD_FAILS: &str = "
  - name: each
    for_each:
      items: '{{ event }}'
      RULE
      steps:
        - { name: one, value: '{{ steps.each.item }}' }
        - { name: two, value: 'got {{ steps.one.$return_value === 3 ? nothing : steps.one.$return_value }}' }
  - { name: last, value: '{{ steps.each }}' }
";

async fn a_loop_stops_at_an_item_that_fails(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (invocation, steps) =
        run(&world, &THIRD_FAILS.replace("RULE", ""), &json!([1, 2, 3, 4, 5])).await;
    assert_eq!(
        (invocation.state, invocation.error_code.as_deref()),
        (InvocationState::Failed, Some("item_failed"))
    );
    assert_eq!(names(&steps), ["each"]);
    let items = world.items(invocation.id).await;
    let states: Vec<_> = items.iter().map(|one| one.state.as_str()).collect();
    assert_eq!(states, ["succeeded", "succeeded", "failed", "canceled", "canceled"]);
    assert_eq!(items[2].error_code.as_deref(), Some("user_error"));
    assert_eq!(items[3].started_at, None, "it was never begun");
    let message = &steps[0].record.error.as_ref().unwrap().message;
    let expected = format!("item 2 failed with user_error: see invocation {}", items[2].id);
    assert_eq!(message, &expected);
    world.stop().await;
}

async fn a_loop_goes_on_beside_items_that_fail(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let rule = "on_error: continue";
    let (invocation, steps) =
        run(&world, &THIRD_FAILS.replace("RULE", rule), &json!([1, 3, 4, 3])).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    let items = world.items(invocation.id).await;
    assert_eq!(
        returned(&steps[1]),
        json!({
            "$return_value": ["got 1", null, "got 4", null],
            "succeeded": 2,
            "failed": 2,
            "failures": [
                { "index": 1, "code": "user_error", "invocation_id": items[1].id },
                { "index": 3, "code": "user_error", "invocation_id": items[3].id },
            ],
        })
    );
    let rule = "{ on_error: continue, collect: false }";
    let lines = rule.trim_matches(['{', '}', ' ']).replace(", ", "\n      ");
    let (_, steps) = run(&world, &THIRD_FAILS.replace("RULE", &lines), &json!([1, 4])).await;
    assert_eq!(returned(&steps[1]), json!({ "succeeded": 2, "failed": 0 }));
    world.stop().await;
}

async fn a_loop_can_be_broken_off(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ event }}'
      steps:
        - { name: odd, filter: '{{ steps.each.item % 2 === 1 }}' }
        - { name: enough, break: '{{ steps.each.item > 4 }}' }
        - { name: one, value: '{{ steps.each.item }}' }
  - { name: last, value: '{{ [steps.each.$return_value, steps.each.succeeded] }}' }
";
    let (invocation, steps) = run(&world, steps, &json!([1, 2, 3, 5, 7, 9])).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    assert_eq!(returned(&steps[1]), json!([[1, null, 3, null], 4]));
    let items = world.items(invocation.id).await;
    assert_eq!(items[4].state, InvocationState::Canceled);
    world.stop().await;
}

async fn loops_stand_in_loops_and_beside_each_other(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: rows
    for_each:
      items: '{{ event }}'
      concurrency: 2
      steps:
        - { name: start, value: 'row {{ steps.rows.index }}' }
        - name: cells
          for_each:
            items: '{{ steps.rows.item }}'
            concurrency: 2
            steps: [{ name: cell, value: '{{ steps.start.$return_value }}: {{ steps.cells.item }}{{ steps.cells.index }}' }]
        - name: both
          parallel:
            - { name: left, steps: [{ name: l, value: '{{ steps.cells.$return_value.length }}' }] }
            - { name: right, steps: [{ name: r, value: '{{ steps.rows.index }}' }] }
        - { name: done, value: '{{ [steps.cells.$return_value, steps.both.$return_value] }}' }
";
    let (_, steps) = run(&world, steps, &json!([["a", "b"], [], ["c"]])).await;
    assert_eq!(
        returned(&steps[0]),
        json!([
            [["row 0: a0", "row 0: b1"], { "left": 2, "right": 0 }],
            [[], { "left": 0, "right": 1 }],
            [["row 2: c0"], { "left": 1, "right": 2 }],
        ]),
        "{:?}",
        steps[0].record.error
    );
    world.stop().await;
}

async fn lists_beside_each_other_all_end(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - { name: before, value: 7 }
  - name: both
    parallel:
      - name: one
        steps: [{ name: pause, delay: 1s }, { name: a, value: '{{ steps.before.$return_value }}' }]
      - name: two
        steps: [{ name: b, value: '{{ event.bad ? nothing : 8 }}' }]
      - name: three
        steps: [{ name: c, filter: '{{ false }}' }, { name: never, value: 9 }]
  - { name: last, value: '{{ steps.both.$return_value }}' }
";
    let (invocation, ran) = run(&world, steps, &json!({})).await;
    assert_eq!(returned(&ran[2]), json!({ "one": 7, "two": 8, "three": null }));
    assert_eq!(invocation.state, InvocationState::Succeeded);
    let (invocation, ran) = run(&world, steps, &json!({ "bad": true })).await;
    assert_eq!(invocation.error_code.as_deref(), Some("arm_failed"));
    let message = &ran[1].record.error.as_ref().unwrap().message;
    assert!(message.starts_with("`two` failed with user_error"), "{message}");
    let items = world.items(invocation.id).await;
    assert_eq!(items[0].state, InvocationState::Succeeded, "the others come to their end");
    world.stop().await;
}

async fn items_are_tried_again_and_wait_by_themselves(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [0, 1] }}'
      concurrency: 2
      steps:
        - name: pause
          branch: [{ if: '{{ steps.each.item === 0 }}', steps: [{ name: wait, delay: 2s }] }]
        - { name: flaky, value: '{{ steps.each.item === 1 && $.context.attempt < 2 ? nothing : $.context.attempt }}', retry: { attempts: 2 } }
";
    let (invocation, steps) = run(&world, steps, &json!({})).await;
    assert_eq!(returned(&steps[0]), json!([1, 2]));
    let items = world.items(invocation.id).await;
    assert!(items[1].finished_at < items[0].finished_at, "who waits keeps nobody");
    world.stop().await;
}

async fn more_items_than_are_made_at_a_time(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [...Array(1050).keys()] }}'
      concurrency: 50
      steps: [{ name: one, value: '{{ steps.each.item }}' }]
";
    let (_, steps) = run(&world, steps, &json!({})).await;
    assert_eq!(returned(&steps[0]), json!((0..1050).collect::<Vec<_>>()));
    assert_eq!(export(&steps[0], "succeeded"), json!(1050));
    world.stop().await;
}

async fn a_loop_goes_on_after_a_restart(database: TestDatabase) {
    let mut world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [1, 2, 3, 4] }}'
      concurrency: 3
      steps: [{ name: pause, delay: 4s }, { name: one, value: '{{ steps.each.item }}' }]
  - { name: last, value: '{{ steps.each.$return_value }}' }
";
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    let id = world.begin(workflow).await;
    let (waiting, _) = world.until(id, |one| one.waits_for == Some(WaitsFor::Items)).await;
    assert_eq!(waiting.state, InvocationState::Waiting);
    world.restart().await;
    let (_, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(returned(steps.last().unwrap()), json!([1, 2, 3, 4]));
    world.stop().await;
}

async fn a_loop_is_canceled_and_deleted_as_a_whole(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [1, 2, 3] }}'
      concurrency: 2
      steps:
        - name: inner
          for_each: { items: '{{ [1] }}', steps: [{ name: pause, delay: 1h }, { name: one, value: 1 }] }
";
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    let id = world.begin(workflow).await;
    world.until(id, |one| one.waits_for == Some(WaitsFor::Items)).await;
    let item = world.items(id).await[0].id;
    world.until(item, |one| one.waits_for == Some(WaitsFor::Items)).await;
    let inner = world.items(item).await[0].id;
    world.until(inner, |one| one.waits_for == Some(WaitsFor::Time)).await;

    for refused in [
        world.flow.cancel(&world.permit(), item).await.unwrap_err(),
        world.flow.delete(&world.permit(), item).await.unwrap_err(),
        world.flow.replay(&world.permit(), item).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::InvalidRequest);
        assert!(refused.public().contains(&format!("an item of {id}")), "{}", refused.public());
    }
    world.flow.cancel(&world.permit(), id).await.unwrap();
    for one in world.items(id).await {
        assert_eq!((one.state, one.waits_for), (InvocationState::Canceled, None));
    }
    let (inner_now, _) = world.until(inner, |one| one.state.is_final()).await;
    assert_eq!(inner_now.state, InvocationState::Canceled);
    world.flow.delete(&world.permit(), id).await.unwrap();
    for gone in [id, item, inner] {
        let found = world.flow.invocation(&world.permit(), gone).await;
        assert_eq!(found.err().unwrap().code(), Code::NotFound);
    }
    world.stop().await;
}

async fn what_a_loop_may_not_do_is_named(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [1] }}'
      steps: [{ name: answer, respond: { body: hello } }]
";
    let (invocation, _) = run(&world, steps, &json!({})).await;
    assert_eq!(invocation.error_code.as_deref(), Some("item_failed"));
    let item = &world.items(invocation.id).await[0];
    assert_eq!(item.error_code.as_deref(), Some("respond_in_item"));
    let steps = "
  - name: each
    for_each:
      items: '{{ [1, 2, 3] }}'
      steps: [{ name: much, value: \"{{ 'x'.repeat(600 * 1024) }}\" }]
";
    let (invocation, steps) = run(&world, steps, &json!({})).await;
    assert_eq!(invocation.error_code.as_deref(), Some("output_limit"));
    let message = &steps[0].record.error.as_ref().unwrap().message;
    assert!(message.contains("`collect: false`"), "{message}");
    world.stop().await;
}
