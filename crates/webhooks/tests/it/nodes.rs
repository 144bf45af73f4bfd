//! Several nodes on one database.

use crate::receiver::{Receiver, Reply};
use crate::world::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::WebhookDeliveryState;
use std::collections::BTreeMap;
use std::time::Duration;

on_both!(
    nodes_share_the_work_and_repeat_none_of_it,
    a_node_that_hangs_is_overtaken_and_writes_nothing_any_more,
);

async fn nodes_share_the_work_and_repeat_none_of_it(database: TestDatabase) {
    let world = World::new(database).await;
    let other = world.second_node().await;
    let mut receivers = Vec::new();
    for _ in 0..3 {
        let receiver = Receiver::start().await;
        world.endpoint(&receiver.url("/")).await;
        receivers.push(receiver);
    }
    for number in 0..30 {
        world.tell(&format!("n{number}")).await;
    }
    let (here, there) = tokio::join!(world.webhooks.deliver_due(), other.deliver_due());
    assert_eq!(here.unwrap() + there.unwrap(), 90);
    for receiver in &mut receivers {
        let mut times = BTreeMap::new();
        for got in receiver.received() {
            *times.entry(got.id().to_owned()).or_insert(0) += 1;
        }
        assert_eq!(times.len(), 30);
        assert!(times.values().all(|times| *times == 1), "{times:?}");
    }
}

async fn a_node_that_hangs_is_overtaken_and_writes_nothing_any_more(database: TestDatabase) {
    let world = World::new(database).await;
    let other = world.second_node().await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    world.tell("one").await;
    // The first node's attempt ends in a failure, long after its lease.
    receiver.once(Reply::Held(500));
    let slow = tokio::spawn({
        let webhooks = world.webhooks.clone();
        async move { webhooks.deliver_due().await.unwrap() }
    });
    let first = receiver.next().await;
    assert_eq!(other.deliver_due().await.unwrap(), 0);
    world.clock.advance(Duration::from_mins(2));
    assert_eq!(other.deliver_due().await.unwrap(), 1);
    let second = receiver.next().await;
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    receiver.release(1);
    assert_eq!(slow.await.unwrap(), 1);
    let delivery = world.delivery().await;
    assert_eq!(delivery.state, WebhookDeliveryState::Delivered);
    assert_eq!((delivery.attempts, delivery.fence), (1, 2));
    assert_eq!(world.attempts(&delivery).await[0].status, Some(204));
    assert_eq!(world.webhooks.deliver_due().await.unwrap(), 0);
}
