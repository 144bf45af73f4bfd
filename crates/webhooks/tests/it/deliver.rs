//! From a change to a receiver, and what happens when that does not take it.

use crate::receiver::{Receiver, Reply};
use crate::world::{World, plain};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Clock as _;
use causeway_types::entity::{WebhookDeadReason, WebhookDeliveryState, WebhookSignature};
use causeway_webhooks::{Event, NewEndpoint};
use std::time::Duration;

on_both!(
    a_message_arrives_as_it_was_told,
    a_failed_delivery_climbs_the_ladder_and_dies,
    retry_after_is_honoured,
    redirects_are_not_followed,
    any_answer_is_cut_and_its_body_decides_nothing,
    an_unreachable_endpoint_is_tried_again,
    the_other_signature_is_there_for_who_wants_it,
    the_background_delivers_by_itself,
);

async fn a_message_arrives_as_it_was_told(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    receiver.reply(Reply::With(201, Vec::new(), "thanks".into()));
    world.endpoint(&receiver.url("/hooks?a=b")).await;
    let connection = world.subject("acme-crm");
    let reason = "grant_denied".to_owned();
    let event = Event::ConnectionNeedsReauth { connection: connection.clone(), reason };
    world.tell_event(&event).await;
    let told_at = world.clock.now();
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(world.deliver().await, 1);

    let got = receiver.next().await;
    assert_eq!(got.path, "/hooks?a=b");
    assert_eq!(got.header("content-type"), "application/json");
    assert!(got.header("user-agent").starts_with("causeway/"));
    assert_eq!(got.header("webhook-timestamp"), world.clock.now().as_secs().to_string());
    for (name, alias) in [
        ("webhook-id", "svix-id"),
        ("webhook-timestamp", "svix-timestamp"),
        ("webhook-signature", "svix-signature"),
    ] {
        assert_eq!(got.header(name), got.header(alias));
    }
    let body = got.json();
    assert_eq!(body["type"], "connection.needs_reauth");
    assert_eq!(body["timestamp"], told_at.to_string());
    assert_eq!(body["data"]["environment_id"], world.tenant().environment.to_string());
    assert_eq!(body["data"]["connection"]["id"], connection.id.to_string());
    assert_eq!(body["data"]["reason"], "grant_denied");

    let delivery = world.delivery().await;
    assert_eq!(delivery.state, WebhookDeliveryState::Delivered);
    assert_eq!(delivery.message_id.to_string(), got.id());
    assert_eq!((delivery.attempts, delivery.owner), (1, None));
    let attempts = world.attempts(&delivery).await;
    assert_eq!((attempts[0].number, attempts[0].status), (1, Some(201)));
    assert_eq!(attempts[0].answer.as_deref(), Some("thanks"));
    let message = world.webhooks.message(&world.permit(), delivery.message_id).await.unwrap();
    assert_eq!(message.body, body);
    assert_eq!(world.deliver().await, 0);
}

async fn a_failed_delivery_climbs_the_ladder_and_dies(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    receiver.reply(Reply::With(500, Vec::new(), "not today".into()));
    world.endpoint(&receiver.url("/")).await;
    world.tell("one").await;
    let rungs = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
    for (tries, rung) in (1..).zip(rungs) {
        assert_eq!(world.deliver().await, 1);
        let delivery = world.delivery().await;
        assert_eq!(delivery.state, WebhookDeliveryState::Pending);
        assert_eq!((delivery.attempts, delivery.tries), (tries, tries));
        let pause = delivery.due_at.unwrap().since(world.clock.now()).as_secs();
        assert!(pause >= rung * 9 / 10 - 1 && pause <= rung * 11 / 10, "{tries}: {pause}");
        // Not before its time.
        world.clock.advance(Duration::from_secs(pause - 1));
        assert_eq!(world.deliver().await, 0);
        world.skip().await;
    }
    assert_eq!(world.deliver().await, 1);
    let dead = world.delivery().await;
    assert_eq!(dead.state, WebhookDeliveryState::Dead);
    assert_eq!(dead.dead_reason, Some(WebhookDeadReason::Exhausted));
    assert_eq!(dead.ended_at, Some(world.clock.now()));
    let attempts = world.attempts(&dead).await;
    assert_eq!(attempts.len(), 10);
    assert!(attempts.iter().all(|one| one.status == Some(500)));
    assert_eq!(attempts[0].number, 10);
    assert_eq!(attempts[0].answer.as_deref(), Some("not today"));
    // The same message every time, signed anew.
    let got = receiver.received();
    assert_eq!(got.len(), 10);
    assert!(got.iter().all(|one| one.id() == got[0].id() && one.body == got[0].body));
    assert_ne!(got[0].header("webhook-signature"), got[9].header("webhook-signature"));
    world.clock.advance(Duration::from_hours(1000));
    assert_eq!(world.deliver().await, 0);
}

