//! Endpoints that want their messages in order.

use crate::receiver::{Received, Receiver, Reply};
use crate::world::{World, plain};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Clock as _;
use causeway_types::entity::WebhookDeliveryState;
use causeway_webhooks::{NewEndpoint, Webhooks};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

on_both!(
    the_next_message_waits_for_the_end_of_the_one_before,
    a_message_that_dies_lets_the_next_one_go,
    order_holds_across_nodes,
    what_is_replayed_goes_first,
);

/// The connections that it was told of since somebody looked.
fn names(receiver: &mut Receiver) -> Vec<String> {
    receiver.received().iter().map(Received::name).collect()
}

async fn ordered(world: &World, receiver: &Receiver) {
    world.endpoint_with(NewEndpoint { url: receiver.url("/"), ordered: true, ..plain() }).await;
}

async fn the_next_message_waits_for_the_end_of_the_one_before(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    ordered(&world, &receiver).await;
    // Without moving the clock: they are told apart by the order of their commits.
    let told: Vec<_> = (0..20).map(|number| format!("n{number}")).collect();
    for name in &told {
        world.tell(name).await;
    }
    receiver.once(Reply::Status(204));
    receiver.once(Reply::Status(500));
    assert_eq!(world.deliver().await, 2);
    assert_eq!(world.deliver().await, 0);
    world.skip().await;
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(world.deliver().await, 19);
    let expected: Vec<_> = told.iter().take(2).chain(told.iter().skip(1)).cloned().collect();
    assert_eq!(names(&mut receiver), expected);
}

async fn a_message_that_dies_lets_the_next_one_go(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    ordered(&world, &receiver).await;
    world.tell("one").await;
    world.tell("two").await;
    for _ in 1..10 {
        receiver.once(Reply::Status(500));
        assert_eq!(world.deliver().await, 1);
        assert_eq!(names(&mut receiver), ["one"]);
        world.clock.advance(Duration::from_hours(1));
        // However long the next one has been due.
        let first = world.deliveries().await.remove(0);
        world.clock.advance(first.due_at.unwrap().since(world.clock.now()));
    }
    // The tenth is the last, and after it comes the next one.
    receiver.once(Reply::Status(500));
    assert_eq!(world.deliver().await, 2);
    assert_eq!(names(&mut receiver), ["one", "two"]);
    let states: Vec<_> = world.deliveries().await.iter().map(|one| one.state).collect();
    assert_eq!(states, [WebhookDeliveryState::Dead, WebhookDeliveryState::Delivered]);
}

async fn order_holds_across_nodes(database: TestDatabase) {
    let world = World::new(database).await;
    let other = world.second_node().await;
    let mut receiver = Receiver::start().await;
    ordered(&world, &receiver).await;
    let told: Vec<_> = (0..40).map(|number| format!("n{number}")).collect();
    for name in &told {
        world.tell(name).await;
    }
    let attempts = AtomicUsize::new(0);
    let work = async |node: &Webhooks| {
        while attempts.load(Ordering::SeqCst) < told.len() {
            attempts.fetch_add(node.deliver_due().await.unwrap(), Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(work(&world.webhooks), work(&other));
    assert_eq!(names(&mut receiver), told);
}

async fn what_is_replayed_goes_first(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    ordered(&world, &receiver).await;
    world.tell("one").await;
    world.deliver().await;
    let first = world.delivery().await.id;
    world.tell("two").await;
    world.webhooks.replay_delivery(&world.permit(), first).await.unwrap();
    assert_eq!(world.deliver().await, 2);
    assert_eq!(names(&mut receiver), ["one", "one", "two"]);
}
