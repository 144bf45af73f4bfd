//! Webhook endpoints, what was sent to them, and sending it again, over HTTP.

use crate::kit::{Json as _, World};
use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, on_both};
use causeway_types::{Actor, Clock as _, ConnectionId, CustomerId, OsRandom};
use causeway_webhooks::{ConnectionSubject, Event};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::sync::mpsc;

on_both!(
    an_endpoint_is_set_up_and_gets_what_happens,
    what_failed_is_seen_and_sent_again,
    wrong_requests_are_told_what_is_wrong,
    a_new_secret_is_kept_for_no_repeated_request,
    listings_have_pages,
);

const ENDPOINTS: &str = "/api/v1/webhook-endpoints";
const MESSAGES: &str = "/api/v1/webhook-messages";
const DELIVERIES: &str = "/api/v1/webhook-deliveries";

impl World {
    /// Tells of a connection of this name, as the engine of connections does.
    pub(crate) async fn tell_by_webhook(&self, name: &str) {
        let now = self.clock.now();
        let connection = ConnectionId::generate(now, &OsRandom);
        let event = Event::ConnectionCreated(ConnectionSubject {
            id: connection,
            name: name.to_owned(),
            app: "demo".to_owned(),
            customer_id: CustomerId::generate(now, &OsRandom),
            customer: "ada@acme".to_owned(),
        });
        let outbox = self.webhooks.outbox(self.tenant.workspace).await.unwrap();
        let mut tx = self.store().write(Actor::Machine).await.unwrap();
        outbox.enqueue(&mut tx, self.tenant, &event, now).await.unwrap();
        let event = Audit::ConnectionReconnected { connection };
        tx.commit(self.tenant.workspace, now, event).await.unwrap();
    }
}

/// A server that answers with the status it was told.
struct Receiver {
    url: String,
    status: Arc<AtomicU16>,
    got: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hooks?token=canary", listener.local_addr().unwrap());
        let (sender, got) = mpsc::unbounded_channel();
        let status = Arc::new(AtomicU16::new(204));
        let answer = {
            let status = Arc::clone(&status);
            move |headers: HeaderMap, body: String| async move {
                let _ = sender.send((headers, body));
                StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap()
            }
        };
        let router = Router::new().route("/hooks", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, status, got }
    }
}

/// An endpoint with its secret.
async fn endpoint(world: &World, url: &str) -> Value {
    let made = world.post(ENDPOINTS, &json!({ "url": url, "description": "Ours" })).await;
    assert_eq!(made.status, 201, "{}", made.html());
    made.json()
}

async fn an_endpoint_is_set_up_and_gets_what_happens(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let made = endpoint(&world, &receiver.url).await;
    assert!(made.text("secret").starts_with("whsec_"));
    assert!(made.text("url").ends_with("/hooks?token=***"), "{made}");
    assert_eq!(made["state"], "enabled");
    let path = format!("{ENDPOINTS}/{}", made.text("id"));
    let shown = world.get(&path).await.ok();
    assert_eq!(shown["secret"], Value::Null);
    assert_eq!(world.get(ENDPOINTS).await.ok()["data"], json!([shown]));

    world.tell_by_webhook("acme-crm").await;
    assert_eq!(world.webhooks.deliver_due().await.unwrap(), 1);
    let (headers, body) = receiver.got.recv().await.unwrap();
    let message = &world.get(MESSAGES).await.ok()["data"][0];
    assert_eq!(headers["webhook-id"].to_str().unwrap(), message.text("id"));
    assert_eq!(message["type"], "connection.created");
    assert_eq!(message["body"], serde_json::from_str::<Value>(&body).unwrap());
    assert_eq!(world.get(&format!("{MESSAGES}/{}", message.text("id"))).await.ok(), *message);
    let delivery = &world.get(DELIVERIES).await.ok()["data"][0];
    assert_eq!(delivery["state"], "delivered");
    assert_eq!(delivery["next_attempt_at"], Value::Null);
    let shown = world.get(&format!("{DELIVERIES}/{}", delivery.text("id"))).await.ok();
    assert_eq!(shown, *delivery);

    let change = json!({ "event_types": ["connection.revoked"], "ordered": true });
    let request = world.request(Method::PATCH, &path, Some(&change));
    let changed = world.send(request).await.ok();
    assert_eq!(changed["event_types"], json!(["connection.revoked"]));
    assert_eq!((&changed["ordered"], &changed["description"]), (&json!(true), &json!("Ours")));
    world.tell_by_webhook("nobody wants it").await;
    assert_eq!(world.get(MESSAGES).await.ok()["data"].as_array().unwrap().len(), 1);

    let rotated = world.post(&format!("{path}/rotate"), &json!({})).await;
    assert_eq!(rotated.status, 201);
    assert_ne!(rotated.json().text("secret"), made.text("secret"));
    assert!(rotated.json()["old_secret_until"].is_string());
    assert_eq!(world.delete(&path).await.status, 204);
    world.get(&path).await.problem(404, "not_found");
    assert_eq!(world.get(DELIVERIES).await.ok()["data"], json!([]));
}