async fn retry_after_is_honoured(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    world.tell("one").await;
    let date = "Sun, 06 Nov 1994 08:49:37 GMT".to_owned();
    for (status, wish, seconds) in [
        (429, "60".to_owned(), 60),
        (503, "7200".to_owned(), 7_200),
        (503, date, 30 * 54),
        // Only those two say that they are overloaded.
        (500, "86400".to_owned(), 2 * 3_600 * 9 / 10),
    ] {
        receiver.once(Reply::With(status, vec![("retry-after", wish)], String::new()));
        assert_eq!(world.deliver().await, 1);
        let pause = world.delivery().await.due_at.unwrap().since(world.clock.now()).as_secs();
        assert!(pause + 1 >= seconds && pause <= seconds.max(60) * 5 / 4, "{status}: {pause}");
        world.skip().await;
    }
}

async fn redirects_are_not_followed(database: TestDatabase) {
    let world = World::new(database).await;
    let (mut front, mut behind) = (Receiver::start().await, Receiver::start().await);
    let location = vec![("location", behind.url("/"))];
    front.reply(Reply::With(307, location, String::new()));
    world.endpoint(&front.url("/")).await;
    world.tell("one").await;
    world.deliver().await;
    assert_eq!((front.received().len(), behind.received().len()), (1, 0));
    let delivery = world.delivery().await;
    assert_eq!(delivery.state, WebhookDeliveryState::Pending);
    assert_eq!(world.attempts(&delivery).await[0].status, Some(307));
}

async fn any_answer_is_cut_and_its_body_decides_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    let (_, secret) = world.endpoint(&receiver.url("/")).await;
    let echo = format!("your secret is {secret}, {}", "é".repeat(2_000_000));
    receiver.once(Reply::With(200, Vec::new(), echo));
    world.tell("one").await;
    world.deliver().await;
    let delivery = world.delivery().await;
    assert_eq!(delivery.state, WebhookDeliveryState::Delivered);
    let answer = world.attempts(&delivery).await[0].answer.clone().unwrap();
    assert!(answer.starts_with("your secret is [redacted], éé"), "{answer}");
    assert!(answer.len() <= 1024 && answer.len() > 1000);

    // A body that never comes holds nobody up, and a success is one.
    receiver.once(Reply::Endless(200));
    world.tell("two").await;
    world.deliver().await;
    let all = world.deliveries().await;
    assert!(all.iter().all(|one| one.state == WebhookDeliveryState::Delivered), "{all:?}");
}

async fn an_unreachable_endpoint_is_tried_again(database: TestDatabase) {
    let world = World::new(database).await;
    let closed = Receiver::start().await.url("/");
    let held = Receiver::start().await;
    held.reply(Reply::Held(200));
    world.endpoint(&closed).await;
    world.endpoint(&held.url("/")).await;
    world.tell("one").await;
    assert_eq!(world.deliver().await, 2);
    let mut codes = Vec::new();
    for delivery in world.deliveries().await {
        assert_eq!(delivery.state, WebhookDeliveryState::Pending);
        let attempts = world.attempts(&delivery).await;
        assert_eq!(attempts[0].status, None);
        codes.push(attempts[0].error_code.clone().unwrap());
    }
    codes.sort();
    assert_eq!(codes, ["egress_timeout", "egress_unreachable"]);
}

async fn the_other_signature_is_there_for_who_wants_it(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (_, secret) = world
        .endpoint_with(NewEndpoint {
            url: receiver.url("/"),
            signature: WebhookSignature::XPd,
            ..plain()
        })
        .await;
    world.tell("one").await;
    world.deliver().await;
    let got = receiver.next().await;
    let (time, signature) = got.header("x-pd-signature").split_once(',').unwrap();
    let time = time.strip_prefix("t=").unwrap();
    assert_eq!(time, world.clock.now().as_secs().to_string());
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let signed = aws_lc_rs::hmac::sign(&key, format!("{time}.{}", got.body).as_bytes());
    let expected = format!("v1={}", data_encoding::HEXLOWER.encode(signed.as_ref()));
    assert_eq!(signature, expected);
    assert_eq!(got.header("webhook-signature"), "");
}

async fn the_background_delivers_by_itself(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.endpoint(&receiver.url("/")).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn({
        let (webhooks, stop) = (world.webhooks.clone(), stop.clone());
        async move { webhooks.run(stop).await }
    });
    // Nobody tells the courier but the commit.
    for name in ["one", "two", "three"] {
        world.tell(name).await;
        assert_eq!(receiver.next().await.name(), name);
    }
    // A transaction that does not commit leaves nothing.
    drop(world.telling(&Event::ConnectionCreated(world.subject("never"))).await);
    world.tell("four").await;
    assert_eq!(receiver.next().await.name(), "four");
    stop.cancel();
    running.await.unwrap();
    let all = world.deliveries().await;
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|one| one.state == WebhookDeliveryState::Delivered));
}
