//! What ended long ago is gone for good.

use crate::receiver::Receiver;
use crate::world::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use std::time::Duration;

on_both!(what_ended_long_ago_is_deleted);

const DAY: Duration = Duration::from_hours(24);

async fn what_ended_long_ago_is_deleted(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (good, _) = world.endpoint(&receiver.url("/")).await;
    let (bad, _) = world.endpoint("https://example.com/").await;
    world.webhooks.disable_endpoint(&world.permit(), bad).await.unwrap();
    world.tell("old").await;
    world.deliver().await;
    receiver.received();
    world.clock.advance(DAY * 29);
    world.tell("young").await;
    world.deliver().await;
    assert_eq!(world.webhooks.prune().await.unwrap(), 0);

    let count = async || {
        let permit = world.permit();
        let messages = world.webhooks.messages(&permit, None, 100).await.unwrap().items.len();
        let all = world.deliveries().await;
        let of = |endpoint| all.iter().filter(|one| one.endpoint_id == endpoint).count();
        (messages, of(good), of(bad))
    };
    assert_eq!(count().await, (2, 2, 2));
    // A month after its end, what was delivered goes; what is dead stays for two more.
    world.clock.advance(DAY * 2);
    assert_eq!(world.webhooks.prune().await.unwrap(), 1);
    assert_eq!(count().await, (2, 1, 2));
    world.clock.advance(DAY * 60);
    world.webhooks.prune().await.unwrap();
    assert_eq!(count().await, (1, 0, 1));
    world.clock.advance(DAY * 40);
    world.webhooks.prune().await.unwrap();
    assert_eq!(count().await, (0, 0, 0));
}