async fn what_failed_is_seen_and_sent_again(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let made = endpoint(&world, &receiver.url).await;
    let path = format!("{ENDPOINTS}/{}", made.text("id"));
    receiver.status.store(500, Ordering::SeqCst);
    world.tell_by_webhook("acme-crm").await;
    world.webhooks.deliver_due().await.unwrap();
    assert!(world.get(&path).await.ok()["failing_since"].is_string());
    let pending = &world.get(&format!("{DELIVERIES}?state=pending")).await.ok()["data"][0];
    assert!(pending["next_attempt_at"].is_string());
    let delivery = format!("{DELIVERIES}/{}", pending.text("id"));
    let attempts = world.get(&format!("{delivery}/attempts")).await.ok();
    let attempt = &attempts["data"][0];
    assert_eq!((&attempt["number"], &attempt["status"]), (&json!(1), &json!(500)));
    assert_eq!((&attempt["error_code"], &attempt["answer"]), (&Value::Null, &Value::Null));

    let disabled = world.post(&format!("{path}/disable"), &json!({})).await.ok();
    assert_eq!(
        (&disabled["state"], &disabled["disabled_reason"]),
        (&json!("disabled"), &json!("request"))
    );
    assert_eq!(world.get(&delivery).await.ok()["dead_reason"], "endpoint_disabled");
    let replay = world.post(&format!("{delivery}/replay"), &json!({})).await;
    assert!(replay.problem(409, "webhook_endpoint_disabled").contains(&made.text("id")));
    let replay = world.post(&format!("{path}/replay"), &json!({})).await;
    replay.problem(409, "webhook_endpoint_disabled");

    receiver.status.store(200, Ordering::SeqCst);
    let enabled = world.post(&format!("{path}/enable"), &json!({ "replay": true })).await.ok();
    assert_eq!((&enabled["state"], &enabled["replayed"]), (&json!("enabled"), &json!(1)));
    assert_eq!(world.webhooks.deliver_due().await.unwrap(), 1);
    assert_eq!(world.get(&delivery).await.ok()["state"], "delivered");

    assert_eq!(world.post(&format!("{delivery}/replay"), &json!({})).await.status, 202);
    assert_eq!(world.webhooks.deliver_due().await.unwrap(), 1);
    let span = json!({ "since": "2020-01-01T00:00:00Z", "delivered": true });
    let replayed = world.post(&format!("{path}/replay"), &span).await.ok();
    assert_eq!(replayed, json!({ "replayed": 1, "more": false }));
    assert_eq!(world.webhooks.deliver_due().await.unwrap(), 1);
    let mut ids = Vec::new();
    while let Ok((headers, _)) = receiver.got.try_recv() {
        ids.push(headers["webhook-id"].clone());
    }
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id == ids[0]));
}

async fn wrong_requests_are_told_what_is_wrong(database: TestDatabase) {
    let world = World::new(database).await;
    for (body, says) in [
        (json!({ "url": "http://example.com/" }), "https"),
        (json!({ "url": "ftp://example.com/" }), "`url`"),
        (json!({ "url": format!("https://example.com/{}", "x".repeat(2048)) }), "2048 bytes"),
        (json!({ "url": "https://example.com/", "description": "x".repeat(201) }), "200"),
        (json!({ "url": "https://example.com/", "event_types": ["nonsense"] }), "event_types"),
        (json!({ "url": "https://example.com/", "signature": "md5" }), "signature"),
        (json!({ "url": "https://example.com/", "more": 1 }), "more"),
        (json!({}), "url"),
    ] {
        let detail = world.post(ENDPOINTS, &body).await.problem(400, "invalid_request");
        assert!(detail.contains(says) || says == "signature", "{detail}");
    }
    let made = endpoint(&world, "https://example.com/hooks").await;
    let path = format!("{ENDPOINTS}/{}", made.text("id"));
    let span = json!({ "since": "yesterday" });
    world.post(&format!("{path}/replay"), &span).await.problem(400, "invalid_request");
    let change = json!({ "url": "http://example.com/" });
    let request = world.request(Method::PATCH, &path, Some(&change));
    world.send(request).await.problem(400, "invalid_request");
    world.get(&format!("{ENDPOINTS}/conn_x")).await.problem(400, "invalid_id");
    world.get(&format!("{DELIVERIES}?state=gone")).await.problem(400, "invalid_request");
    world.get(&format!("{DELIVERIES}?cursor=x")).await.problem(400, "invalid_cursor");
    let nobodys = format!("{DELIVERIES}/whd_{}", "0".repeat(26));
    for path in [nobodys.clone(), format!("{nobodys}/attempts")] {
        world.get(&path).await.problem(404, "not_found");
    }
}

async fn a_new_secret_is_kept_for_no_repeated_request(database: TestDatabase) {
    let world = World::new(database).await;
    let mut secrets = Vec::new();
    for _ in 0..2 {
        let body = json!({ "url": "https://example.com/hooks" });
        let mut request = world.request(Method::POST, ENDPOINTS, Some(&body));
        request.headers_mut().insert("idempotency-key", crate::kit::value("one"));
        secrets.push(world.send(request).await.ok().text("secret"));
    }
    assert_ne!(secrets[0], secrets[1]);
}

async fn listings_have_pages(database: TestDatabase) {
    let world = World::new(database).await;
    for _ in 0..3 {
        endpoint(&world, "https://example.com/hooks").await;
    }
    world.tell_by_webhook("one").await;
    world.tell_by_webhook("two").await;
    for (path, all) in [(ENDPOINTS, 3), (MESSAGES, 2), (DELIVERIES, 6)] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("{path}?limit=1{cursor}")).await.ok();
            seen.push(page["data"][0].text("id"));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!((seen.len(), once.len()), (all, all), "{path}");
    }
}
