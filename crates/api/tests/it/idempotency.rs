//! `Idempotency-Key`.

use crate::kit::{Answer, Json, MANIFEST, Setup, World, files_body, request_as, value};
use axum::body::Body;
use axum::http::{Method, Request};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_repeated_request_is_answered_as_before,
    many_at_once_have_one_effect,
    another_request_is_refused,
    keys_of_others_do_not_meet,
    an_answer_is_sealed_and_kept_for_a_day,
    what_may_succeed_later_can_be_sent_again,
    a_caller_who_hangs_up_finds_the_answer,
    a_deployment_may_be_as_large_as_without_a_key,
);

const SESSIONS: &str = "/api/v1/connect-sessions";

fn session() -> Value {
    json!({ "customer": "ada", "app": "demo" })
}

fn with_key(mut request: Request<Body>, key: &str) -> Request<Body> {
    request.headers_mut().insert("idempotency-key", value(key));
    request
}

async fn post(world: &World, key: &str, path: &str, body: &Value) -> Answer {
    world.send(with_key(world.request(Method::POST, path, Some(body)), key)).await
}

async fn a_repeated_request_is_answered_as_before(database: TestDatabase) {
    let world = World::new(database).await;
    let first = post(&world, "k", SESSIONS, &session()).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    for _ in 0..3 {
        let again = post(&world, "k", SESSIONS, &session()).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.header("content-type"), first.header("content-type"));
    }
    // Refusals too, also those without a body.
    let bad = json!({ "customer": "", "app": "demo" });
    let refused = post(&world, "bad", SESSIONS, &bad).await;
    refused.problem(400, "invalid_request");
    let again = post(&world, "bad", SESSIONS, &bad).await;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &refused.body));
    let client = format!("/api/v1/oauth-clients/{}", world.oauth_client().await);
    for replayed in ["", "true"] {
        let answer = world.send(with_key(world.request(Method::DELETE, &client, None), "d")).await;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (204, replayed));
        assert!(answer.body.is_empty() && answer.header("content-type").is_empty());
    }
    // A request that changes nothing does not look at it.
    let get = world.request(Method::GET, "/api/v1/workflows", None);
    assert_eq!(world.send(with_key(get, "k")).await.header("idempotency-replayed"), "");
    for key in ["", &"k".repeat(256)] {
        post(&world, key, SESSIONS, &session()).await.problem(400, "invalid_request");
    }
    post(&world, &"k".repeat(255), SESSIONS, &session()).await.ok();
}

async fn many_at_once_have_one_effect(database: TestDatabase) {
    let world = World::new(database).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let path = format!("/api/v1/workflows/{workflow}/events");
    let body = json!({ "event": { "n": 1 } });
    let sent = (0..20).map(|_| post(&world, "once", &path, &body));
    let mut made = Vec::new();
    for answer in futures_join(sent).await {
        match answer.status {
            202 => made.push(answer.json().text("invocation_id")),
            _ => drop(answer.problem(409, "idempotency_in_progress")),
        }
    }
    made.dedup();
    assert_eq!(made.len(), 1, "{made:?}");
    let listed = world.get("/api/v1/invocations").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(post(&world, "once", &path, &body).await.json().text("invocation_id"), made[0]);
}

/// Runs futures side by side.
async fn futures_join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn another_request_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    post(&world, "k", SESSIONS, &session()).await.ok();
    let other = json!({ "customer": "bob", "app": "demo" });
    post(&world, "k", SESSIONS, &other).await.problem(409, "idempotency_mismatch");
    let query = format!("{SESSIONS}?x=1");
    post(&world, "k", &query, &session()).await.problem(409, "idempotency_mismatch");
    // Another address or method has its own keys.
    let plan = files_body(&[("workflow.yaml", MANIFEST), ("greet.mjs", "")]);
    post(&world, "k", "/api/v1/deployments/plan", &plan).await.ok();
    post(&world, "k", "/api/v1/deployments", &plan).await.ok();
}

