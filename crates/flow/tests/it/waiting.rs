//! Invocations that wait: for the next attempt at a step, and because the workflow says so.

use crate::kit::{World, returned};
use causeway_flow::{FlowError, StepView};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{InvocationState, StepState};
use serde_json::json;
use std::time::Duration;

on_both!(
    a_step_that_fails_is_tried_again_until_it_succeeds,
    attempts_come_to_an_end,
    only_the_failures_that_are_named_are_tried_again,
    a_limit_is_tried_again_if_that_is_asked_for,
    a_delay_holds_the_next_step_and_nothing_else,
    who_waits_goes_on_after_a_restart,
    what_waits_can_be_canceled,
    what_runs_can_be_canceled,
);

/// A workflow with these lines of a manifest, and this code in `a.mjs`; `b.mjs` returns what step
/// `a` exported.
fn files<'a>(manifest: &'a str, code: &'a str) -> [(&'a str, &'a str); 3] {
    [
        ("workflow.yaml", manifest),
        ("a.mjs", code),
        ("b.mjs", "export default ({ steps }) => steps.a?.made ?? null"),
    ]
}

fn manifest(rest: &str) -> String {
    format!("name: waiting\ntrigger: {{ http: {{ auth: none }} }}\n{rest}")
}

/// Each step: its name, its attempt, and the code of its failure.
fn shape(steps: &[StepView]) -> Vec<(&str, i64, Option<&str>)> {
    steps
        .iter()
        .map(|one| (one.step.name.as_str(), one.step.attempt, one.step.error_code.as_deref()))
        .collect()
}

async fn a_step_that_fails_is_tried_again_until_it_succeeds(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(
        "retry: { attempts: 3 }
steps: [{ name: first, run: ./b.mjs }, { name: a, run: ./a.mjs }, { name: b, run: ./b.mjs }]",
    );
    let code = "export default ({ $ }) => {
        console.log($.context.idempotency_key);
        if ($.context.attempt < 3) throw new Error(`attempt ${$.context.attempt}`);
        $.export('made', $.context.attempt);
    }";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    let (invocation, steps) = world.run_whole(workflow).await;
    let failed = Some("user_error");
    assert_eq!(
        shape(&steps),
        [("first", 1, None), ("a", 1, failed), ("a", 2, failed), ("a", 3, None), ("b", 1, None)]
    );
    assert_eq!(
        (invocation.state, invocation.attempts, invocation.wake_at, invocation.error_code),
        (InvocationState::Succeeded, 0, None, None)
    );
    assert_eq!(returned(&steps[4]), json!(3), "later steps see the attempt that succeeded");
    assert!(steps[1].record.error.as_ref().unwrap().message.contains("attempt 1"));
    let keys: Vec<_> = steps[1..4].iter().map(|one| one.record.logs[0].text.as_str()).collect();
    assert_eq!(keys, [keys[0]; 3], "whoever is called twice can tell");
    for (before, after) in [(1, 2), (2, 3)] {
        let waited = steps[after].step.started_at.since(steps[before].step.finished_at);
        assert!(waited >= Duration::from_millis(500), "half of a second at least: {waited:?}");
    }
    world.stop().await;
}

async fn attempts_come_to_an_end(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest("steps: [{ name: a, run: ./a.mjs, retry: { attempts: 2 } }]");
    let code = "export default () => { throw new Error('always') }";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    let (invocation, steps) = world.run_whole(workflow).await;
    assert_eq!(shape(&steps), [("a", 1, Some("user_error")), ("a", 2, Some("user_error"))]);
    assert_eq!(
        (invocation.state, invocation.error_code.as_deref()),
        (InvocationState::Failed, Some("user_error"))
    );
    world.stop().await;
}

async fn only_the_failures_that_are_named_are_tried_again(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for (line, code, expected) in [
        ("retry: { attempts: 3, on: [time_limit] }", "throw new Error()", "user_error"),
        ("retry: { attempts: 3 }", "return { big: 1n }", "exports_not_json"),
        ("retry: { attempts: 1 }", "throw new Error()", "user_error"),
    ] {
        let manifest = manifest(&format!(
            "retry: {{ attempts: 3 }}\nsteps: [{{ name: a, run: ./a.mjs, {line} }}]"
        ));
        let code = format!("export default () => {{ {code} }}");
        let workflow = world.deploy(&files(&manifest, &code)).await.unwrap();
        let (_, steps) = world.run_whole(workflow).await;
        assert_eq!(shape(&steps), [("a", 1, Some(expected))], "{line}");
    }
    world.stop().await;
}

