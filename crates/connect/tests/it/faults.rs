//! Refreshes that go wrong, at a provider that fails on demand.

use crate::browser::Browser;
use crate::world::{World, access_token, cookie, credential};
use causeway_connect::{CredentialError, NewSession};
use causeway_simulators::{DemoApp, DemoOptions, Fault};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{ConnectionState, RefreshPhase};
use causeway_types::{ConnectionId, Timestamp};
use std::time::Duration;

on_both!(
    trouble_backs_off_and_passes,
    trouble_ahead_of_expiry_hurts_nobody,
    a_denial_ends_the_grant_until_the_customer_connects_again,
    a_lost_request_is_repeated,
    a_lost_answer_ends_the_grant_of_a_strict_app_by_name,
    a_lost_answer_is_made_good_by_a_lenient_app,
    a_refresh_that_was_overtaken_by_a_new_grant_writes_nothing,
    a_denial_that_was_overtaken_by_a_new_grant_is_not_believed,
    a_holder_that_was_away_too_long_writes_nothing,
    an_answer_is_kept_although_its_caller_went_away,
    a_deletion_takes_back_the_newest_grant,
    an_unfinished_deletion_is_taken_up,
    an_app_that_is_down_is_not_counted_as_a_lost_answer,
    a_token_that_cannot_be_renewed_lives_until_its_end,
    a_row_that_is_gone_says_so_and_keeps_nobody_waiting,
);

const HOUR: Duration = Duration::from_hours(1);

async fn demo(database: TestDatabase, lenient: bool) -> (World, DemoApp, ConnectionId) {
    let options = DemoOptions { accept_previous_token: lenient, ..DemoOptions::default() };
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let mut row = app.app_yaml();
    if lenient {
        row = row.replace("rotates: true", "rotates: true\n      retry_old_token: true");
    }
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = Box::pin(World::new(database, &row, (&id, &secret))).await;
    let connection = Box::pin(world.link_demo("crm")).await;
    (world, app, connection)
}

async fn works(world: &World, app: &DemoApp, token: &str) -> bool {
    world.get(&format!("{}/oauth/userinfo", app.url()), token).await == 200
}

async fn trouble_backs_off_and_passes(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    let faults = [Fault::ServerError, Fault::ServerError];
    for (tries, fault) in (1..).zip(faults) {
        app.faults().next_token_request(fault);
        let CredentialError::Failing { retry_at, reason, .. } = failed(&world).await else {
            panic!("another error");
        };
        assert!(reason.starts_with("app_error: The app answered `server_error`"), "{reason}");
        // Meanwhile nobody asks again.
        assert!(matches!(failed(&world).await, CredentialError::Failing { .. }));
        assert_eq!(app.counters().token_requests.refresh_token, tries);
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.refresh_at), (ConnectionState::Failing, Some(retry_at)));
        assert_eq!(world.lease(id).await.unwrap().failures, i64::try_from(tries).unwrap());
        world.clock.advance(Duration::from_secs(8));
    }
    let credential = world.credential("crm").await.unwrap();
    assert!(works(&world, &app, &access_token(&credential)).await);
    let lease = world.lease(id).await.unwrap();
    assert_eq!((lease.phase, lease.failures, lease.unanswered), (RefreshPhase::Idle, 0, 0));
    assert_eq!(world.connection(id).await.unwrap().state_reason, None);
    assert_eq!(world.audited("connection_state_changed").await, 1, "failing once, not twice");
    assert_eq!(world.audited("connection_refreshed").await, 1);
}

async fn trouble_ahead_of_expiry_hurts_nobody(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    let row = world.connection(id).await.unwrap();
    let before = access_token(&world.credential("crm").await.unwrap());
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0, "not yet");
    world.clock.advance(row.refresh_at.unwrap().since(row.created_at));
    app.faults().next_token_request(Fault::ServerError);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Failing);
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), before);
    // The next turn of the background makes it good.
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert_ne!(access_token(&world.credential("crm").await.unwrap()), before);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    assert_eq!(app.counters().refreshes, 1);
}

async fn a_denial_ends_the_grant_until_the_customer_connects_again(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    app.faults().next_token_request(Fault::InvalidGrant);
    for _ in 0..2 {
        let CredentialError::NeedsReauth { reason, .. } = failed(&world).await else {
            panic!("another error");
        };
        assert!(reason.starts_with("grant_denied: The app answered `invalid_grant`"), "{reason}");
    }
    assert_eq!(app.counters().token_requests.refresh_token, 1, "asked once");
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    reconnect(&world, id).await;
    let credential = world.credential("crm").await.unwrap();
    assert!(works(&world, &app, &access_token(&credential)).await);
}

