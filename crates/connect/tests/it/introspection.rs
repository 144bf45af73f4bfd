//! Apps that say whether they have replaced a refresh token (RFC 7662): only a grant whose answer
//! was lost after the app had rotated is lost, and no refresh token is sent twice.

use crate::crash::{afterwards, child, delete, die_at};
use crate::flow::is_active;
use crate::world::{World, access_token, credential};
use causeway_connect::{Connect, CrashPoint, CredentialError};
use causeway_simulators::{DemoApp, DemoOptions, Fault};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::oidc_provider::{CLIENT_ID, CLIENT_SECRET, OidcProvider};
use causeway_types::ConnectionId;
use causeway_types::entity::{ConnectionState, RefreshPhase};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

on_both!(
    a_provider_that_is_asked_loses_only_what_it_has_rotated,
    asking_about_a_used_token_ends_nothing,
    a_request_that_dies_before_the_rotation_costs_nothing,
    an_answer_that_dies_after_the_rotation_is_the_window,
    deaths_in_a_row_are_asked_about_each_time,
    an_outage_of_introspection_gives_nothing_up,
    who_may_not_ask_goes_by_the_row,
    what_was_lost_while_the_process_lived_is_asked_about_too,
);

const HOUR: Duration = Duration::from_hours(1);

/// A row whose app answers questions at this URL.
fn asked_at(row: &str, url: &str) -> String {
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    let introspection = format!("    introspection: {{ url: {url}, client_auth: basic }}\n");
    row.replacen("    revoke:\n", &format!("{introspection}    revoke:\n"), 1).replacen(
        "hosts: [",
        &format!("hosts: [\"{host}\", "),
        1,
    )
}

async fn with_oidc(database: TestDatabase) -> (World, OidcProvider) {
    let provider = OidcProvider::start(crate::world::CALLBACK).unwrap();
    let row =
        asked_at(&provider.app_yaml(false), &format!("{}/token/introspection", provider.url()));
    let world = World::new(database, &row, (CLIENT_ID, CLIENT_SECRET)).await;
    (world, provider)
}

/// The demo app, asked at its own endpoint, and a connection whose access token has expired.
async fn with_demo(database: TestDatabase) -> (World, DemoApp, ConnectionId) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let (id, secret) = (app.client_id(), app.client_secret());
    let row = asked_at(&app.app_yaml(), &format!("{}/oauth/introspect", app.url()));
    let world = Box::pin(World::new(database, &row, (&id, &secret))).await;
    let connection = Box::pin(world.link_demo("crm")).await;
    world.clock.advance(HOUR);
    (world, app, connection)
}

/// A node that asks the demo app at another URL.
async fn node_asking(world: &World, app: &DemoApp, url: &str) -> Connect {
    std::fs::write(world.apps.join("demo/app.yaml"), asked_at(&app.app_yaml(), url)).unwrap();
    world.second_node().await
}

