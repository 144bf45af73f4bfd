//! Workflows that run, in real sandboxes.

use crate::kit::{Answer, Json, Setup, World};
use axum::body::Body;
use axum::http::{Method, Request};
use causeway_store::testing::TestDatabase;
use causeway_store::{Journal, JournalOp, on_both};
use causeway_types::entity::{Event, Gate, Invocation, InvocationState, TriggerKind};
use causeway_types::{
    Clock, EventId, InvocationId, OsRandom, Place, Timestamp, VersionId, WorkflowId,
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_workflow_runs_and_is_followed,
    a_step_answers_the_caller_of_the_trigger,
    a_stream_shows_what_comes_late,
);

fn running() -> Setup {
    Setup { concurrency: 2, ..Setup::default() }
}

/// Waits until no invocation is under way.
pub(crate) async fn all_end(world: &World) {
    let mut notices = world.flow.notices();
    loop {
        let mut open = 0;
        for state in ["queued", "running"] {
            let page = world.get(&format!("/api/v1/invocations?state={state}")).await.ok();
            open += page["data"].as_array().unwrap().len();
        }
        if open == 0 {
            return;
        }
        // Each end is announced.
        let news = tokio::time::timeout(Duration::from_secs(30), notices.recv()).await;
        assert!(news.is_ok(), "{open} invocations are stored and nobody runs them");
    }
}

/// Follows an invocation to its end.
async fn follow(world: &World, query: &str) -> Vec<Value> {
    let path = format!("/api/v1/invocations/tail?{query}");
    let response = world.open(world.request(Method::GET, &path, None)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn a_workflow_runs_and_is_followed(database: TestDatabase) {
    let world = World::with(database, running()).await;
    world.connection("acme-crm").await;
    let manifest = "name: hello\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: first, run: ./first.mjs, connections: { crm: acme-crm } }\n  - { name: second, run: ./second.mjs }\n";
    let first = "export default ({ event, connections, $ }) => { console.log('key', connections.crm.$auth.api_key); $.export('n', event.n + 1); return { seen: event }; }";
    let second = "export default ({ steps }) => { if (steps.first.n > 10) throw new RangeError('too many'); return steps.first.n; }";
    let files = [("workflow.yaml", manifest), ("first.mjs", first), ("second.mjs", second)];
    let workflow = world.deploy_files(&files).await.ok().text("workflow_id");
    let events = format!("/api/v1/workflows/{workflow}/events");
    let run = async |n: i32| {
        let answer = world.post(&events, &json!({ "event": { "n": n } })).await.ok();
        answer.text("invocation_id")
    };

    let id = run(1).await;
    let news = follow(&world, &format!("invocation_id={id}")).await;
    let types: Vec<String> = news.iter().map(|one| one.text("type")).collect();
    assert_eq!(types.iter().filter(|kind| *kind == "step").count(), 2, "{types:?}");
    assert_eq!(news.last().unwrap()["invocation"]["state"], "succeeded");
    let shown = world.get(&format!("/api/v1/invocations/{id}")).await.ok();
    assert_eq!((&shown["state"], &shown["error_code"]), (&json!("succeeded"), &Value::Null));
    assert_eq!(shown["steps"][0]["return_value"], json!({ "seen": { "n": 1 } }));
    assert_eq!(shown["steps"][0]["exports"], json!({ "n": 2 }));
    assert_eq!(shown["steps"][1]["return_value"], 2);
    let log = shown["steps"][0]["logs"][0].text("text");
    assert!(log.starts_with("key ") && !log.contains(&world.demo.api_key()), "{log}");

    let id = run(10).await;
    follow(&world, &format!("invocation_id={id}")).await;
    let shown = world.get(&format!("/api/v1/invocations/{id}")).await.ok();
    assert_eq!(
        (shown.text("state"), shown.text("error_code")),
        ("failed".into(), "user_error".into())
    );
    let error = &shown["steps"][1]["error"];
    assert!(error.text("message").contains("too many"), "{error}");
    assert!(error.text("stack").contains("second.mjs:1"), "{error}");
    world.delete(&format!("/api/v1/invocations/{id}")).await.ok();
    world
        .get(&format!("/api/v1/invocations/tail?invocation_id={id}"))
        .await
        .problem(404, "not_found");
    world.stop().await;
}

async fn a_step_answers_the_caller_of_the_trigger(database: TestDatabase) {
    let world = World::with(database, running()).await;
    let manifest = "name: answers\ntrigger: { http: { auth: none, response: workflow } }\nsteps: [{ name: s, run: ./s.mjs }]\n";
    let code = "export default ({ event, $ }) => {
  if (event.body === 'throw') throw new Error('no');
  if (event.body === 'silent') return;
  $.respond({ status: 418, headers: { 'x-mine': 'yes', 'set-cookie': 'a=b', 'content-type': 'text/html' }, body: '<b>' + event.body + '</b>' });
}";
    let deployed = world.deploy_files(&[("workflow.yaml", manifest), ("s.mjs", code)]).await.ok();
    let url: url::Url = deployed.text("trigger_url").parse().unwrap();
    let send = async |body: &'static str| -> Answer {
        world.send(Request::post(url.path()).body(Body::from(body)).unwrap()).await
    };
    let answer = send("tea").await;
    assert_eq!((answer.status, answer.html()), (418, "<b>tea</b>"));
    assert_eq!((answer.header("x-mine"), answer.header("set-cookie")), ("yes", ""));
    assert!(answer.header("content-security-policy").starts_with("sandbox "));
    assert!(!answer.header("content-security-policy").contains("allow-same-origin"));
    let silent = send("silent").await;
    assert_eq!(silent.status, 200);
    silent.json().text("invocation_id");
    let failed = send("throw").await;
    let detail = failed.problem(502, "workflow_failed");
    assert!(detail.contains("user_error"), "{detail}");
    world.stop().await;
}

