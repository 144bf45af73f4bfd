//! Reports of connect sessions, and the project webhook that gets them too.

use crate::receiver::{Receiver, Reply};
use crate::world::World;
use aws_lc_rs::hmac;
use causeway_identity::authorize;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, WriteTx};
use causeway_types::entity::{
    WebhookDeadReason, WebhookDeliveryState, WebhookEndpointState, WebhookEvent, WebhookPurpose,
};
use causeway_types::{
    Actor, Clock as _, Code, Coded as _, ConnectSessionId, OsRandom, SecretBytes, WebhookEndpointId,
};
use causeway_webhooks::{EndpointChange, Report};
use data_encoding::HEXLOWER;
use serde_json::json;
use std::time::Duration;

on_both!(
    a_report_goes_to_its_session_and_to_the_project,
    endpoints_for_events_get_no_reports_and_the_others_no_events,
    a_report_is_there_with_its_change_or_not_at_all,
    a_token_is_shown_to_its_receiver_alone,
    a_report_climbs_the_ladder_and_is_replayed,
    the_project_webhook_moves_and_gets_another_key,
    a_project_webhook_that_wanted_no_more_is_enabled_by_setting_it,
    receivers_of_reports_are_not_changed_as_endpoints_for_events_are,
    receivers_of_sessions_go_with_what_they_got,
);

const DAY: Duration = Duration::from_hours(24);

fn session(world: &World) -> ConnectSessionId {
    ConnectSessionId::generate(world.clock.now(), &OsRandom)
}

async fn reporting(
    world: &World,
    session: ConnectSessionId,
    url: Option<&str>,
    token: &str,
) -> WriteTx {
    let outbox = world.webhooks.outbox(world.tenant().workspace).await.unwrap();
    let body = json!({ "event": "CONNECTION_SUCCESS", "connect_token": token });
    let report = Report {
        session,
        kind: WebhookEvent::ConnectionSuccess,
        url: url.map(|url| url.parse().unwrap()),
        body: SecretBytes::new(body.to_string().into_bytes()),
    };
    let mut tx = world.database.store.write(Actor::Machine).await.unwrap();
    outbox.report(&mut tx, world.tenant(), &report, world.clock.now()).await.unwrap();
    tx
}

async fn report(world: &World, session: ConnectSessionId, url: Option<&str>, token: &str) {
    let tx = reporting(world, session, url, token).await;
    tx.commit_bookkeeping(Bookkeeping::ConnectProgress).await.unwrap();
}

/// What `x-pd-signature` has to be.
fn signature(key: &str, seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signed = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", HEXLOWER.encode(signed.as_ref()))
}

async fn a_report_goes_to_its_session_and_to_the_project(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let (view, key) = world
        .webhooks
        .set_project_webhook(&world.permit(), &receiver.url("/project"))
        .await
        .unwrap();
    assert_eq!(view.environment, world.tenant().environment);
    let key = key.unwrap().expose().clone();
    let own = session(&world);
    report(&world, own, Some(&receiver.url("/own?t=1")), "ctok_one").await;
    assert_eq!(world.deliver().await, 2);
    let mut got = receiver.received();
    got.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = got.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/own?t=1", "/project"]);
    assert_eq!(got[0].id(), got[1].id(), "one message");
    let seconds = world.clock.now().as_secs();
    for (one, key) in got.iter().zip(["ctok_one", &key]) {
        assert_eq!(one.json()["connect_token"], "ctok_one");
        assert_eq!(one.header("x-pd-signature"), signature(key, seconds, &one.body));
    }
    // Another report of the same session goes to the same receiver.
    report(&world, own, Some(&receiver.url("/own?t=1")), "ctok_one").await;
    assert_eq!(world.deliver().await, 2);
    let endpoints: std::collections::BTreeSet<_> =
        world.deliveries().await.into_iter().map(|one| one.endpoint_id).collect();
    assert_eq!(endpoints.len(), 2);
    // One without a receiver goes to the project alone; without that, to nobody.
    report(&world, session(&world), None, "ctok_two").await;
    assert_eq!(world.deliver().await, 1);
    world.webhooks.delete_project_webhook(&world.permit()).await.unwrap();
    let before = world.deliveries().await.len();
    report(&world, session(&world), None, "ctok_three").await;
    assert_eq!(world.deliveries().await.len(), before);
}

