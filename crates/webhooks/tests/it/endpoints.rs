//! Setting endpoints up.

use crate::world::{World, plain};
use causeway_identity::{Permit, action, authorize};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{WebhookEndpointState, WebhookSignature};
use causeway_types::{Clock as _, Code, Coded as _, WebhookEndpointId};
use causeway_webhooks::{EndpointChange, NewEndpoint, WebhookError};
use std::time::Duration;

on_both!(
    an_endpoint_is_made_changed_and_deleted,
    what_cannot_be_is_refused,
    a_program_confined_to_an_app_sees_no_webhooks,
    an_endpoint_of_another_environment_is_not_there,
    enabling_and_disabling_twice_is_once,
);

async fn an_endpoint_is_made_changed_and_deleted(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, secret) = world.endpoint("https://example.com/hooks?token=canary").await;
    assert!(secret.starts_with("whsec_") && secret.len() > 40);
    let (read, manage) = (world.permit(), world.permit());
    let made = world.webhooks.endpoint(&read, id).await.unwrap();
    assert_eq!(made.url.to_string(), "https://example.com/hooks?token=***");
    assert_eq!(made.state, WebhookEndpointState::Enabled);
    assert!(made.event_types.is_empty() && !made.ordered && made.old_secret_until.is_none());

    world.clock.advance(Duration::from_secs(1));
    let change = EndpointChange {
        url: Some("https://hooks.example.com/x".into()),
        event_types: Some(vec!["connection.revoked".into()]),
        ordered: Some(true),
        signature: Some(WebhookSignature::XPd),
        ..EndpointChange::default()
    };
    let changed = world.webhooks.change_endpoint(&manage, id, change).await.unwrap();
    assert_eq!(changed.url.to_string(), "https://hooks.example.com/x");
    assert_eq!(
        (changed.event_types.as_slice(), changed.ordered),
        (&["connection.revoked".to_owned()][..], true)
    );
    assert_eq!(changed.description, "test");
    assert_eq!(changed.updated_at, world.clock.now());
    // A change of nothing is none.
    let same = world.webhooks.change_endpoint(&manage, id, EndpointChange::default()).await;
    assert_eq!(same.unwrap().updated_at, changed.updated_at);

    let rotated = world.webhooks.rotate_secret(&manage, id).await.unwrap();
    assert_ne!(*rotated.secret.expose(), secret);
    // The new URL is still there.
    assert_eq!(rotated.endpoint.url.to_string(), "https://hooks.example.com/x");
    world.clock.advance(Duration::from_hours(24));
    assert_eq!(world.webhooks.endpoint(&read, id).await.unwrap().old_secret_until, None);

    world.tell_event(&causeway_webhooks::Event::ConnectionRevoked(world.subject("one"))).await;
    world.webhooks.delete_endpoint(&manage, id).await.unwrap();
    assert!(world.deliveries().await.is_empty());
    let gone = world.webhooks.endpoint(&read, id).await.err().unwrap();
    assert_eq!(gone.code(), Code::NotFound);
    let audit = world.audit().await;
    let actions: Vec<_> = audit
        .iter()
        .map(|row| row.action.as_str())
        .filter(|action| action.starts_with("webhook"))
        .collect();
    assert_eq!(
        actions,
        [
            "webhook_endpoint_created",
            "webhook_endpoint_changed",
            "webhook_endpoint_secret_rotated",
            "webhook_endpoint_deleted",
        ]
    );
    let details: String = audit.iter().map(|row| row.detail.as_str()).collect();
    assert!(details.contains("example.com") && !details.contains("canary"), "{details}");
}

async fn what_cannot_be_is_refused(database: TestDatabase) {
    let world = World::new(database).await;
    let manage = world.permit();
    let fine = || NewEndpoint { url: "https://example.com/".into(), ..plain() };
    let types = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    for wrong in [
        NewEndpoint { url: "http://example.com/".into(), ..fine() },
        NewEndpoint { url: "https://me:pw@example.com/".into(), ..fine() },
        NewEndpoint { url: "nonsense".into(), ..fine() },
        NewEndpoint { url: format!("https://example.com/{}", "x".repeat(3000)), ..fine() },
        NewEndpoint { description: "x".repeat(201), ..fine() },
        NewEndpoint { description: "a\nb".into(), ..fine() },
        NewEndpoint { event_types: types(&["connection.exploded"]), ..fine() },
        NewEndpoint { event_types: types(&["connection.created", "connection.created"]), ..fine() },
    ] {
        let refused = world.webhooks.create_endpoint(&manage, wrong).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidRequest, "{refused}");
        assert!(refused.public().ends_with('.'), "{}", refused.public());
    }
    for _ in 0..50 {
        world.webhooks.create_endpoint(&manage, fine()).await.unwrap();
    }
    let refused = world.webhooks.create_endpoint(&manage, fine()).await.err().unwrap();
    assert!(refused.public().contains("at most 50"), "{}", refused.public());
}

