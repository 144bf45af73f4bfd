//! Signatures, as the libraries see them that receivers use.

use crate::world::World;
use causeway_store::testing::TestDatabase;
use causeway_testkit::webhook_receiver::WebhookReceiver;
use causeway_types::Clock as _;
use causeway_types::entity::WebhookDeliveryState;
use serde_json::Value;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn node_libraries_take_what_is_signed() {
    verified_by(TestDatabase::sqlite().await, WebhookReceiver::node().unwrap(), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_library_takes_what_is_signed() {
    verified_by(TestDatabase::sqlite().await, WebhookReceiver::python().unwrap(), 1).await;
}

/// Sends one message, and what the libraries of the receiver say of it.
async fn checks(world: &World, receiver: &mut WebhookReceiver, name: &str) -> Vec<Value> {
    world.tell(name).await;
    assert_eq!(world.deliver().await, 1);
    let line: Value = serde_json::from_str(&receiver.next_line().unwrap()).unwrap();
    line["checks"].as_array().unwrap().clone()
}

async fn verified_by(database: TestDatabase, mut receiver: WebhookReceiver, libraries: usize) {
    let world = World::new(database).await;
    let url = format!("http://127.0.0.1:{}/hooks", receiver.port());
    let (id, secret) = world.endpoint(&url).await;
    receiver.expect_secret(&secret).unwrap();
    let said = checks(&world, &mut receiver, "Zürich „quoted\" \\ 🌍").await;
    assert_eq!(said.len(), libraries);
    for one in &said {
        assert_eq!(one["verified"], true, "{one}");
    }
    assert_eq!(world.delivery().await.state, WebhookDeliveryState::Delivered);

    // Another's secret does not fit.
    let (other_id, other) = world.endpoint("https://example.com/").await;
    world.webhooks.disable_endpoint(&world.permit(), other_id).await.unwrap();
    receiver.expect_secret(&other).unwrap();
    for one in checks(&world, &mut receiver, "two").await {
        assert_eq!(one["verified"], false, "{one}");
    }

    // While a rotation overlaps, both the old secret and the new one fit.
    let rotated = world.webhooks.rotate_secret(&world.permit(), id).await.unwrap();
    let until = rotated.old_until;
    assert_eq!(until.since(world.clock.now()), Duration::from_hours(24));
    assert_eq!(rotated.endpoint.old_secret_until, Some(until));
    let new = rotated.secret.expose().clone();
    for secret in [&secret, &new] {
        receiver.expect_secret(secret).unwrap();
        for one in checks(&world, &mut receiver, "three").await {
            assert_eq!(one["verified"], true, "{one}");
        }
    }
}
