//! Webhooks from the command line, and sent by the built server to a receiver with the official
//! libraries.

use crate::kit::{Home, Needles};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, on_both};
use causeway_testkit::webhook_receiver::WebhookReceiver;
use causeway_types::{Actor, Clock as _, ConnectionId, CustomerId, OsRandom, SystemClock};
use causeway_webhooks::{ConnectionSubject, Event, Webhooks, WebhooksConfig, WebhooksParts};
use serde_json::{Value, json};
use std::sync::Arc;

on_both!(endpoints_are_managed_from_the_command_line_and_get_what_happens);

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {value:#}")).to_owned()
}

/// Tells of a connection of this name, as the engine of connections does.
async fn tell(home: &Home, name: &str) {
    let (store, tenant, now) = (home.database.store.clone(), home.tenant(), SystemClock.now());
    let http =
        HttpClient::new(Guard::new(GuardConfig::default(), SystemResolver), &HttpConfig::default());
    let parts = WebhooksParts {
        store: store.clone(),
        vault: home.vault().await,
        http: http.unwrap(),
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
    };
    let webhooks = Webhooks::new(parts, WebhooksConfig::default());
    let connection = ConnectionId::generate(now, &OsRandom);
    let event = Event::ConnectionCreated(ConnectionSubject {
        id: connection,
        name: name.to_owned(),
        app: "demo".to_owned(),
        customer_id: CustomerId::generate(now, &OsRandom),
        customer: "acme".to_owned(),
    });
    let outbox = webhooks.outbox(tenant.workspace).await.unwrap();
    let mut tx = store.write(Actor::Machine).await.unwrap();
    outbox.enqueue(&mut tx, tenant, &event, now).await.unwrap();
    let event = Audit::ConnectionReconnected { connection };
    tx.commit(tenant.workspace, now, event).await.unwrap();
}

/// The next request that the receiver got, which its libraries must believe.
fn verified(receiver: &mut WebhookReceiver) -> Value {
    let got: Value = serde_json::from_str(&receiver.next_line().unwrap()).unwrap();
    for check in got["checks"].as_array().unwrap() {
        assert_eq!(check["verified"], true, "{check}");
    }
    got
}

async fn endpoints_are_managed_from_the_command_line_and_get_what_happens(database: TestDatabase) {
    let mut receiver = WebhookReceiver::node().unwrap();
    let allow = format!("--net-allow=127.0.0.1/32:{}", receiver.port());
    let home = Home::with_flags(database, &[&allow]);
    let server = home.serve_logging("trace");
    let url = format!("http://127.0.0.1:{}/hooks?token=canary-token-6a1f", receiver.port());
    let made = home.cli(&server, &["webhooks", "add", "--to", &url, "--json"]).json();
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    receiver.expect_secret(&secret).unwrap();
    // One that gets nothing in this test.
    let quiet = ["webhooks", "add", "--to=https://example.com/", "--event-type=connection.revoked"];
    let shown = home.cli(&server, &quiet).stdout;
    assert!(shown.contains("\nwhsec_") && shown.contains("shown this once"), "{shown}");
    let refused = home.cli(&server, &["webhooks", "add", "--to=http://example.com/"]);
    assert!(refused.refusal().contains("must be https"), "{refused:?}");

    // What was told while no server ran is sent by the next.
    server.stop();
    tell(&home, "canary-name-2c7d").await;
    let server = home.serve_logging("trace");
    let got = verified(&mut receiver);
    let message = text(&got["headers"], "webhook-id");
    assert!(got["body"].as_str().unwrap().contains("canary-name-2c7d"));

    let cli =
        |args: &[&str]| home.cli(&server, &[&["webhooks"], args, &["--json"]].concat()).json();
    let shown = cli(&["message", &message]);
    assert_eq!(shown["body"]["data"]["connection"]["name"], "canary-name-2c7d");
    assert_eq!(text(&cli(&["messages"])["data"][0], "id"), message);
    let find = || cli(&["deliveries", "--endpoint", &id, "--message", &message]);
    let delivery = text(&find()["data"][0], "id");
    // The answer has left before it is written down.
    crate::kit::eventually("the delivery is written down", async || {
        (find()["data"][0]["state"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(cli(&["attempts", &delivery])["data"][0]["status"], 204);

    cli(&["replay", &delivery]);
    assert_eq!(text(&verified(&mut receiver)["headers"], "webhook-id"), message);
    let rotated = cli(&["rotate-secret", &id]);
    receiver.expect_secret(&text(&rotated, "secret")).unwrap();
    crate::kit::eventually("the delivery is written down", async || {
        (find()["data"][0]["state"] == "delivered").then_some(())
    })
    .await;
    let replayed = cli(&["replay", &id, "--since=2020-01-01T00:00:00Z", "--delivered"]);
    assert_eq!(replayed, json!({ "replayed": 1, "more": false }));
    assert_eq!(text(&verified(&mut receiver)["headers"], "webhook-id"), message);

    let changed = cli(&["change", &id, "--event-type=connection.revoked", "--ordered=true"]);
    assert_eq!(
        (&changed["event_types"], &changed["ordered"]),
        (&json!(["connection.revoked"]), &json!(true))
    );
    assert_eq!(cli(&["change", &id, "--all-events"])["event_types"], json!([]));
    assert_eq!(cli(&["disable", &id])["state"], "disabled");
    let refused = home.cli(&server, &["webhooks", "replay", &delivery]);
    assert!(refused.refusal().contains("is disabled"), "{refused:?}");
    assert_eq!(cli(&["enable", &id, "--replay"])["state"], "enabled");
    let listed = home.cli(&server, &["webhooks", "list"]).stdout;
    assert!(listed.contains(&id) && listed.contains("all events"), "{listed}");
    assert!(!listed.contains("canary-token"), "{listed}");
    cli(&["delete", &id]);
    let gone = home.cli(&server, &["webhooks", "show", &id]);
    assert!(gone.refusal().contains(&id), "{gone:?}");
    server.stop();

    let bare = secret.trim_start_matches("whsec_");
    let needles = Needles::new([
        ("the secret", bare),
        ("the URL's token", "canary-token-6a1f"),
        ("what was told", "canary-name-2c7d"),
    ]);
    needles.assert_absent_at_rest(&home);
}
