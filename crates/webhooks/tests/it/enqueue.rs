//! Making messages: with the change, or not at all.

use crate::receiver::Receiver;
use crate::world::{World, plain};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{WebhookDeadReason, WebhookDeliveryState};
use causeway_webhooks::{Event, NewEndpoint};

on_both!(
    a_message_is_there_with_its_change_or_not_at_all,
    only_who_wants_an_event_gets_it,
    environments_are_apart,
    a_disabled_endpoint_misses_nothing_for_good,
    an_endpoint_that_goes_away_meanwhile_spoils_no_change,
);

async fn messages(world: &World) -> usize {
    world.webhooks.messages(&world.permit(), None, 100).await.unwrap().items.len()
}

async fn a_message_is_there_with_its_change_or_not_at_all(database: TestDatabase) {
    let world = World::new(database).await;
    world.endpoint("https://example.com/").await;
    let tx = world.telling(&Event::ConnectionCreated(world.subject("never"))).await;
    drop(tx);
    assert_eq!((messages(&world).await, world.deliveries().await.len()), (0, 0));
    world.tell("one").await;
    assert_eq!((messages(&world).await, world.deliveries().await.len()), (1, 1));
}

async fn only_who_wants_an_event_gets_it(database: TestDatabase) {
    let world = World::new(database).await;
    world.tell("nobody is there").await;
    assert_eq!(messages(&world).await, 0);
    let some = |types: &[&str]| NewEndpoint {
        url: "https://example.com/".into(),
        event_types: types.iter().map(|one| (*one).to_owned()).collect(),
        ..plain()
    };
    let (all, _) = world.endpoint_with(some(&[])).await;
    let (made, _) = world.endpoint_with(some(&["connection.created"])).await;
    let (ends, _) =
        world.endpoint_with(some(&["connection.needs_reauth", "connection.revoked"])).await;
    world.tell("one").await;
    world.tell_event(&Event::ConnectionRevoked(world.subject("two"))).await;
    world.tell_event(&Event::ConnectionRecovered(world.subject("three"))).await;
    assert_eq!(messages(&world).await, 3);
    let deliveries = world.deliveries().await;
    let count = |endpoint| deliveries.iter().filter(|one| one.endpoint_id == endpoint).count();
    assert_eq!((count(all), count(made), count(ends)), (3, 1, 1));
}

async fn environments_are_apart(database: TestDatabase) {
    let world = World::new(database).await;
    let permit =
        causeway_identity::authorize(&world.other, causeway_types::Clock::now(&*world.clock));
    let new = NewEndpoint { url: "https://example.com/".into(), ..plain() };
    world.webhooks.create_endpoint(&permit.unwrap(), new).await.unwrap();
    world.tell("one").await;
    assert_eq!((messages(&world).await, world.deliveries().await.len()), (0, 0));
}

async fn a_disabled_endpoint_misses_nothing_for_good(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    world.webhooks.disable_endpoint(&world.permit(), id).await.unwrap();
    world.tell("one").await;
    assert_eq!(world.deliver().await, 0);
    let dead = world.delivery().await;
    assert_eq!(dead.state, WebhookDeliveryState::Dead);
    assert_eq!(dead.dead_reason, Some(WebhookDeadReason::EndpointDisabled));
    let (_, replayed) = world.webhooks.enable_endpoint(&world.permit(), id, true).await.unwrap();
    assert_eq!(replayed.deliveries, 1);
    assert_eq!(world.deliver().await, 1);
    assert_eq!(receiver.next().await.name(), "one");
}

/// Deletes the endpoint between the making of a message and its commit.
async fn an_endpoint_that_goes_away_meanwhile_spoils_no_change(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _) = world.endpoint("https://example.com/").await;
    let tx = world.telling(&Event::ConnectionCreated(world.subject("one"))).await;
    let deleting = tokio::spawn({
        let (webhooks, permit) = (world.webhooks.clone(), world.permit());
        async move { webhooks.delete_endpoint(&permit, id).await }
    });
    // The deletion waits for the message, or comes after it: either way both go through.
    tokio::task::yield_now().await;
    world.commit(tx).await;
    deleting.await.unwrap().unwrap();
    assert_eq!(world.deliveries().await.len(), 0);
    world.tell("two").await;
    assert_eq!(world.deliveries().await.len(), 0);
}