async fn a_program_confined_to_an_app_sees_no_webhooks(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _) = world.endpoint("https://example.com/").await;
    world.tell("one").await;
    let confined = world.confined().await;
    let now = world.clock.now();
    let read: Permit<action::ReadWebhooks> = authorize(&confined, now).unwrap();
    let manage: Permit<action::ManageWebhooks> = authorize(&confined, now).unwrap();
    let replay: Permit<action::ReplayWebhooks> = authorize(&confined, now).unwrap();
    let webhooks = &world.webhooks;
    let new = NewEndpoint { url: "https://example.com/".into(), ..plain() };
    let change = EndpointChange::default();
    let filter = causeway_types::entity::WebhookDeliveryFilter::default();
    let delivery = world.delivery().await;
    let message = delivery.message_id;
    let refusals = [
        webhooks.endpoint(&read, id).await.err(),
        webhooks.endpoints(&read, None, 10).await.err(),
        webhooks.messages(&read, None, 10).await.err(),
        webhooks.message(&read, message).await.err(),
        webhooks.deliveries(&read, &filter, None, 10).await.err(),
        webhooks.attempts(&read, delivery.id, None, 10).await.err(),
        webhooks.create_endpoint(&manage, new).await.err(),
        webhooks.change_endpoint(&manage, id, change).await.err(),
        webhooks.rotate_secret(&manage, id).await.err(),
        webhooks.disable_endpoint(&manage, id).await.err(),
        webhooks.enable_endpoint(&manage, id, false).await.err(),
        webhooks.delete_endpoint(&manage, id).await.err(),
        webhooks.replay_delivery(&replay, delivery.id).await.err(),
        webhooks.replay_endpoint(&replay, id, causeway_webhooks::Span::default()).await.err(),
    ];
    for refused in refusals {
        assert!(matches!(refused, Some(WebhookError::Denied(_))), "{refused:?}");
    }
}

async fn an_endpoint_of_another_environment_is_not_there(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _) = world.endpoint("https://example.com/").await;
    world.tell("one").await;
    let delivery = world.delivery().await;
    let now = world.clock.now();
    let read: Permit<action::ReadWebhooks> = authorize(&world.other, now).unwrap();
    let manage: Permit<action::ManageWebhooks> = authorize(&world.other, now).unwrap();
    let replay: Permit<action::ReplayWebhooks> = authorize(&world.other, now).unwrap();
    let webhooks = &world.webhooks;
    let change = EndpointChange { description: Some("x".into()), ..EndpointChange::default() };
    let errors = [
        webhooks.endpoint(&read, id).await.err(),
        webhooks.message(&read, delivery.message_id).await.err(),
        webhooks.attempts(&read, delivery.id, None, 10).await.err(),
        webhooks.change_endpoint(&manage, id, change).await.err(),
        webhooks.rotate_secret(&manage, id).await.err(),
        webhooks.disable_endpoint(&manage, id).await.err(),
        webhooks.enable_endpoint(&manage, id, false).await.err(),
        webhooks.delete_endpoint(&manage, id).await.err(),
        webhooks.replay_delivery(&replay, delivery.id).await.err(),
        webhooks.replay_endpoint(&replay, id, causeway_webhooks::Span::default()).await.err(),
    ];
    for error in errors {
        assert_eq!(error.map(|error| error.code()), Some(Code::NotFound));
    }
    assert!(webhooks.endpoints(&read, None, 10).await.unwrap().items.is_empty());
    assert!(webhooks.messages(&read, None, 10).await.unwrap().items.is_empty());
    let filter = causeway_types::entity::WebhookDeliveryFilter::default();
    assert!(webhooks.deliveries(&read, &filter, None, 10).await.unwrap().items.is_empty());
}

async fn enabling_and_disabling_twice_is_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, _): (WebhookEndpointId, _) = world.endpoint("https://example.com/").await;
    for _ in 0..2 {
        world.webhooks.disable_endpoint(&world.permit(), id).await.unwrap();
    }
    for _ in 0..2 {
        world.webhooks.enable_endpoint(&world.permit(), id, true).await.unwrap();
    }
    assert_eq!(world.audited("webhook_endpoint_disabled").await.len(), 1);
    assert_eq!(world.audited("webhook_endpoint_enabled").await.len(), 1);
}