async fn a_lost_request_is_repeated(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    app.faults().next_token_request(Fault::LoseRequest);
    assert!(matches!(failed(&world).await, CredentialError::Failing { .. }));
    assert_eq!(world.lease(id).await.unwrap().unanswered, 1, "it may have been carried out");
    world.clock.advance(Duration::from_secs(10));
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    assert_eq!(world.lease(id).await.unwrap().unanswered, 0);
}

async fn a_lost_answer_ends_the_grant_of_a_strict_app_by_name(database: TestDatabase) {
    let (world, app, _) = demo(database, false).await;
    world.clock.advance(HOUR);
    app.faults().next_token_request(Fault::LoseAnswer);
    assert!(matches!(failed(&world).await, CredentialError::Failing { .. }));
    world.clock.advance(Duration::from_secs(10));
    let CredentialError::NeedsReauth { reason, .. } = failed(&world).await else {
        panic!("another error");
    };
    assert!(reason.starts_with("refresh_answer_lost: "), "{reason}");
}

async fn a_lost_answer_is_made_good_by_a_lenient_app(database: TestDatabase) {
    let (world, app, _) = demo(database, true).await;
    world.clock.advance(HOUR);
    app.faults().next_token_request(Fault::LoseAnswer);
    assert!(matches!(failed(&world).await, CredentialError::Failing { .. }));
    world.clock.advance(Duration::from_secs(10));
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    assert_eq!(app.counters().reuse_detections, 0);
}

async fn a_refresh_that_was_overtaken_by_a_new_grant_writes_nothing(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    let held = app.faults().next_token_request(Fault::HoldAnswer);
    let caller = spawn_caller(&world);
    held.arrived().await;
    reconnect(&world, id).await;
    let new = world.connection(id).await.unwrap();
    held.release();
    let got = caller.await.unwrap().unwrap();
    assert_eq!(world.connection(id).await.unwrap(), new, "the old grant's tokens are dropped");
    assert!(works(&world, &app, &got).await);
}

async fn a_denial_that_was_overtaken_by_a_new_grant_is_not_believed(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    // The refresh token is spent behind Causeway's back, so that the held request is denied.
    app.faults().next_token_request(Fault::LoseAnswer);
    assert!(matches!(failed(&world).await, CredentialError::Failing { .. }));
    world.clock.advance(Duration::from_secs(10));
    let held = app.faults().next_token_request(Fault::HoldRequest);
    let caller = spawn_caller(&world);
    held.arrived().await;
    reconnect(&world, id).await;
    held.release();
    let got = caller.await.unwrap().unwrap();
    assert!(works(&world, &app, &got).await);
    assert_eq!(app.counters().reuse_detections, 1, "it was denied");
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
}

async fn a_holder_that_was_away_too_long_writes_nothing(database: TestDatabase) {
    let (world, app, id) = demo(database, true).await;
    let second = world.second_node().await;
    world.clock.advance(HOUR);
    let held = app.faults().next_token_request(Fault::HoldAnswer);
    let first = spawn_caller(&world);
    held.arrived().await;
    // Its lease ends while the process sleeps; another node takes over and repeats the request.
    world.clock.advance(Duration::from_mins(1));
    let renewed = credential(&second, world.tenant(), "crm").await.unwrap();
    let renewed = access_token(&renewed);
    let row = world.connection(id).await.unwrap();
    held.release();
    assert_eq!(first.await.unwrap().unwrap(), renewed);
    assert_eq!(world.connection(id).await.unwrap(), row);
    assert!(works(&world, &app, &renewed).await);
}

async fn an_answer_is_kept_although_its_caller_went_away(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    let old = world.connection(id).await.unwrap();
    world.clock.advance(HOUR);
    let held = app.faults().next_token_request(Fault::HoldAnswer);
    let caller = spawn_caller(&world);
    held.arrived().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    held.release();
    world.connect.close().await;
    let row = world.connection(id).await.unwrap();
    assert_eq!((row.fence, row.state), (old.fence + 1, ConnectionState::Healthy));
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    assert_eq!(app.counters().token_requests.refresh_token, 1);
}