async fn endpoints_for_events_get_no_reports_and_the_others_no_events(database: TestDatabase) {
    let world = World::new(database).await;
    let (events, _) = world.endpoint("https://example.com/").await;
    world
        .webhooks
        .set_project_webhook(&world.permit(), "https://example.com/project")
        .await
        .unwrap();
    // The other environment's project webhook gets nothing of this one.
    let other = authorize(&world.other, world.clock.now()).unwrap();
    world.webhooks.set_project_webhook(&other, "https://example.com/other").await.unwrap();
    report(&world, session(&world), Some("https://example.com/own"), "ctok_one").await;
    assert_eq!(world.deliveries().await.len(), 2);
    assert!(world.deliveries().await.iter().all(|one| one.endpoint_id != events));
    world.tell("one").await;
    let told = world.deliveries().await;
    assert_eq!(told.iter().filter(|one| one.endpoint_id == events).count(), 1);
    assert_eq!(told.len(), 3);
    let listed = world.webhooks.endpoints(&world.permit(), None, 10).await.unwrap().items;
    let listed: Vec<_> = listed.into_iter().map(|one| (one.id, one.purpose)).collect();
    assert_eq!(listed, [(events, WebhookPurpose::Events)]);
}

async fn a_report_is_there_with_its_change_or_not_at_all(database: TestDatabase) {
    let world = World::new(database).await;
    let own = session(&world);
    drop(reporting(&world, own, Some("https://example.com/own"), "ctok_one").await);
    assert_eq!(world.deliveries().await.len(), 0);
    let id = WebhookEndpointId::from_bytes(own.to_bytes());
    let gone = world.webhooks.endpoint(&world.permit(), id).await.err().unwrap();
    assert_eq!(gone.code(), Code::NotFound);
    report(&world, own, Some("https://example.com/own"), "ctok_one").await;
    assert_eq!(world.delivery().await.endpoint_id, id);
}

async fn a_token_is_shown_to_its_receiver_alone(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    world.webhooks.set_project_webhook(&world.permit(), &receiver.url("/project")).await.unwrap();
    receiver.reply(Reply::With(200, Vec::new(), "you sent ctok_canary-4a7e".into()));
    report(&world, session(&world), Some(&receiver.url("/own")), "ctok_canary-4a7e").await;
    assert_eq!(world.deliver().await, 2);
    assert!(receiver.received().iter().all(|one| one.body.contains("ctok_canary-4a7e")));
    let messages = world.webhooks.messages(&world.permit(), None, 10).await.unwrap().items;
    assert_eq!(messages[0].body["connect_token"], "[redacted]");
    assert_eq!(messages[0].body["event"], "CONNECTION_SUCCESS");
    for delivery in world.deliveries().await {
        let shown = world.webhooks.message(&world.permit(), delivery.message_id).await.unwrap();
        assert_eq!(shown.body["connect_token"], "[redacted]");
        let answer = world.attempts(&delivery).await.remove(0).answer.unwrap();
        assert_eq!(answer, "you sent [redacted]");
    }
}

async fn a_report_climbs_the_ladder_and_is_replayed(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    receiver.reply(Reply::Status(500));
    report(&world, session(&world), Some(&receiver.url("/own")), "ctok_one").await;
    for _ in 0..9 {
        assert_eq!(world.deliver().await, 1);
        world.skip().await;
    }
    assert_eq!(world.deliver().await, 1);
    let dead = world.delivery().await;
    assert_eq!(
        (dead.state, dead.dead_reason, dead.attempts),
        (WebhookDeliveryState::Dead, Some(WebhookDeadReason::Exhausted), 10)
    );
    receiver.reply(Reply::Status(204));
    world.webhooks.replay_delivery(&world.permit(), dead.id).await.unwrap();
    assert_eq!(world.deliver().await, 1);
    assert_eq!(world.delivery().await.state, WebhookDeliveryState::Delivered);
    let ids: std::collections::BTreeSet<_> =
        receiver.received().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(ids.len(), 1);
}