/// An endpoint that answers every question like this.
async fn endpoint(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/introspect", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut request, end) = (Vec::new(), b"token_type_hint=refresh_token");
            while !request.ends_with(end) && stream.read_buf(&mut request).await.unwrap() > 0 {}
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn works(world: &World, app: &DemoApp, token: &str) -> bool {
    world.get(&format!("{}/oauth/userinfo", app.url()), token).await == 200
}

async fn failed(world: &World, node: &Connect) -> CredentialError {
    credential(node, world.tenant(), "crm").await.err().unwrap()
}

async fn a_provider_that_is_asked_loses_only_what_it_has_rotated(database: TestDatabase) {
    let (world, provider) = with_oidc(database).await;
    let userinfo = format!("{}/me", provider.url());
    for (rounds, point) in (0..).zip(CrashPoint::ALL) {
        let id = world.link_oidc("crm").await;
        let before = access_token(&world.credential("crm").await.unwrap());
        world.clock.advance(2 * HOUR);
        die_at(&world, *point).await;
        let second = world.second_node().await;
        let after = afterwards(&world, &second).await;
        let row = world.connection(id).await.unwrap();
        let lease = world.lease(id).await.unwrap();
        if *point == CrashPoint::AnswerReceived {
            let reason = after.unwrap_err();
            assert!(reason.contains("refresh_answer_lost: The app has replaced"), "{reason}");
            assert_eq!(row.state, ConnectionState::NeedsReauth);
        } else {
            let token = after.unwrap();
            assert_ne!(token, before, "{point:?}");
            assert_eq!(world.get(&userinfo, &token).await, 200, "{point:?}");
            assert_eq!(row.state, ConnectionState::Healthy, "{point:?}");
        }
        assert_eq!((lease.phase, lease.unanswered), (RefreshPhase::Idle, 0), "{point:?}");
        // One exchange each, and no refresh token was sent twice.
        let counts = world.counts(&provider).await;
        assert_eq!(counts.refresh, rounds + 1, "{point:?}");
        assert_eq!(counts.token_requests, 2 * (rounds + 1), "{point:?}");
        assert_eq!((counts.refresh_errors, counts.revoked_grants), (0, rounds), "{point:?}");
        delete(&world, &second, id).await;
    }
}

async fn asking_about_a_used_token_ends_nothing(database: TestDatabase) {
    let (world, provider) = with_oidc(database).await;
    world.link_oidc("crm").await;
    let used = world.credential("crm").await.unwrap();
    let used = String::from_utf8(used.secrets()[1].expose().clone()).unwrap();
    assert!(is_active(&world, &provider, &used).await);
    world.clock.advance(2 * HOUR);
    world.credential("crm").await.unwrap();
    for _ in 0..3 {
        assert!(!is_active(&world, &provider, &used).await);
    }
    world.clock.advance(2 * HOUR);
    let token = access_token(&world.credential("crm").await.unwrap());
    assert_eq!(world.get(&format!("{}/me", provider.url()), &token).await, 200);
    let counts = world.counts(&provider).await;
    assert_eq!((counts.refresh, counts.refresh_errors, counts.revoked_grants), (2, 0, 0));
}

/// Kills a process whose token request has met this fault, and waits until the app has noticed.
async fn die_while_held(world: &World, app: &DemoApp, fault: Fault) {
    let held = app.faults().next_token_request(fault);
    let mut process =
        child(world, "none").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    held.arrived().await;
    process.kill().await.unwrap();
    while app.faults().holding() > 0 {
        tokio::task::yield_now().await;
    }
}

async fn a_request_that_dies_before_the_rotation_costs_nothing(database: TestDatabase) {
    let (world, app, id) = with_demo(database).await;
    die_while_held(&world, &app, Fault::HoldRequest).await;
    let token = afterwards(&world, &world.second_node().await).await.unwrap();
    assert!(works(&world, &app, &token).await);
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
    let counters = app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections, counters.introspections), (1, 0, 1));
    // The grant goes on living, and a refresh after an answered one asks nothing.
    world.clock.advance(HOUR);
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    assert_eq!(app.counters().introspections, 1);
}

async fn an_answer_that_dies_after_the_rotation_is_the_window(database: TestDatabase) {
    let (world, app, id) = with_demo(database).await;
    die_while_held(&world, &app, Fault::HoldAnswer).await;
    let reason = afterwards(&world, &world.second_node().await).await.unwrap_err();
    assert!(reason.contains("refresh_answer_lost: The app has replaced"), "{reason}");
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::NeedsReauth);
    let counters = app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections, counters.introspections), (1, 0, 1));
    assert_eq!(counters.token_requests.refresh_token, 1);
}

async fn deaths_in_a_row_are_asked_about_each_time(database: TestDatabase) {
    let (world, app, id) = with_demo(database).await;
    // The second one dies between the question and its own intent.
    let deaths = [CrashPoint::IntentWritten, CrashPoint::BeforeIntent, CrashPoint::IntentWritten];
    for (point, unanswered) in deaths.into_iter().zip([1, 1, 2]) {
        die_at(&world, point).await;
        let lease = world.lease(id).await.unwrap();
        assert_eq!((lease.phase, lease.unanswered), (RefreshPhase::Intent, unanswered));
        world.clock.advance(Duration::from_mins(1));
    }
    let token = afterwards(&world, &world.second_node().await).await.unwrap();
    assert!(works(&world, &app, &token).await);
    let counters = app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections, counters.introspections), (1, 0, 3));
}