async fn a_limit_is_tried_again_if_that_is_asked_for(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(
        "limits: { wall_seconds: 2 }
steps: [{ name: a, run: ./a.mjs, retry: { attempts: 2, on: [time_limit] } }]",
    );
    let code = "export default ({ $ }) => $.context.attempt === 2 || new Promise(() => setInterval(() => {}, 1000))";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    let (invocation, steps) = world.run_whole(workflow).await;
    assert_eq!(shape(&steps), [("a", 1, Some("time_limit")), ("a", 2, None)]);
    assert_eq!(invocation.state, InvocationState::Succeeded);
    world.stop().await;
}

async fn a_delay_holds_the_next_step_and_nothing_else(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest(
        "steps: [{ name: a, run: ./a.mjs }, { name: pause, delay: 2s }, { name: b, run: ./b.mjs }]",
    );
    let code = "export default ({ $ }) => { $.export('made', 7) }";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    // More than run at a time here: whoever waits takes no place.
    let mut all = Vec::new();
    for _ in 0..6 {
        all.push(world.begin(workflow).await);
    }
    for id in &all {
        let is_waiting = |state| state == InvocationState::Waiting;
        let (invocation, steps) =
            world.until(*id, |one| is_waiting(one.state) || one.state.is_final()).await;
        assert_eq!(shape(&steps)[..2], [("a", 1, None), ("pause", 1, None)]);
        if is_waiting(invocation.state) {
            assert_eq!(
                invocation.wake_at,
                Some(steps[1].step.finished_at.plus(Duration::from_secs(2)))
            );
        }
    }
    for id in all {
        let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
        assert_eq!(invocation.state, InvocationState::Succeeded);
        assert_eq!(shape(&steps), [("a", 1, None), ("pause", 1, None), ("b", 1, None)]);
        let waited = steps[2].step.started_at.since(steps[1].step.finished_at);
        assert!(waited >= Duration::from_secs(2), "{waited:?}");
        assert_eq!(returned(&steps[2]), json!(7));
    }
    world.stop().await;
}

async fn who_waits_goes_on_after_a_restart(database: TestDatabase) {
    let mut world = World::new(database, &[]).await;
    let manifest = manifest(
        "steps: [{ name: a, run: ./a.mjs }, { name: pause, delay: 3s }, { name: b, run: ./b.mjs }]",
    );
    let code = "export default ({ $ }) => { $.export('made', 7) }";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    let id = world.begin(workflow).await;
    world.until(id, |one| one.state == InvocationState::Waiting).await;
    world.restart().await;
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    assert_eq!(returned(&steps[2]), json!(7));
    assert_eq!(steps.len(), 3, "what had ended has not run again");
    world.stop().await;
}

async fn what_waits_can_be_canceled(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest("steps: [{ name: pause, delay: 365d }, { name: a, run: ./a.mjs }]");
    let workflow = world.deploy(&files(&manifest, "export default () => 1")).await.unwrap();
    let id = world.begin(workflow).await;
    world.until(id, |one| one.state == InvocationState::Waiting).await;
    let deleted = world.flow.delete(&world.permit(), id).await;
    assert!(matches!(deleted, Err(FlowError::Active(_))), "{deleted:?}");
    world.flow.cancel(&world.permit(), id).await.unwrap();
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!((invocation.state, invocation.wake_at), (InvocationState::Canceled, None));
    assert_eq!(steps.len(), 1);
    assert!(invocation.finished_at.is_some());
    let again = world.flow.cancel(&world.permit(), id).await;
    assert!(matches!(again, Err(FlowError::Ended(_))), "{again:?}");
    world.flow.delete(&world.permit(), id).await.unwrap();
    world.stop().await;
}

async fn what_runs_can_be_canceled(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let manifest = manifest("steps: [{ name: a, run: ./a.mjs }, { name: b, run: ./b.mjs }]");
    let code = "export default () => new Promise(() => setInterval(() => {}, 1000))";
    let workflow = world.deploy(&files(&manifest, code)).await.unwrap();
    // As many as run at a time, so that each has its sandbox or waits for one.
    let ids =
        [world.begin(workflow).await, world.begin(workflow).await, world.begin(workflow).await];
    for id in ids {
        world.flow.cancel(&world.permit(), id).await.unwrap();
        let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
        assert_eq!((invocation.state, steps.len()), (InvocationState::Canceled, 0));
        assert_eq!(invocation.owner, None);
    }
    // Their places are free before their steps' time is over.
    let quick = files(&manifest, "export default () => 1");
    let workflow = world.deploy(&quick).await.unwrap();
    let (invocation, steps) = world.run_whole(workflow).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    assert!(steps.iter().all(|one| one.step.state == StepState::Succeeded));
    world.stop().await;
}