async fn a_deletion_takes_back_the_newest_grant(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    let held = app.faults().next_token_request(Fault::HoldAnswer);
    let caller = spawn_caller(&world);
    held.arrived().await;
    let (connect, permit) = (world.connect.clone(), world.permit());
    let deletion = tokio::spawn(async move { connect.delete_connection(&permit, id).await });
    // It is marked before the refresh has ended, and nobody can use it any more.
    while world.connection(id).await.unwrap().state != ConnectionState::Revoked {
        tokio::task::yield_now().await;
    }
    held.release();
    assert!(matches!(caller.await.unwrap(), Err(CredentialError::Unknown)));
    deletion.await.unwrap().unwrap();
    assert!(world.connection(id).await.is_none());
    assert_eq!((app.counters().revocations, app.counters().refreshes), (1, 1));
    assert_eq!(world.audited("connection_refreshed").await, 1, "the newest grant was kept first");
    let last = world.audit().await.pop().unwrap();
    assert!(last.detail.contains(r#""revoked_upstream":"yes""#), "{}", last.detail);
}

async fn an_unfinished_deletion_is_taken_up(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    // What a process leaves that dies right after it has marked the connection.
    let mut tx = world.database.store.write(world.caller.actor()).await.unwrap();
    let look_at = causeway_types::Clock::now(&*world.clock).plus(Duration::from_mins(2));
    assert!(
        causeway_store::db!(tx, connection::mark_revoked(world.tenant(), id, Some(look_at)))
            .unwrap()
    );
    tx.commit_bookkeeping(causeway_store::Bookkeeping::Refresh).await.unwrap();
    assert!(matches!(failed(&world).await, CredentialError::Unknown));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(121));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert!(world.connection(id).await.is_none());
    assert_eq!(app.counters().revocations, 1);
}

async fn an_app_that_is_down_is_not_counted_as_a_lost_answer(database: TestDatabase) {
    let (world, app, id) = demo(database, false).await;
    world.clock.advance(HOUR);
    drop(app);
    // The server's task has to be gone before its port refuses.
    let CredentialError::Failing { reason, .. } = failed(&world).await else {
        panic!("another error");
    };
    assert!(reason.starts_with("app_unreachable: "), "{reason}");
    let lease = world.lease(id).await.unwrap();
    assert_eq!((lease.phase, lease.failures), (RefreshPhase::Idle, 1));
    assert_eq!(lease.lease_until, Timestamp::from_micros(0), "the lease is given back");
}

async fn a_token_that_cannot_be_renewed_lives_until_its_end(database: TestDatabase) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let row: Vec<String> = app.app_yaml().lines().map(str::to_owned).collect();
    let refresh = row.iter().position(|line| line.trim() == "refresh:").unwrap();
    let end = row.iter().skip(refresh).position(|line| line.trim() == "revoke:").unwrap();
    let row = [&row[..refresh], &row[refresh + end..]].concat().join("\n");
    let (client, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &row, (&client, &secret)).await;
    let id = world.link_demo("crm").await;
    let row = world.connection(id).await.unwrap();
    assert_eq!(row.refresh_at, row.expires_at);
    world.clock.advance(Duration::from_secs(599));
    assert_eq!(
        world.credential("crm").await.unwrap().secrets().len(),
        1,
        "no refresh token is kept"
    );
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    let CredentialError::NeedsReauth { reason, .. } = failed(&world).await else {
        panic!("another error");
    };
    assert!(reason.starts_with("expired: "), "{reason}");
    assert_eq!(app.counters().token_requests.refresh_token, 0);
}

async fn a_row_that_is_gone_says_so_and_keeps_nobody_waiting(database: TestDatabase) {
    let (world, _app, id) = demo(database, false).await;
    std::fs::write(world.apps.join("demo/app.yaml"), without_oauth()).unwrap();
    let node = world.second_node().await;
    world.clock.advance(HOUR);
    let refused = credential(&node, world.tenant(), "crm").await.err().unwrap();
    assert!(matches!(refused, CredentialError::Unconfigured { .. }), "{refused}");
    assert_eq!(node.refresh_due().await.unwrap(), 1);
    let row = world.connection(id).await.unwrap();
    assert_eq!(row.state, ConnectionState::Failing);
    assert!(row.state_reason.unwrap().starts_with("unconfigured: "));
    assert_eq!(node.refresh_due().await.unwrap(), 0, "it waits");
    // With the row back, it goes on by itself.
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
}

fn without_oauth() -> &'static str {
    "slug: demo
name: Demo
description: The demo app, without OAuth.
docs: https://example.com/
categories: [crm]
hosts: [api.example.com]
auth:
  basic:
    docs: https://example.com/
verify:
  url: https://api.example.com/me
api:
  base_url: https://api.example.com
"
}

async fn failed(world: &World) -> CredentialError {
    world.credential("crm").await.err().unwrap()
}

fn spawn_caller(world: &World) -> tokio::task::JoinHandle<Result<String, CredentialError>> {
    let (connect, tenant) = (world.connect.clone(), world.tenant());
    tokio::spawn(async move {
        credential(&connect, tenant, "crm").await.map(|credential| access_token(&credential))
    })
}

async fn reconnect(world: &World, id: ConnectionId) {
    let new = NewSession {
        customer: "acme".into(),
        app: Some("demo".into()),
        reconnect: Some(id),
        ..NewSession::default()
    };
    let permit = world.permit();
    let session = world.connect.create_session(&permit, new).await.unwrap();
    let browser = cookie();
    let url = world.begin(session.token.expose(), &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    assert_eq!(world.connect.finish(callback, &browser).await.unwrap().connection, id);
}