async fn keys_of_others_do_not_meet(database: TestDatabase) {
    let world = World::new(database).await;
    let first = post(&world, "k", SESSIONS, &session()).await.ok().text("id");
    let stranger = world.new_key(world.other_tenant().await, None, None).await;
    let request = request_as(&stranger, Method::POST, SESSIONS, Some(&session()));
    let theirs = world.send(with_key(request, "k")).await;
    assert_ne!(theirs.ok().text("id"), first);
    assert_eq!(theirs.header("idempotency-replayed"), "");
    // Two keys of one environment may do different things, and are shown only their own answers.
    let second = world.new_key(world.tenant, None, None).await;
    let request = request_as(&second, Method::POST, SESSIONS, Some(&session()));
    assert_ne!(world.send(with_key(request, "k")).await.ok().text("id"), first);
}

async fn an_answer_is_sealed_and_kept_for_a_day(database: TestDatabase) {
    let world = World::new(database).await;
    let url = post(&world, "k", SESSIONS, &session()).await.ok().text("connect_url");
    let token = url.rsplit('/').next().unwrap();
    let scopes = stored(&world).await;
    assert_eq!(scopes.len(), 1);
    assert!(!scopes[0].windows(token.len()).any(|window| window == token.as_bytes()));
    assert!(!scopes[0].windows(7).any(|window| window == b"connect"), "not even in another form");

    world.clock.advance(Duration::from_hours(24) + Duration::from_secs(1));
    let again = post(&world, "k", SESSIONS, &session()).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, ""));
    assert_ne!(again.json().text("connect_url"), url);
    assert_eq!(stored(&world).await.len(), 1, "the old answer is gone");
}

/// Every kept answer as it stands in the database.
async fn stored(world: &World) -> Vec<Vec<u8>> {
    let mut conn = world.store().read().await.unwrap();
    let workspace = world.tenant.workspace;
    let rows = db!(conn, reseal::idempotent_responses(workspace, &[], &[], 100)).unwrap();
    rows.into_iter().map(|row| row.sealed.as_bytes().to_vec()).collect()
}

async fn what_may_succeed_later_can_be_sent_again(database: TestDatabase) {
    let setup = Setup { queue_limit: 1, ..Setup::default() };
    let world = World::with(database, setup).await;
    let workflow = world.deploy("hello").await.text("workflow_id");
    let path = format!("/api/v1/workflows/{workflow}/events");
    let body = json!({ "event": {} });
    world.post(&path, &body).await.ok();
    for _ in 0..2 {
        let answer = post(&world, "k", &path, &body).await;
        answer.problem(429, "queue_full");
        assert_eq!(answer.header("idempotency-replayed"), "", "it was looked at again");
    }
}

async fn a_caller_who_hangs_up_finds_the_answer(database: TestDatabase) {
    let world = World::new(database).await;
    for polls in [1, 2, 3, 5, 8, 13, 21, 34, 55] {
        let (body, key) = (session(), format!("hung-up-{polls}"));
        let request = with_key(world.request(Method::POST, SESSIONS, Some(&body)), &key);
        let mut answer = Box::pin(world.open(request));
        // Dropped half way, as a server does when the connection closes.
        for _ in 0..polls {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(answer.as_mut().poll(context).is_ready())
            });
            if polled.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(answer);
        let mut again = post(&world, &key, SESSIONS, &body).await;
        for _ in 0..100_000 {
            if again.status == 201 {
                break;
            }
            again.problem(409, "idempotency_in_progress");
            tokio::task::yield_now().await;
            again = post(&world, &key, SESSIONS, &body).await;
        }
        assert_eq!(again.status, 201, "the key is claimed for good after {polls} polls");
    }
}

async fn a_deployment_may_be_as_large_as_without_a_key(database: TestDatabase) {
    let world = World::new(database).await;
    let large = "x".repeat(3 << 20);
    let files = [("workflow.yaml", MANIFEST), ("greet.mjs", ""), ("data.txt", large.as_str())];
    post(&world, "k", "/api/v1/deployments", &files_body(&files)).await.ok();
}
