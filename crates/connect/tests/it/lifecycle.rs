//! What becomes of connections over time: tests, recovery, and those that nobody uses.

use crate::standin::{Reply, StandIn};
use crate::world::World;
use causeway_connect::{ConnectionFilter, CredentialError, NewConnection};
use causeway_identity::{action, authorize};
use causeway_store::testing::TestDatabase;
use causeway_store::{Audit, db, on_both};
use causeway_types::entity::{ConnectionState, Scheme};
use causeway_types::{Actor, Clock as _, ConnectionId, SecretString};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

on_both!(
    a_test_says_how_keys_are,
    keys_that_are_in_doubt_are_tried_by_the_background,
    a_test_of_a_token_renews_it_first,
    who_is_confined_to_other_apps_tests_nothing,
    the_time_of_use_is_kept_to_the_hour,
    what_nobody_uses_is_reported,
    every_way_without_a_browser_makes_a_connection,
);

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const ROW: &str = "  api_key:
    docs: https://thing.example/
    fields: [{ name: key, label: Key }]
    send: { headers: { X-Key: '{key}' } }
  basic: { docs: https://thing.example/ }
  signature:
    docs: https://thing.example/
    fields: [{ name: secret, label: Secret }]
    hmac:
      algorithm: sha256
      key: secret
      message: '{method} {path}'
      send: { headers: { X-Signature: '{signature}' } }
  none: { docs: https://thing.example/ }
  client_credentials:
    docs: https://thing.example/
    fields:
      - { name: client_id, label: Id }
      - { name: client_secret, label: Secret }
    token_url: <url>/token
    client_auth: post";

/// The API answers with the status that is set; tokens are numbered.
async fn app() -> (StandIn, Arc<AtomicU16>) {
    let (status, tokens) = (Arc::new(AtomicU16::new(200)), AtomicU32::new(0));
    let own = Arc::clone(&status);
    let app = StandIn::start(move |asked| {
        if asked.path.starts_with("/token") {
            let number = tokens.fetch_add(1, Ordering::SeqCst) + 1;
            let token = format!("t{number}");
            return Reply::Json(200, json!({ "access_token": token, "expires_in": 3600 }));
        }
        Reply::Json(own.load(Ordering::SeqCst), json!({ "id": 7 }))
    })
    .await;
    (app, status)
}

fn new(name: &str, scheme: Scheme, given: &[(&str, &str)]) -> NewConnection {
    let secret = |text: &str| SecretString::new(text.to_owned());
    NewConnection {
        customer: "acme".into(),
        app: "thing".into(),
        name: Some(name.into()),
        scheme,
        fields: given.iter().map(|(k, v)| ((*k).to_owned(), secret(v))).collect(),
    }
}

async fn keyed(world: &World, name: &str) -> ConnectionId {
    let new = new(name, Scheme::ApiKey, &[("key", "k")]);
    world.connect.create_connection(&world.permit(), new).await.unwrap().id
}

async fn a_test_says_how_keys_are(database: TestDatabase) {
    let (app, status) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let id = keyed(&world, "crm").await;
    let test = async || world.connect.test_connection(&world.permit(), id).await.unwrap();
    let tested = test().await;
    assert_eq!((tested.connection.state, tested.problem), (ConnectionState::Healthy, None));
    assert_eq!(world.audited("connection_state_changed").await, 0);

    status.store(401, Ordering::SeqCst);
    for _ in 0..2 {
        let tested = test().await;
        assert_eq!(tested.connection.state, ConnectionState::NeedsReauth);
        let problem = tested.problem.unwrap();
        assert!(
            problem.starts_with("credential_refused: Thing refused the credential with status 401"),
            "{problem}"
        );
    }
    assert_eq!(world.audited("connection_state_changed").await, 1);
    assert!(matches!(world.credential("crm").await, Err(CredentialError::NeedsReauth { .. })));

    status.store(503, Ordering::SeqCst);
    let tested = test().await;
    assert_eq!(tested.connection.state, ConnectionState::Failing);
    assert!(
        tested.problem.unwrap().starts_with("app_error: Thing cannot check the credential now")
    );
    assert!(world.credential("crm").await.is_ok(), "an outage of the app is no reason not to try");

    status.store(200, Ordering::SeqCst);
    let tested = test().await;
    assert_eq!((tested.connection.state, tested.problem), (ConnectionState::Healthy, None));
    let row = world.connection(id).await.unwrap();
    assert_eq!((row.state_reason, row.refresh_at), (None, None));
}

/// With PostgreSQL: another node deletes the connection between the look for it and the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_while_it_is_tested_is_gone() {
    let (app, _) = app().await;
    let world = World::bare(TestDatabase::postgres().await, &app.row(ROW, "")).await;
    let id = keyed(&world, "crm").await;
    let mut other = world.database.store.write(Actor::Machine).await.unwrap();
    assert!(db!(other, connection::delete(world.tenant(), id)).unwrap());
    let permit = world.permit();
    let (tested, ()) = tokio::join!(world.connect.test_connection(&permit, id), async {
        world.database.somebody_waits().await;
        let (workspace, now) = (world.tenant().workspace, world.clock.now());
        other.commit(workspace, now, Audit::ClaimLinkMade {}).await.unwrap();
    });
    assert!(matches!(tested, Err(CredentialError::Unknown)), "{:?}", tested.err());
}

async fn keys_that_are_in_doubt_are_tried_by_the_background(database: TestDatabase) {
    let (app, status) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let id = keyed(&world, "crm").await;
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0, "healthy keys are left alone");
    // Trouble: tried again with growing pauses.
    status.store(500, Ordering::SeqCst);
    world.connect.test_connection(&world.permit(), id).await.unwrap();
    let mut last = Duration::ZERO;
    for _ in 0..3 {
        let row = world.connection(id).await.unwrap();
        assert_eq!(row.state, ConnectionState::Failing);
        let pause = row.refresh_at.unwrap().since(world.clock.now());
        assert!(pause > last / 2, "{pause:?} after {last:?}");
        last = pause;
        world.clock.advance(pause);
        assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    }
    assert_eq!(world.lease(id).await.unwrap().failures, 4);
    // A denial: tried again after hours.
    status.store(403, Ordering::SeqCst);
    world.clock.advance(HOUR);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::NeedsReauth);
    world.clock.advance(HOUR);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    status.store(200, Ordering::SeqCst);
    world.clock.advance(6 * HOUR);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    let row = world.connection(id).await.unwrap();
    assert_eq!((row.state, row.refresh_at), (ConnectionState::Healthy, None));
    assert_eq!(world.lease(id).await.unwrap().failures, 0);
    assert_eq!(world.audited("connection_state_changed").await, 3);
}

