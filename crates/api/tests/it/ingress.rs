//! Requests to triggers: what becomes of them as events. Nothing runs here; see `run`.

use crate::kit::{Json, Setup, World, value};
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use causeway_api::TRIGGER_BODY_LIMIT;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};

on_both!(
    a_request_becomes_an_event,
    bodies_are_read_by_their_type,
    an_event_with_an_id_is_stored_once,
    what_cannot_be_an_event_is_refused,
    a_full_queue_refuses,
    a_caller_who_hangs_up_leaves_a_whole_invocation,
);

/// A workflow's trigger: its path.
async fn trigger(world: &World) -> String {
    let url: url::Url = world.deploy("hello").await.text("trigger_url").parse().unwrap();
    url.path().to_owned()
}

fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post(path).body(body.into()).unwrap();
    if !kind.is_empty() {
        request.headers_mut().insert("content-type", value(kind));
    }
    request
}

/// The event that a request became.
async fn event(world: &World, request: Request<Body>) -> Value {
    let accepted = world.send(request).await;
    assert_eq!(accepted.status, 202, "{}", accepted.html());
    let id = accepted.json().text("invocation_id");
    world.get(&format!("/api/v1/invocations/{id}/event")).await.ok()
}

async fn a_request_becomes_an_event(database: TestDatabase) {
    let world = World::new(database).await;
    let path = trigger(&world).await;
    let mut request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{path}/orders/a%20b?x=1&x=2&name=%C3%A4&flag"))
        .body(Body::from(r#"{ "lead": [1, 2.50, null] }"#))
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("content-type", value("application/json; charset=utf-8"));
    headers.append("x-many", value("one"));
    headers.append("x-many", value("two"));
    headers.insert("x-bytes", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    let event = event(&world, request).await;
    assert_eq!(
        event,
        json!({
            "method": "PUT",
            "path": "/orders/a%20b",
            "query": { "x": "2", "name": "ä", "flag": "" },
            "headers": {
                "content-type": "application/json; charset=utf-8",
                "x-many": "one, two",
                "x-bytes": "caf\u{fffd}",
            },
            "body": { "lead": [1, 2.5, null] },
            "client_ip": "192.0.2.7",
            "url": format!("http://127.0.0.1:8400{path}/orders/a%20b?x=1&x=2&name=%C3%A4&flag"),
        })
    );
    for (method, suffix, shown) in
        [("GET", "", "/"), ("HEAD", "/", "/"), ("DELETE", "/a/", "/a/"), ("BREW", "/%ff", "/%ff")]
    {
        let request = Request::builder().method(method).uri(format!("{path}{suffix}"));
        let request = request.body(Body::empty()).unwrap();
        if method == "HEAD" {
            assert_eq!(world.send(request).await.status, 202);
            continue;
        }
        let event = self::event(&world, request).await;
        assert_eq!((event.text("method"), event.text("path")), (method.into(), shown.into()));
        assert_eq!(event["body"], Value::Null);
    }
}

async fn bodies_are_read_by_their_type(database: TestDatabase) {
    let world = World::new(database).await;
    let path = trigger(&world).await;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let cases: [(&str, &[u8], Value); 12] = [
        ("application/json", b"[1]", json!([1])),
        ("APPLICATION/JSON", b" \"a\" ", json!("a")),
        ("application/cloudevents+json", b"{}", json!({})),
        ("application/json", b"", Value::Null),
        ("application/json", br#""\u0000""#, json!("\0")),
        (
            "application/x-www-form-urlencoded",
            b"a=1&b=x+y&a=2&c",
            json!({ "a": "2", "b": "x y", "c": "" }),
        ),
        ("application/x-www-form-urlencoded", b"%ff%00=%zz", json!({ "\u{fffd}\0": "%zz" })),
        ("text/plain", "ä\n".as_bytes(), json!("ä\n")),
        ("", b"{}", json!("{}")),
        ("text/xml", b"<a/>", json!("<a/>")),
        ("application/octet-stream", b"\xff\x00", json!({ "base64": "/wA=" })),
        ("image/png; nothing", b"\x89PNG", json!({ "base64": "iVBORw==" })),
    ];
    for (kind, body, expected) in cases {
        let event = event(&world, post(&path, kind, body.to_vec())).await;
        assert_eq!(event["body"], expected, "{kind} {body:?}");
    }
    // Deeper than this reader goes, and stored all the same.
    let accepted = world.send(post(&path, "application/json", deep.clone())).await.ok();
    let shown = world.event_bytes(&accepted.text("invocation_id")).await;
    assert!(String::from_utf8(shown).unwrap().contains(&deep));
}

async fn an_event_with_an_id_is_stored_once(database: TestDatabase) {
    let world = World::new(database).await;
    let path = trigger(&world).await;
    let send = async |header: &'static str, id: &str| {
        let mut request = post(&path, "application/json", "{}");
        request.headers_mut().insert(header, value(id));
        world.send(request).await
    };
    let first = send("webhook-id", "msg_1").await;
    assert_eq!((first.status, first.json().get("duplicate")), (202, None));
    for header in ["webhook-id", "idempotency-key"] {
        let again = send(header, "msg_1").await;
        assert_eq!(again.status, 200);
        let expected =
            json!({ "invocation_id": first.json().text("invocation_id"), "duplicate": true });
        assert_eq!(again.json(), expected);
    }
    assert_eq!(send("webhook-id", "msg_2").await.status, 202);
    // Another workflow has its own events.
    let url: url::Url = world.deploy("other").await.text("trigger_url").parse().unwrap();
    let mut request = post(url.path(), "", "");
    request.headers_mut().insert("webhook-id", value("msg_1"));
    assert_eq!(world.send(request).await.status, 202);
    for id in ["", &"x".repeat(256), "caf\u{e9}"] {
        send("webhook-id", id).await.problem(400, "invalid_request");
    }
    assert_eq!(send("webhook-id", &"x".repeat(255)).await.status, 202);
}

async fn what_cannot_be_an_event_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let path = trigger(&world).await;
    let unknown = path.replace(&path[3..6], "xxx");
    for path in ["/t/x", "/t/%ff", "/t/%00/a", &unknown, &format!("{unknown}/{}", "a/".repeat(500))]
    {
        world.send(post(path, "application/json", "{}")).await.problem(404, "not_found");
    }
    for body in ["{", "{\n 'a': 1}", "nul", "1 2", "\u{feff}{}"] {
        let detail =
            world.send(post(&path, "application/json", body)).await.problem(400, "invalid_json");
        assert!(detail.contains("line") && detail.contains("column"), "{detail}");
    }
    let largest = "x".repeat(TRIGGER_BODY_LIMIT);
    event(&world, post(&path, "text/plain", largest.clone())).await;
    let too_large = world.send(post(&path, "text/plain", format!("{largest}x"))).await;
    too_large.problem(413, "body_too_large");
}

async fn a_full_queue_refuses(database: TestDatabase) {
    let world = World::with(database, Setup { queue_limit: 2, ..Setup::default() }).await;
    let path = trigger(&world).await;
    for _ in 0..2 {
        event(&world, post(&path, "", "")).await;
    }
    for _ in 0..2 {
        let refused = world.send(post(&path, "", "")).await;
        let detail = refused.problem(429, "queue_full");
        assert!(detail.contains("not stored"), "{detail}");
    }
    assert_eq!(world.get("/api/v1/invocations").await.ok()["data"].as_array().unwrap().len(), 2);
    // The queue is each workflow's own.
    let url: url::Url = world.deploy("other").await.text("trigger_url").parse().unwrap();
    event(&world, post(url.path(), "", "")).await;
}

/// Whatever moment a caller hangs up at: an invocation that was stored reaches this node's
/// workers, because the node owns it from the start.
async fn a_caller_who_hangs_up_leaves_a_whole_invocation(database: TestDatabase) {
    let world = World::with(database, Setup { concurrency: 2, ..Setup::default() }).await;
    let path = trigger(&world).await;
    event(&world, post(&path, "", "")).await;
    for polls in [1, 2, 3, 4, 5, 8, 13, 21, 34] {
        let mut answer = Box::pin(world.open(post(&path, "", "")));
        for _ in 0..polls {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(answer.as_mut().poll(context).is_ready())
            });
            if polled.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    // One more whose end is waited for, then the rest must end too.
    crate::run::all_end(&world).await;
    world.stop().await;
}
