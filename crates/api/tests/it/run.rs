//! Workflows that run, in real sandboxes.

use crate::kit::{Answer, Json, Setup, World};
use axum::body::Body;
use axum::http::Request;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::time::Duration;

on_both!(a_workflow_runs_and_is_followed, a_step_answers_the_caller_of_the_trigger);

const RUNNING: Setup =
    Setup { public_url: "http://127.0.0.1:8400", concurrency: 2, queue_limit: 1000 };

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
    let response = world.open(world.request(axum::http::Method::GET, &path, None)).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&body).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn a_workflow_runs_and_is_followed(database: TestDatabase) {
    let world = World::with(database, RUNNING).await;
    world.connection("acme-crm").await;
    let manifest = "name: hello\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: first, run: ./first.mjs, connections: { crm: acme-crm } }\n  - { name: second, run: ./second.mjs }\n";
    let first = "export default ({ event, connections, $ }) => { console.log('key', connections.crm.$auth.api_key); $.export('n', event.n + 1); return { seen: event }; }";
    let second = "export default ({ steps }) => { if (steps.first.n > 10) throw new RangeError('too many'); return steps.first.n; }";
    let files =
        [("workflow.yaml", manifest), ("first.mjs", first), ("second.mjs", second)];
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
    assert_eq!((shown.text("state"), shown.text("error_code")), ("failed".into(), "user_error".into()));
    let error = &shown["steps"][1]["error"];
    assert!(error.text("message").contains("too many"), "{error}");
    assert!(error.text("stack").contains("second.mjs:1"), "{error}");
    world.delete(&format!("/api/v1/invocations/{id}")).await.ok();
    world.get(&format!("/api/v1/invocations/tail?invocation_id={id}")).await.problem(404, "not_found");
    world.stop().await;
}

async fn a_step_answers_the_caller_of_the_trigger(database: TestDatabase) {
    let world = World::with(database, RUNNING).await;
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