async fn a_test_of_a_token_renews_it_first(database: TestDatabase) {
    let (app, status) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let own = [("client_id", "me"), ("client_secret", "s")];
    let new = new("crm", Scheme::ClientCredentials, &own);
    let id = world.connect.create_connection(&world.permit(), new).await.unwrap().id;
    let test = async || world.connect.test_connection(&world.permit(), id).await.unwrap();
    world.clock.advance(HOUR);
    assert_eq!(test().await.problem, None);
    assert_eq!(app.asked("/me").last().unwrap().header("authorization"), "Bearer t2");
    // One that the app does not take any more is replaced once.
    world.clock.advance(Duration::from_mins(5));
    status.store(401, Ordering::SeqCst);
    let tested = test().await;
    assert_eq!(tested.connection.state, ConnectionState::NeedsReauth);
    assert!(tested.problem.unwrap().starts_with("credential_refused: "));
    assert_eq!(app.asked("/token").len(), 3);
    // What was refused as keys may be tried again, on demand too.
    status.store(200, Ordering::SeqCst);
    let tested = test().await;
    assert_eq!((tested.connection.state, tested.problem), (ConnectionState::Healthy, None));
    // An app in trouble says nothing of the token.
    status.store(503, Ordering::SeqCst);
    let tested = test().await;
    assert_eq!(tested.connection.state, ConnectionState::Healthy);
    assert!(tested.problem.unwrap().contains("status 503"));
}

async fn who_is_confined_to_other_apps_tests_nothing(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let id = keyed(&world, "crm").await;
    let caller = world.confined(&["github"]).await;
    let permit = authorize::<action::WriteConnections>(&caller, world.clock.now()).unwrap();
    let refused = world.connect.test_connection(&permit, id).await.err().unwrap();
    assert!(matches!(refused, CredentialError::Unknown));
    let other = authorize::<action::WriteConnections>(&world.other, world.clock.now()).unwrap();
    let refused = world.connect.test_connection(&other, id).await.err().unwrap();
    assert!(matches!(refused, CredentialError::Unknown));
    assert_eq!(app.asked("/me").len(), 1, "only when it was made");
}

