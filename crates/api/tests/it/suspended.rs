//! The links with which somebody ends a workflow's wait.

use crate::kit::{Answer, Json, Setup, World, value};
use crate::run::all_end;
use axum::body::Body;
use axum::http::Request;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};

on_both!(
    opening_a_link_shows_a_button_and_changes_nothing,
    a_program_resumes_with_data,
    the_button_of_a_cancel_link_ends_the_wait,
    links_that_lead_nowhere_say_so,
);

const MANIFEST: &str = "name: ask-someone\ntrigger: { http: { auth: none } }\nsteps:\n  - { name: ask, value: '{{ $.flow.suspend() }}' }\n  - { name: last, value: '{{ steps.ask.$resume_data }}' }\n";

/// An invocation that waits, and the paths of its two links.
async fn waiting(world: &World) -> (String, String, String) {
    let workflow =
        world.deploy_files(&[("workflow.yaml", MANIFEST)]).await.ok().text("workflow_id");
    let events = format!("/api/v1/workflows/{workflow}/events");
    let id = world.post(&events, &json!({ "event": {} })).await.ok().text("invocation_id");
    all_end(world).await;
    let shown = shown(world, &id).await;
    assert_eq!(shown["waits_for"], "resume");
    let links = &shown["steps"][0]["return_value"];
    let path = |name: &str| {
        let url: url::Url = links[name].as_str().unwrap().parse().unwrap();
        url.path().to_owned()
    };
    (id, path("resume_url"), path("cancel_url"))
}

async fn shown(world: &World, id: &str) -> Value {
    world.get(&format!("/api/v1/invocations/{id}")).await.ok()
}

async fn world(database: TestDatabase) -> World {
    World::with(database, Setup { concurrency: 2, ..Setup::default() }).await
}

async fn send(world: &World, method: &str, path: &str, accept: &str, body: &str) -> Answer {
    let mut request =
        Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    request.headers_mut().insert("accept", value(accept));
    if !body.is_empty() {
        request.headers_mut().insert("content-type", value("application/json"));
    }
    world.send(request).await
}

async fn opening_a_link_shows_a_button_and_changes_nothing(database: TestDatabase) {
    let world = world(database).await;
    let (id, resume, cancel) = waiting(&world).await;
    for (path, button) in [(&resume, "Continue</button>"), (&cancel, "Cancel it</button>")] {
        for method in ["GET", "HEAD", "GET"] {
            let page = send(&world, method, path, "text/html", "").await;
            assert_eq!(page.status, 200);
            let policy = page.header("content-security-policy");
            assert!(policy.contains("form-action 'self'") && policy.contains("'none'"), "{policy}");
            assert_eq!(page.header("referrer-policy"), "no-referrer", "the link is a secret");
            if method == "GET" {
                assert!(page.html().contains(button) && page.html().contains("ask-someone"));
                assert!(!page.html().contains("Causeway"), "customers need not know the name");
            }
        }
    }
    assert_eq!(shown(&world, &id).await["state"], "waiting");
    world.stop().await;
}

async fn a_program_resumes_with_data(database: TestDatabase) {
    let world = world(database).await;
    let (id, resume, _) = waiting(&world).await;
    let answer = send(&world, "POST", &resume, "*/*", "{\"approved\":true}").await;
    assert_eq!(answer.ok(), json!({ "invocation_id": id }));
    all_end(&world).await;
    let shown = shown(&world, &id).await;
    assert_eq!(shown["state"], "succeeded");
    assert_eq!(shown["steps"][1]["return_value"], json!({ "approved": true }));
    let again = send(&world, "POST", &resume, "*/*", "").await;
    assert!(again.problem(404, "not_found").contains("has been used"));

    let (id, resume, _) = waiting(&world).await;
    let broken = send(&world, "POST", &resume, "*/*", "{").await;
    broken.problem(400, "invalid_json");
    let path = format!("/api/v1/invocations/{id}/resume");
    assert_eq!(world.post(&path, &json!({ "data": [1] })).await.status, 204);
    all_end(&world).await;
    let refused = world.post(&path, &json!({})).await.problem(400, "invalid_request");
    assert!(refused.contains("does not wait to be resumed"), "{refused}");
    world.stop().await;
}

async fn the_button_of_a_cancel_link_ends_the_wait(database: TestDatabase) {
    let world = world(database).await;
    let (id, resume, cancel) = waiting(&world).await;
    let page = send(&world, "POST", &cancel, "text/html,*/*", "").await;
    assert_eq!(page.status, 200);
    assert!(page.html().contains("Canceled"), "{}", page.html());
    all_end(&world).await;
    let shown = shown(&world, &id).await;
    assert_eq!(
        (&shown["state"], &shown["error_code"]),
        (&json!("canceled"), &json!("not_resumed"))
    );
    let page = send(&world, "POST", &resume, "text/html", "").await;
    assert_eq!(page.status, 404);
    assert!(page.html().contains("<h1>This link is over</h1>"), "{}", page.html());
    world.stop().await;
}

async fn links_that_lead_nowhere_say_so(database: TestDatabase) {
    let world = world(database).await;
    for path in ["/resume/none", "/cancel/none", "/resume/%ff", "/resume/%00"] {
        for method in ["GET", "POST"] {
            let answer = send(&world, method, path, "text/html", "").await;
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
    }
    world.stop().await;
}
