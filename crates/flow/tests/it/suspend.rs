//! Invocations that wait for somebody to call a link.

use crate::kit::{PUBLIC_URL, World, returned};
use causeway_flow::LinkKind;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{InvocationState, WaitsFor};
use causeway_types::{Code, Coded};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    who_is_suspended_goes_on_with_what_the_link_brings,
    a_link_is_good_once,
    who_is_not_resumed_in_time_ends,
    a_cancel_link_ends_it,
    a_delay_in_code_ends_by_itself_or_by_its_link,
    the_last_step_and_an_item_can_wait_too,
    a_step_runs_again_as_it_asks,
    python_waits_alike,
);

fn manifest(steps: &str) -> String {
    format!("name: waits\ntrigger: {{ http: {{ auth: none }} }}\nsteps:\n{steps}")
}

const TWO: &str = "  - { name: ask, run: ./ask.mjs }
  - { name: last, value: '{{ steps.ask }}' }
";

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// The token at the end of a link of the first step.
fn token(value: &Value, name: &str) -> String {
    let (kind, token) = value[name].as_str().unwrap().rsplit_once('/').unwrap();
    assert_eq!(kind, format!("{PUBLIC_URL}/{}", name.trim_end_matches("_url")));
    assert_eq!(token.len(), 22, "128 bits");
    token.to_owned()
}

async fn begun(world: &World, code: &str) -> causeway_types::InvocationId {
    let files = [("workflow.yaml", &*manifest(TWO)), ("ask.mjs", code)];
    let workflow = world.deploy(&files).await.unwrap();
    world.begin(workflow).await
}

/// An invocation that waits for long, and the links of its first step.
async fn suspended(world: &World, code: &str) -> (causeway_types::InvocationId, Value) {
    let id = begun(world, code).await;
    let (invocation, steps) = world.until(id, |one| one.waits_for.is_some()).await;
    assert_eq!(invocation.state, InvocationState::Waiting);
    (id, returned(&steps[0]))
}

const SUSPEND: &str = "export default ({ $ }) => $.flow.suspend()";

async fn who_is_suspended_goes_on_with_what_the_link_brings(database: TestDatabase) {
    let mut world = World::new(database, &[]).await;
    let (id, links) = suspended(&world, SUSPEND).await;
    world.restart().await;
    let view = world.flow.suspended(LinkKind::Resume, &token(&links, "resume_url")).await.unwrap();
    assert_eq!((view.invocation, view.workflow.as_str()), (id, "waits"));
    let data = raw(&json!({ "approved": true }));
    let resume = token(&links, "resume_url");
    assert_eq!(world.flow.use_link(LinkKind::Resume, &resume, &data).await.unwrap(), id);
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!((invocation.state, invocation.waits_for), (InvocationState::Succeeded, None));
    assert_eq!(
        returned(&steps[1]),
        json!({ "$return_value": links, "$resume_data": { "approved": true } })
    );
    world.stop().await;
}

async fn a_link_is_good_once(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (id, links) = suspended(&world, SUSPEND).await;
    let (resume, cancel) = (token(&links, "resume_url"), token(&links, "cancel_url"));
    let null = raw(&Value::Null);
    for (kind, wrong) in [(LinkKind::Cancel, &resume), (LinkKind::Resume, &cancel)] {
        let refused = world.flow.use_link(kind, wrong, &null).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "each is good for one thing");
    }
    let flow = world.flow.clone();
    let both = tokio::join!(
        world.flow.use_link(LinkKind::Resume, &resume, &null),
        flow.use_link(LinkKind::Resume, &resume, &null)
    );
    let went = [both.0.is_ok(), both.1.is_ok()];
    assert_eq!(went.iter().filter(|one| **one).count(), 1, "{went:?}");
    world.until(id, |one| one.state.is_final()).await;
    for (kind, used) in [(LinkKind::Resume, &resume), (LinkKind::Cancel, &cancel)] {
        let refused = world.flow.use_link(kind, used, &null).await.unwrap_err();
        assert!(refused.public().contains("has been used"), "{}", refused.public());
        assert!(world.flow.suspended(kind, used).await.is_err());
    }
    let refused = world.flow.resume(&world.permit(), id, &null).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidRequest);
    world.stop().await;
}

async fn who_is_not_resumed_in_time_ends(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let id = begun(&world, "export default ({ $ }) => $.flow.suspend(1000)").await;
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(
        (invocation.state, invocation.error_code.as_deref(), steps.len()),
        (InvocationState::Canceled, Some("not_resumed"), 1)
    );
    let resume = token(&returned(&steps[0]), "resume_url");
    let null = raw(&Value::Null);
    let late = world.flow.use_link(LinkKind::Resume, &resume, &null);
    assert_eq!(late.await.unwrap_err().code(), Code::NotFound);
    world.stop().await;
}

async fn a_cancel_link_ends_it(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    for code in [SUSPEND, "export default ({ $ }) => $.flow.delay(3_600_000)"] {
        let (id, links) = suspended(&world, code).await;
        let cancel = token(&links, "cancel_url");
        world.flow.use_link(LinkKind::Cancel, &cancel, &raw(&Value::Null)).await.unwrap();
        let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
        assert_eq!((invocation.state, steps.len()), (InvocationState::Canceled, 1));
    }
    world.stop().await;
}

