//! Endpoints that are given up, and how they come back.

use crate::receiver::{Receiver, Reply};
use crate::world::World;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Actor;
use causeway_types::entity::{
    WebhookDeadReason, WebhookDeliveryState, WebhookDisabledReason, WebhookEndpointState,
};
use std::time::Duration;

on_both!(
    gone_disables_at_once,
    five_days_of_failures_disable,
    a_success_in_between_counts,
    failures_that_are_far_apart_are_not_one_outage,
    what_becomes_pending_at_the_last_moment_is_given_up_too,
);

async fn gone_disables_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    receiver.once(Reply::Status(500));
    world.tell("one").await;
    world.deliver().await;
    receiver.once(Reply::Status(410));
    world.tell("two").await;
    assert_eq!(world.deliver().await, 1);
    let endpoint = world.webhooks.endpoint(&world.permit(), id).await.unwrap();
    assert_eq!(endpoint.state, WebhookEndpointState::Disabled);
    assert_eq!(endpoint.disabled_reason, Some(WebhookDisabledReason::Gone));
    let reasons: Vec<_> =
        world.deliveries().await.iter().map(|one| one.dead_reason.unwrap()).collect();
    assert_eq!(reasons, [WebhookDeadReason::EndpointDisabled, WebhookDeadReason::Gone]);
    let audited = world.audited("webhook_endpoint_disabled").await;
    assert_eq!(audited.len(), 1);
    assert!(audited[0].detail.contains(r#""reason":"gone""#), "{}", audited[0].detail);
    assert!(audited[0].actor.starts_with("nod_"));

    // Nothing goes there any more.
    receiver.received();
    world.clock.advance(Duration::from_hours(24));
    world.tell("three").await;
    assert_eq!(world.deliver().await, 0);
    // Enabled, it gets what comes, and with the wish to, what it missed.
    let enabled = world.webhooks.enable_endpoint(&world.permit(), id, true).await.unwrap();
    assert_eq!(enabled.0.state, WebhookEndpointState::Enabled);
    assert_eq!((enabled.1.deliveries, enabled.1.more), (3, false));
    assert_eq!(world.deliver().await, 3);
    let mut names: Vec<_> =
        receiver.received().iter().map(super::receiver::Received::name).collect();
    names.sort();
    assert_eq!(names, ["one", "three", "two"]);
    assert_eq!(world.audited("webhook_endpoint_enabled").await.len(), 1);
}

/// Lets a message fail every day, at noon.
async fn a_day_of_failures(world: &World) {
    world.tell("daily").await;
    world.deliver().await;
    world.clock.advance(Duration::from_hours(24));
}

async fn state(world: &World, id: causeway_types::WebhookEndpointId) -> WebhookEndpointState {
    world.webhooks.endpoint(&world.permit(), id).await.unwrap().state
}

async fn five_days_of_failures_disable(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    receiver.reply(Reply::Status(500));
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    for _ in 0..5 {
        a_day_of_failures(&world).await;
        assert_eq!(state(&world, id).await, WebhookEndpointState::Enabled);
    }
    world.deliver().await;
    let endpoint = world.webhooks.endpoint(&world.permit(), id).await.unwrap();
    assert_eq!(endpoint.disabled_reason, Some(WebhookDisabledReason::Failing));
    assert_eq!(world.audited("webhook_endpoint_disabled").await.len(), 1);
    let all = world.deliveries().await;
    assert!(all.iter().all(|one| one.state == WebhookDeliveryState::Dead), "{all:?}");

    // What died since it began to fail comes, not what was dead before that.
    receiver.reply(Reply::Status(204));
    let (enabled, replayed) =
        world.webhooks.enable_endpoint(&world.permit(), id, true).await.unwrap();
    assert_eq!(enabled.failing_since, None);
    assert_eq!(replayed.deliveries, 5);
    assert_eq!(world.deliver().await, 5);
    assert!(
        world.deliveries().await.iter().all(|one| one.state == WebhookDeliveryState::Delivered)
    );
}

async fn a_success_in_between_counts(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    for _ in 0..4 {
        for _ in 0..3 {
            receiver.reply(Reply::Status(500));
            a_day_of_failures(&world).await;
        }
        receiver.reply(Reply::Status(204));
        world.tell("good").await;
        world.deliver().await;
        let endpoint = world.webhooks.endpoint(&world.permit(), id).await.unwrap();
        assert_eq!(endpoint.failing_since, None);
    }
    assert_eq!(state(&world, id).await, WebhookEndpointState::Enabled);
}

async fn failures_that_are_far_apart_are_not_one_outage(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    let (id, _) = world.endpoint(&receiver.url("/")).await;
    // One message runs through its whole ladder and dies; then nothing happens for a month.
    receiver.reply(Reply::Status(500));
    world.tell("one").await;
    while world.deliveries().await[0].state == WebhookDeliveryState::Pending {
        world.deliver().await;
        if world.deliveries().await[0].due_at.is_some() {
            world.skip().await;
        }
    }
    assert_eq!(state(&world, id).await, WebhookEndpointState::Enabled);
    world.clock.advance(Duration::from_hours(720));
    world.tell("two").await;
    world.deliver().await;
    assert_eq!(state(&world, id).await, WebhookEndpointState::Enabled);
    let pending = world.deliveries().await;
    assert_eq!(pending[1].state, WebhookDeliveryState::Pending);
}

/// A message is made by who still saw the endpoint enabled.
async fn what_becomes_pending_at_the_last_moment_is_given_up_too(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _) = world.endpoint("https://example.com/").await;
    world.tell("one").await;
    // What the race leaves behind, made by hand: the endpoint disabled, the delivery pending.
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    let now = causeway_types::Clock::now(&*world.clock);
    let workspace = world.tenant().workspace;
    let reason = WebhookDisabledReason::Request;
    causeway_store::db!(tx, webhook_endpoint::disable(workspace, id, reason, now)).unwrap();
    world.commit(tx).await;
    assert_eq!(world.deliver().await, 0);
    let delivery = world.delivery().await;
    assert_eq!(delivery.dead_reason, Some(WebhookDeadReason::EndpointDisabled));
}