async fn the_time_of_use_is_kept_to_the_hour(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let id = keyed(&world, "crm").await;
    let used = async || {
        world.connect.write_uses(true).await.unwrap();
        world.connection(id).await.unwrap().used_at
    };
    assert_eq!(used().await, None, "making it is no use");
    world.connect.test_connection(&world.permit(), id).await.unwrap();
    assert_eq!(used().await, None, "nor is a test");
    world.credential("crm").await.unwrap();
    let first = world.clock.now();
    assert_eq!(used().await, Some(first));
    world.clock.advance(Duration::from_mins(59));
    world.credential("crm").await.unwrap();
    assert_eq!(used().await, Some(first), "written at most hourly");
    world.clock.advance(Duration::from_mins(2));
    world.credential("crm").await.unwrap();
    assert_eq!(used().await, Some(world.clock.now()));
}

async fn what_nobody_uses_is_reported(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let never = keyed(&world, "never").await;
    world.clock.advance(Duration::from_secs(1));
    let old = keyed(&world, "old").await;
    world.credential("old").await.unwrap();
    world.connect.write_uses(true).await.unwrap();
    world.clock.advance(20 * DAY);
    let young = keyed(&world, "young").await;
    let unused = |days: u32| ConnectionFilter {
        unused_since: Some(world.clock.now().minus(days * DAY)),
        ..ConnectionFilter::default()
    };
    let idle = async |days| {
        let page = world.connect.connections(&world.permit(), &unused(days), None, 10).await;
        page.unwrap().items.iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(idle(30).await, []);
    world.clock.advance(15 * DAY);
    assert_eq!(idle(30).await, [old, never]);
    assert_eq!(idle(10).await, [young, old, never]);
    world.credential("old").await.unwrap();
    world.connect.write_uses(true).await.unwrap();
    assert_eq!(idle(30).await, [never]);
    // In pages, and not for those who may not see the app.
    let of = unused(10);
    let page = world.connect.connections(&world.permit(), &of, None, 1).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, Some(young)));
    let next = world.connect.connections(&world.permit(), &of, page.next, 1).await.unwrap();
    assert_eq!((next.items.first().map(|one| one.id), next.next), (Some(never), None));
    let caller = world.confined(&["github"]).await;
    let permit = authorize::<action::ReadConnections>(&caller, world.clock.now()).unwrap();
    assert!(world.connect.connections(&permit, &of, None, 10).await.unwrap().items.is_empty());
}

async fn every_way_without_a_browser_makes_a_connection(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    for (name, scheme, given) in [
        ("a", Scheme::ApiKey, &[("key", "k")][..]),
        ("b", Scheme::Basic, &[("username", "u"), ("password", "p")]),
        ("c", Scheme::Signature, &[("secret", "s")]),
        ("d", Scheme::None, &[]),
        ("e", Scheme::ClientCredentials, &[("client_id", "i"), ("client_secret", "s")]),
    ] {
        let new = new(name, scheme, given);
        let made = world.connect.create_connection(&world.permit(), new).await.unwrap();
        assert_eq!((made.scheme, made.account_id.as_deref()), (scheme, Some("7")));
        assert_eq!(world.credential(name).await.unwrap().connection(), made.id);
    }
    let asked = app.asked("/me");
    let header = |index: usize, name: &str| asked[index].header(name).to_owned();
    assert_eq!(header(0, "x-key"), "k");
    assert_eq!(header(1, "authorization"), "Basic dTpw");
    assert_eq!(header(2, "x-signature").len(), 64);
    assert_eq!(header(3, "authorization"), "");
    assert_eq!(header(4, "authorization"), "Bearer t1");
    for scheme in [Scheme::Oauth2, Scheme::Installation, Scheme::Jwt] {
        let refused = world
            .connect
            .create_connection(&world.permit(), new("x", scheme, &[]))
            .await
            .unwrap_err();
        let code = causeway_types::Coded::code(&refused);
        assert_eq!(code, causeway_types::Code::UnsupportedScheme, "{scheme}");
    }
}