async fn an_outage_of_introspection_gives_nothing_up(database: TestDatabase) {
    let (world, app, id) = with_demo(database).await;
    die_at(&world, CrashPoint::IntentWritten).await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}/introspect", listener.local_addr().unwrap())
    };
    let outages = [
        (closed, "app_unreachable: "),
        (endpoint("503 Service Unavailable", "").await, "app_error: "),
        (endpoint("404 Not Found", r#"{"active":false}"#).await, "app_error: "),
        (endpoint("200 OK", "{}").await, "app_error: "),
        (endpoint("200 OK", "<html>").await, "app_error: "),
    ];
    world.clock.advance(Duration::from_mins(1));
    for (failures, (url, wanted)) in (1..).zip(outages) {
        let node = node_asking(&world, &app, &url).await;
        let CredentialError::Failing { reason, retry_at, .. } = failed(&world, &node).await else {
            panic!("another error at {url}");
        };
        assert!(reason.starts_with(wanted), "{reason}");
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.refresh_at), (ConnectionState::Failing, Some(retry_at)));
        let lease = world.lease(id).await.unwrap();
        assert_eq!(
            (lease.phase, lease.unanswered, lease.failures),
            (RefreshPhase::Intent, 1, failures)
        );
        // Meanwhile nobody asks again; the background does when its time has come.
        assert_eq!(node.refresh_due().await.unwrap(), 0);
        world.clock.advance(Duration::from_mins(2));
    }
    assert_eq!(app.counters().token_requests.refresh_token, 0);
    // The app is back.
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    let counters = app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections), (1, 0));
    let lease = world.lease(id).await.unwrap();
    assert_eq!((lease.phase, lease.unanswered, lease.failures), (RefreshPhase::Idle, 0, 0));
}

async fn who_may_not_ask_goes_by_the_row(database: TestDatabase) {
    let (world, app, id) = with_demo(database).await;
    for (round, status) in (1..).zip(["401 Unauthorized", "403 Forbidden"]) {
        // The process lived: the old token is sent again.
        let node = node_asking(&world, &app, &endpoint(status, "").await).await;
        app.faults().next_token_request(Fault::LoseRequest);
        assert!(matches!(failed(&world, &node).await, CredentialError::Failing { .. }));
        let token = afterwards(&world, &node).await.unwrap();
        assert!(works(&world, &app, &token).await);
        assert_eq!(app.counters().refreshes, round);
        world.clock.advance(HOUR);
    }
    // It died: the old token is not sent again.
    let node = node_asking(&world, &app, &endpoint("401 Unauthorized", "").await).await;
    die_at(&world, CrashPoint::IntentWritten).await;
    let reason = afterwards(&world, &node).await.unwrap_err();
    assert!(reason.contains("refresh_answer_lost: The app may have"), "{reason}");
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::NeedsReauth);
    assert_eq!(app.counters().reuse_detections, 0);
}

async fn what_was_lost_while_the_process_lived_is_asked_about_too(database: TestDatabase) {
    let (world, app, _) = with_demo(database).await;
    app.faults().next_token_request(Fault::LoseRequest);
    assert!(matches!(failed(&world, &world.connect).await, CredentialError::Failing { .. }));
    world.clock.advance(Duration::from_secs(10));
    assert!(works(&world, &app, &access_token(&world.credential("crm").await.unwrap())).await);
    world.clock.advance(HOUR);
    app.faults().next_token_request(Fault::LoseAnswer);
    assert!(matches!(failed(&world, &world.connect).await, CredentialError::Failing { .. }));
    world.clock.advance(Duration::from_secs(10));
    let CredentialError::NeedsReauth { reason, .. } = failed(&world, &world.connect).await else {
        panic!("another error");
    };
    assert!(reason.starts_with("refresh_answer_lost: "), "{reason}");
    let counters = app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections, counters.introspections), (2, 0, 2));
}
