//! Sending again.

use crate::receiver::{Receiver, Reply};
use crate::world::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::WebhookDeliveryState;
use causeway_types::{Clock as _, Code, Coded as _, WebhookDeliveryId, WebhookEndpointId};
use causeway_webhooks::{Replayed, Span};
use std::time::Duration;

on_both!(
    one_delivery_goes_again_under_its_old_id,
    the_dead_of_a_span_go_again,
    nothing_is_replayed_to_a_disabled_endpoint,
);

async fn one_delivery_goes_again_under_its_old_id(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (endpoint, _) = world.endpoint(&receiver.url("/")).await;
    world.tell("one").await;
    world.deliver().await;
    let first = receiver.next().await;
    let delivery = world.delivery().await;
    world.webhooks.replay_delivery(&world.permit(), delivery.id).await.unwrap();
    let pending = world.delivery().await;
    assert_eq!((pending.state, pending.ended_at), (WebhookDeliveryState::Pending, None));
    receiver.once(Reply::Status(500));
    assert_eq!(world.deliver().await, 1);
    let second = receiver.next().await;
    assert_eq!((first.id(), &first.body), (second.id(), &second.body));
    // It waits on the first rung, and need not.
    assert_eq!(world.delivery().await.tries, 1);
    world.webhooks.replay_delivery(&world.permit(), delivery.id).await.unwrap();
    assert_eq!(world.deliver().await, 1);
    let delivery = world.delivery().await;
    assert_eq!((delivery.state, delivery.attempts), (WebhookDeliveryState::Delivered, 3));
    let numbers: Vec<_> = world.attempts(&delivery).await.iter().map(|one| one.number).collect();
    assert_eq!(numbers, [3, 2, 1]);
    let audited = world.audited("webhooks_replayed").await;
    assert_eq!(audited.len(), 2);
    assert!(audited[0].detail.contains(&endpoint.to_string()));

    let nobodys = WebhookDeliveryId::lowest();
    let error = world.webhooks.replay_delivery(&world.permit(), nobodys).await.err().unwrap();
    assert_eq!(error.code(), Code::NotFound);
}

async fn the_dead_of_a_span_go_again(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    let mut told_at = Vec::new();
    for number in 0..6 {
        told_at.push(world.clock.now());
        world.tell(&format!("n{number}")).await;
        world.clock.advance(Duration::from_mins(1));
    }
    // Half of them arrive, half die with the endpoint.
    for _ in 0..3 {
        receiver.once(Reply::Status(204));
    }
    receiver.reply(Reply::Status(204));
    let all = world.deliveries().await;
    world.deliver().await;
    for dead in &all[3..] {
        world.webhooks.replay_delivery(&world.permit(), dead.id).await.unwrap();
    }
    world.webhooks.disable_endpoint(&world.permit(), id).await.unwrap();
    world.webhooks.enable_endpoint(&world.permit(), id, false).await.unwrap();
    let state = |number: usize| {
        let all = world.deliveries();
        async move { all.await[number].state }
    };
    assert_eq!(state(2).await, WebhookDeliveryState::Delivered);
    assert_eq!(state(3).await, WebhookDeliveryState::Dead);

    let replay = async |span: Span| -> Replayed {
        world.webhooks.replay_endpoint(&world.permit(), id, span).await.unwrap()
    };
    // From the second's time on and before the fifth's: only the fourth is dead.
    let span = Span { since: Some(told_at[1]), until: Some(told_at[4]), delivered: false };
    assert_eq!(replay(span).await, Replayed { deliveries: 1, more: false });
    assert_eq!(state(3).await, WebhookDeliveryState::Pending);
    // Those too that had arrived.
    assert_eq!(replay(Span { delivered: true, ..span }).await.deliveries, 2);
    assert_eq!(replay(Span::default()).await.deliveries, 2);
    assert_eq!(replay(Span::default()).await.deliveries, 0);
    assert_eq!(world.deliver().await, 5);

    let nobodys = WebhookEndpointId::lowest();
    let span = Span::default();
    let error = world.webhooks.replay_endpoint(&world.permit(), nobodys, span).await.err().unwrap();
    assert_eq!(error.code(), Code::NotFound);
}

async fn nothing_is_replayed_to_a_disabled_endpoint(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _) = world.endpoint("https://example.com/").await;
    world.tell("one").await;
    world.webhooks.disable_endpoint(&world.permit(), id).await.unwrap();
    let delivery = world.delivery().await.id;
    let one = world.webhooks.replay_delivery(&world.permit(), delivery).await.err().unwrap();
    let all = world.webhooks.replay_endpoint(&world.permit(), id, Span::default()).await;
    for error in [one, all.err().unwrap()] {
        assert_eq!(error.code(), Code::WebhookEndpointDisabled);
    }
    assert_eq!(world.delivery().await.state, WebhookDeliveryState::Dead);
}