async fn the_project_webhook_moves_and_gets_another_key(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    let set = async |path: &str| {
        let url = receiver.url(path);
        let set = world.webhooks.set_project_webhook(&world.permit(), &url).await.unwrap();
        set.1.map(|key| key.expose().clone())
    };
    let first = set("/a").await.unwrap();
    report(&world, session(&world), None, "ctok_one").await;
    // What is on its way goes to where it is then.
    assert_eq!(set("/b").await, None, "the key stays");
    let (_, renewed) = world.webhooks.renew_project_webhook_key(&world.permit()).await.unwrap();
    assert_ne!(*renewed.expose(), first);
    assert_eq!(world.deliver().await, 1);
    let got = receiver.next().await;
    let seconds = world.clock.now().as_secs();
    assert_eq!(got.path, "/b");
    assert_eq!(got.header("x-pd-signature"), signature(renewed.expose(), seconds, &got.body));
    for action in ["project_webhook_set", "project_webhook_key_rotated"] {
        assert!(!world.audited(action).await.is_empty(), "{action}");
    }
    world.webhooks.delete_project_webhook(&world.permit()).await.unwrap();
    assert_eq!(world.audited("project_webhook_deleted").await.len(), 1);
    let none = world.webhooks.renew_project_webhook_key(&world.permit()).await.err().unwrap();
    assert_eq!(none.code(), Code::NotFound);
}

async fn a_project_webhook_that_wanted_no_more_is_enabled_by_setting_it(database: TestDatabase) {
    let world = World::new(database).await;
    let mut receiver = Receiver::start().await;
    receiver.reply(Reply::Status(410));
    let url = receiver.url("/project");
    world.webhooks.set_project_webhook(&world.permit(), &url).await.unwrap();
    report(&world, session(&world), None, "ctok_one").await;
    assert_eq!(world.deliver().await, 1);
    let id = world.delivery().await.endpoint_id;
    let state = async || world.webhooks.endpoint(&world.permit(), id).await.unwrap().state;
    assert_eq!(state().await, WebhookEndpointState::Disabled);
    report(&world, session(&world), None, "ctok_two").await;
    assert_eq!(world.deliver().await, 0);
    receiver.reply(Reply::Status(204));
    world.webhooks.set_project_webhook(&world.permit(), &url).await.unwrap();
    assert_eq!(state().await, WebhookEndpointState::Enabled);
    report(&world, session(&world), None, "ctok_three").await;
    assert_eq!(world.deliver().await, 1);
    assert_eq!(receiver.received().len(), 2);
}

async fn receivers_of_reports_are_not_changed_as_endpoints_for_events_are(database: TestDatabase) {
    let world = World::new(database).await;
    world.webhooks.set_project_webhook(&world.permit(), "https://example.com/p").await.unwrap();
    report(&world, session(&world), Some("https://example.com/own"), "ctok_one").await;
    for delivery in world.deliveries().await {
        let id = delivery.endpoint_id;
        let shown = world.webhooks.endpoint(&world.permit(), id).await.unwrap();
        assert_ne!(shown.purpose, WebhookPurpose::Events);
        let url = Some("https://attacker.example/".to_owned());
        let change = EndpointChange { url, ..EndpointChange::default() };
        let changed = world.webhooks.change_endpoint(&world.permit(), id, change).await;
        assert_eq!(changed.err().unwrap().code(), Code::NotFound);
        let rotated = world.webhooks.rotate_secret(&world.permit(), id).await;
        assert_eq!(rotated.err().unwrap().code(), Code::NotFound);
        let deleted = world.webhooks.delete_endpoint(&world.permit(), id).await;
        assert_eq!(deleted.err().unwrap().code(), Code::NotFound);
    }
    assert_eq!(world.deliveries().await.len(), 2);
}

async fn receivers_of_sessions_go_with_what_they_got(database: TestDatabase) {
    let world = World::new(database).await;
    let receiver = Receiver::start().await;
    world.webhooks.set_project_webhook(&world.permit(), &receiver.url("/p")).await.unwrap();
    let own = session(&world);
    report(&world, own, Some(&receiver.url("/own")), "ctok_one").await;
    assert_eq!(world.deliver().await, 2);
    world.clock.advance(DAY * 29);
    assert_eq!(world.webhooks.prune().await.unwrap(), 0);
    world.clock.advance(DAY * 2);
    // Two deliveries, their message, and the session's receiver.
    assert_eq!(world.webhooks.prune().await.unwrap(), 4);
    let id = WebhookEndpointId::from_bytes(own.to_bytes());
    assert!(world.webhooks.endpoint(&world.permit(), id).await.is_err());
    assert!(world.webhooks.has_project_webhook(world.tenant()).await.unwrap());
}