/// The news of a stream that has no end, as they come.
struct News {
    body: Body,
    text: String,
}

impl News {
    async fn of(world: &World, query: &str) -> Self {
        let path = format!("/api/v1/invocations/tail?{query}");
        let response = world.open(world.request(Method::GET, &path, None)).await;
        assert_eq!(response.status(), 200);
        Self { body: response.into_body(), text: String::new() }
    }

    #[track_caller]
    fn next(&mut self) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let read = tokio::time::timeout(Duration::from_secs(30), self.read()).await;
            read.unwrap_or_else(|_| panic!("{place}: no news; the last were {:?}", self.text))
        }
    }

    async fn read(&mut self) -> Value {
        loop {
            if let Some((one, rest)) = self.text.split_once("\n\n") {
                let (one, rest) = (one.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(data) = one.strip_prefix("data: ") {
                    return serde_json::from_str(data).unwrap();
                }
                continue;
            }
            let bytes = self.body.frame().await.unwrap().unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

/// Two commits may change places: an invocation with an older id may come up after a newer one.
async fn a_stream_shows_what_comes_late(database: TestDatabase) {
    let world = World::new(database).await;
    let deployed = world.deploy("hello").await;
    let other = world.deploy("other").await.text("workflow_id");
    let workflow: WorkflowId = deployed.text("workflow_id").parse().unwrap();
    let run = async |workflow: &str| {
        let path = format!("/api/v1/workflows/{workflow}/events");
        world.post(&path, &json!({ "event": {} })).await.ok().text("invocation_id")
    };
    let old = run(&workflow.to_string()).await;
    world.clock.advance(Duration::from_millis(500));
    let mut news = News::of(&world, &format!("workflow_id={workflow}")).await;
    world.clock.advance(Duration::from_millis(500));
    let id_of = |news: Value| news["invocation"].text("id");

    // Not what was there before, and not what belongs to another workflow.
    run(&other).await;
    let newer = run(&workflow.to_string()).await;
    assert_eq!(id_of(news.next().await), newer);

    let earlier = world.clock.now().minus(Duration::from_millis(200));
    let version = deployed.text("version_id").parse().unwrap();
    let late = late_invocation(&world, workflow, version, earlier).await;
    assert!(old < late && late < newer);
    assert_eq!(id_of(news.next().await), late);
    world.clock.advance(Duration::from_millis(5));
    let newest = run(&workflow.to_string()).await;
    assert_eq!(id_of(news.next().await), newest, "each is told once");

    // From a place on, and from the first step of one.
    let mut after = News::of(&world, &format!("workflow_id={workflow}&after={newer}")).await;
    assert_eq!(id_of(after.next().await), newest);
    let mut one = News::of(&world, &format!("invocation_id={old}")).await;
    assert_eq!(id_of(one.next().await), old);
}

/// Stores an invocation whose id was made at another time.
async fn late_invocation(
    world: &World,
    workflow: WorkflowId,
    version: VersionId,
    at: Timestamp,
) -> String {
    let tenant = world.tenant;
    let id = EventId::generate(at, &OsRandom);
    let event = Event {
        id,
        workspace_id: tenant.workspace,
        environment_id: tenant.environment,
        workflow_id: workflow,
        trigger_kind: TriggerKind::Http,
        trigger_name: "http".into(),
        dedupe_key: None,
        body: world.vault.seal(tenant.workspace, &Place::EventBody(id), b"{}").await.unwrap(),
        received_at: at,
    };
    let invocation = Invocation {
        id: InvocationId::generate(at, &OsRandom),
        workspace_id: tenant.workspace,
        environment_id: tenant.environment,
        workflow_id: workflow,
        version_id: version,
        event_id: id,
        replay_of: None,
        parent_id: None,
        item_index: None,
        waits_for: None,
        state: InvocationState::Queued,
        gate: Gate::Open,
        next_step: 0,
        attempts: 0,
        wake_at: None,
        error_code: None,
        tier: None,
        owner: Some(world.flow.node()),
        fence: 1,
        response: None,
        created_at: at,
        started_at: None,
        finished_at: None,
    };
    let stored = invocation.id.to_string();
    let journal = Journal::start(world.store(), world.flow.node());
    journal.write(JournalOp::Accept { tenant, event, invocation }).await.unwrap();
    stored
}