async fn a_delay_in_code_ends_by_itself_or_by_its_link(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let (id, links) = suspended(&world, "export default ({ $ }) => $.flow.delay(3_600_000)").await;
    let (waiting, _) = world.until(id, |_| true).await;
    assert_eq!(waiting.waits_for, Some(WaitsFor::Time));
    let resume = token(&links, "resume_url");
    world.flow.use_link(LinkKind::Resume, &resume, &raw(&json!(1))).await.unwrap();
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(invocation.state, InvocationState::Succeeded);
    assert_eq!(returned(&steps[1])["$resume_data"], 1);

    let id = begun(&world, "export default ({ $ }) => $.flow.delay(500.5)").await;
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(invocation.state, InvocationState::Succeeded, "nobody has to come");
    assert_eq!(returned(&steps[1]), json!({ "$return_value": returned(&steps[0]) }));
    assert!(steps[1].step.started_at >= steps[0].step.finished_at.plus(Duration::from_millis(500)));

    for bad in ["0", "-1", "'1'", "NaN", "Infinity", "366 * 86_400_000"] {
        let code = format!("export default ({{ $ }}) => $.flow.delay({bad})");
        let files = [("workflow.yaml", &*manifest(TWO)), ("ask.mjs", &code)];
        let workflow = world.deploy(&files).await.unwrap();
        let steps = world.run(workflow).await;
        let error = steps[0].record.error.as_ref().unwrap();
        assert!(error.message.contains("ms must be a number from 1 to"), "{}", error.message);
    }
    world.stop().await;
}

async fn the_last_step_and_an_item_can_wait_too(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "
  - name: each
    for_each:
      items: '{{ [1, 2] }}'
      concurrency: 2
      steps: [{ name: ask, value: '{{ $.flow.suspend() }}' }]
  - { name: ask_again, value: '{{ $.flow.suspend() }}' }
";
    let workflow = world.deploy(&[("workflow.yaml", &manifest(steps))]).await.unwrap();
    let id = world.begin(workflow).await;
    world.until(id, |one| one.waits_for == Some(WaitsFor::Items)).await;
    for (item, answer) in world.items(id).await.into_iter().zip([json!("a"), json!("b")]) {
        world.until(item.id, |one| one.waits_for == Some(WaitsFor::Resume)).await;
        world.flow.resume(&world.permit(), item.id, &raw(&answer)).await.unwrap();
    }
    let (_, steps) = world.until(id, |one| one.waits_for == Some(WaitsFor::Resume)).await;
    assert_eq!(steps[0].step.name, "each");
    assert_eq!(returned(&steps[0]).as_array().unwrap().len(), 2);
    world.flow.resume(&world.permit(), id, &raw(&Value::Null)).await.unwrap();
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!((invocation.state, steps.len()), (InvocationState::Succeeded, 2));
    world.stop().await;
}

async fn a_step_runs_again_as_it_asks(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let javascript = "export default ({ $ }) => {
  const { runs, context } = $.context.run;
  const seen = [...(context?.seen ?? []), runs];
  if (runs < 3) $.flow.rerun(100, { seen });
  return seen;
}";
    let python = "def handler(pd):
    run = pd.context['run']
    seen = (run.get('context') or {'seen': []})['seen'] + [run['runs']]
    if run['runs'] < 3:
        pd.flow.rerun(100, {'seen': seen})
    return seen
";
    for (file, code) in [("ask.mjs", javascript), ("ask.py", python)] {
        let steps = TWO.replace("ask.mjs", file);
        let files = [("workflow.yaml", &*manifest(&steps)), (file, code)];
        let workflow = world.deploy(&files).await.unwrap();
        let (invocation, steps) = world.run_whole(workflow).await;
        assert_eq!(invocation.state, InvocationState::Succeeded, "{:?}", steps[0].record.error);
        let codes: Vec<_> = steps.iter().map(|one| one.step.error_code.as_deref()).collect();
        assert_eq!(codes, [Some("rerun"), Some("rerun"), None, None], "{file}");
        assert_eq!(returned(&steps[3]), json!({ "$return_value": [1, 2, 3] }));
    }
    // As often as it may, and then it goes on.
    let code = "export default ({ $ }) => { $.flow.rerun(1, null, 1); return $.context.run.runs }";
    let id = begun(&world, code).await;
    let (invocation, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!((invocation.state, steps.len()), (InvocationState::Succeeded, 3));
    assert_eq!(returned(&steps[1]), 2);
    // Its link does not wait for the time.
    let code = "export default ({ $ }) => {
  const { runs, context, callback_request } = $.context.run;
  return runs === 1 ? $.flow.rerun(3_600_000, { job: 7 }) : { context, callback_request };
}";
    let (id, links) = suspended(&world, code).await;
    let resume = token(&links, "resume_url");
    world.flow.use_link(LinkKind::Resume, &resume, &raw(&json!({ "done": true }))).await.unwrap();
    let (_, steps) = world.until(id, |one| one.state.is_final()).await;
    let expected = json!({ "context": { "job": 7 }, "callback_request": { "done": true } });
    assert_eq!(returned(&steps[1]), expected);
    world.stop().await;
}

async fn python_waits_alike(database: TestDatabase) {
    let world = World::new(database, &[]).await;
    let steps = "  - { name: ask, run: ./ask.py }\n  - { name: last, value: '{{ steps.ask }}' }\n";
    let code = "def handler(pd):\n    return pd.flow.suspend(60_000)\n";
    let files = [("workflow.yaml", &*manifest(steps)), ("ask.py", code)];
    let workflow = world.deploy(&files).await.unwrap();
    let id = world.begin(workflow).await;
    let (_, steps) = world.until(id, |one| one.waits_for.is_some()).await;
    let links = returned(&steps[0]);
    let resume = token(&links, "resume_url");
    world.flow.use_link(LinkKind::Resume, &resume, &raw(&json!([]))).await.unwrap();
    let (_, steps) = world.until(id, |one| one.state.is_final()).await;
    assert_eq!(returned(&steps[1]), json!({ "$return_value": links, "$resume_data": [] }));
    world.stop().await;
}
