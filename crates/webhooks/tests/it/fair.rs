//! One slow endpoint keeps nobody from getting theirs.

use crate::receiver::{Receiver, Reply};
use crate::world::{World, config};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{WebhookDeliveryFilter, WebhookDeliveryState};
use causeway_webhooks::WebhooksConfig;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    a_slow_endpoint_holds_its_own_places_only,
    the_places_of_a_node_are_dealt_out_evenly,
    an_endpoint_that_fails_gets_one_at_a_time,
);

/// Attempts that hang do so for longer than the test takes.
fn patient(at_once: usize) -> WebhooksConfig {
    WebhooksConfig { timeout: Duration::from_mins(2), at_once, ..config() }
}

async fn a_slow_endpoint_holds_its_own_places_only(database: TestDatabase) {
    let world = World::with(database, patient(8)).await;
    let (mut slow, mut quick) = (Receiver::start().await, Receiver::start().await);
    slow.reply(Reply::Held(204));
    let (slow_id, _) = world.endpoint(&slow.url("/")).await;
    let (quick_id, _) = world.endpoint(&quick.url("/")).await;
    for number in 0..50 {
        world.tell(&format!("n{number}")).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (webhooks, stop) = (world.webhooks.clone(), stop.clone());
        async move { webhooks.run(stop).await }
    });
    // All of the quick one's arrive, while the slow one sits on its first.
    for _ in 0..50 {
        quick.next().await;
    }
    let held = slow.received().len();
    assert!((1..=4).contains(&held), "{held}");
    // And what comes now does, too.
    world.tell("later").await;
    assert_eq!(quick.next().await.name(), "later");
    slow.release(1000);
    for _ in held..51 {
        slow.next().await;
    }
    stop.cancel();
    running.await.unwrap();
    for endpoint in [slow_id, quick_id] {
        let filter = WebhookDeliveryFilter { endpoint: Some(endpoint), ..Default::default() };
        let all = world.deliveries_of(filter).await;
        assert_eq!(all.len(), 51);
        assert!(all.iter().all(|one| one.state == WebhookDeliveryState::Delivered));
    }
}

async fn the_places_of_a_node_are_dealt_out_evenly(database: TestDatabase) {
    let world = World::with(database, patient(4)).await;
    let mut receivers = Vec::new();
    for _ in 0..4 {
        let receiver = Receiver::start().await;
        receiver.reply(Reply::Held(204));
        world.endpoint(&receiver.url("/")).await;
        receivers.push(receiver);
    }
    for number in 0..10 {
        world.tell(&format!("n{number}")).await;
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (webhooks, stop) = (world.webhooks.clone(), stop.clone());
        async move { webhooks.run(stop).await }
    });
    // Four places, four endpoints: one each, though each would have room for four.
    for receiver in &mut receivers {
        receiver.next().await;
        receiver.release(1000);
    }
    for receiver in &mut receivers {
        for _ in 1..10 {
            receiver.next().await;
        }
    }
    stop.cancel();
    running.await.unwrap();
}

async fn an_endpoint_that_fails_gets_one_at_a_time(database: TestDatabase) {
    let world = World::with(database, patient(8)).await;
    let mut receiver = Receiver::start().await;
    receiver.once(Reply::Status(500));
    receiver.reply(Reply::Status(500));
    world.endpoint(&receiver.url("/")).await;
    world.tell("first").await;
    world.deliver().await;
    receiver.received();
    for number in 0..4 {
        world.tell(&format!("n{number}")).await;
    }
    receiver.reply(Reply::Held(204));
    let delivering = tokio::spawn({
        let webhooks = world.webhooks.clone();
        async move { webhooks.deliver_due().await.unwrap() }
    });
    receiver.next().await;
    assert!(receiver.received().is_empty());
    // It answered: from now on it gets more.
    receiver.release(1000);
    for _ in 1..4 {
        receiver.next().await;
    }
    assert_eq!(delivering.await.unwrap(), 4);
}
