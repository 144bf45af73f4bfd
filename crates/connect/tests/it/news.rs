//! What is told of connections: each change once, with the change or not at all.

use crate::crash::{afterwards, die_at};
use crate::standin::{Reply, StandIn};
use crate::world::{World, cookie};
use causeway_connect::{ConnectionError, CrashPoint, NewConnection, NewSession};
use causeway_simulators::{DemoApp, DemoOptions, Fault};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{Scheme, WebhookDeliveryFilter, WebhookSignature};
use causeway_types::{ConnectionId, SecretString};
use causeway_webhooks::NewEndpoint;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

on_both!(
    each_change_is_told_once,
    a_connection_renewed_by_its_customer_has_recovered,
    a_change_that_did_not_come_through_is_not_told,
    a_test_on_two_nodes_tells_of_a_denial_once,
    a_revocation_is_told_once_however_often_it_is_tried,
    connections_given_up_together_are_told_of_one_by_one,
    a_death_before_the_commit_tells_nothing_and_after_it_all,
);

const ROW: &str = "  api_key:
    docs: https://thing.example/
    fields: [{ name: key, label: Key }]
    send: { headers: { X-Key: '{key}' } }";

/// The API answers with the status that is set.
async fn app() -> (StandIn, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let own = Arc::clone(&status);
    let app =
        StandIn::start(move |_| Reply::Json(own.load(Ordering::SeqCst), json!({ "id": 7 }))).await;
    (app, status)
}

/// A workspace with an endpoint for all events.
async fn listening(world: World) -> World {
    let new = NewEndpoint {
        url: "https://example.com/hooks".into(),
        description: String::new(),
        event_types: Vec::new(),
        ordered: false,
        signature: WebhookSignature::Standard,
    };
    world.webhooks.create_endpoint(&world.permit(), new).await.unwrap();
    world
}

/// What was told, in the order of the commits.
async fn told(world: &World) -> Vec<Value> {
    let (permit, all) = (world.permit(), WebhookDeliveryFilter::default());
    let mut deliveries = world.webhooks.deliveries(&permit, &all, None, 100).await.unwrap().items;
    deliveries.sort_by_key(|one| one.position);
    let mut bodies = Vec::new();
    for one in deliveries {
        bodies.push(world.webhooks.message(&permit, one.message_id).await.unwrap().body);
    }
    bodies
}

/// The types of what was told.
async fn types(world: &World) -> Vec<String> {
    let all = told(world).await;
    all.iter().map(|body| body["type"].as_str().unwrap().to_owned()).collect()
}

fn fields(key: &str) -> BTreeMap<String, SecretString> {
    [("key".to_owned(), SecretString::new(key.to_owned()))].into()
}

fn keyed(customer: &str, name: &str) -> NewConnection {
    NewConnection {
        customer: customer.into(),
        app: "thing".into(),
        name: Some(name.into()),
        scheme: Scheme::ApiKey,
        fields: fields("k"),
    }
}

async fn make(world: &World, customer: &str, name: &str) -> ConnectionId {
    world.connect.create_connection(&world.permit(), keyed(customer, name)).await.unwrap().id
}

async fn test(world: &World, id: ConnectionId) {
    world.connect.test_connection(&world.permit(), id).await.unwrap();
}

async fn each_change_is_told_once(database: TestDatabase) {
    let (app, status) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    let id = make(&world, "acme", "crm").await;
    test(&world, id).await;
    // Denied twice, in trouble, denied again on the way back: news are what has changed.
    for code in [401, 401, 503, 503, 200, 200] {
        status.store(code, Ordering::SeqCst);
        test(&world, id).await;
    }
    world.connect.delete_connection(&world.permit(), id).await.unwrap();
    let all = told(&world).await;
    let types: Vec<_> = all.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "connection.created",
            "connection.needs_reauth",
            "connection.recovered",
            "connection.revoked"
        ]
    );
    for body in &all {
        let data = &body["data"];
        assert_eq!(data["environment_id"], world.tenant().environment.to_string());
        assert_eq!(data["connection"]["id"], id.to_string());
        assert_eq!(data["connection"]["name"], "crm");
        assert_eq!(data["connection"]["app"], "thing");
        assert_eq!(data["connection"]["customer"], "acme");
    }
    let reason = all[1]["data"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("credential_refused: "), "{reason}");
    assert_eq!(all[2]["data"].get("reason"), None);
}

async fn a_connection_renewed_by_its_customer_has_recovered(database: TestDatabase) {
    let (app, status) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    let id = make(&world, "acme", "crm").await;
    let renew = async || {
        let new = NewSession {
            customer: "acme".into(),
            app: Some("thing".into()),
            reconnect: Some(id),
            ..NewSession::default()
        };
        let session = world.connect.create_session(&world.permit(), new).await.unwrap();
        let token = session.token.expose();
        world.submit(token, &cookie(), Scheme::ApiKey, fields("other")).await.unwrap();
    };
    renew().await;
    assert_eq!(types(&world).await, ["connection.created"], "it worked before");
    status.store(401, Ordering::SeqCst);
    test(&world, id).await;
    status.store(200, Ordering::SeqCst);
    renew().await;
    assert_eq!(
        types(&world).await,
        ["connection.created", "connection.needs_reauth", "connection.recovered"]
    );
}

async fn a_change_that_did_not_come_through_is_not_told(database: TestDatabase) {
    let (app, status) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    let id = make(&world, "acme", "crm").await;
    let taken = world.connect.create_connection(&world.permit(), keyed("acme", "crm")).await;
    assert!(taken.is_err());
    status.store(401, Ordering::SeqCst);
    let refused = world.connect.create_connection(&world.permit(), keyed("acme", "new")).await;
    assert!(refused.is_err());
    assert_eq!(types(&world).await, ["connection.created"]);
    // Somebody gives the connection up while the app is asked whether it works.
    let permit = world.permit();
    let (deleting, checking) = tokio::join!(
        world.connect.delete_connection(&permit, id),
        world.connect.test_connection(&permit, id),
    );
    deleting.unwrap();
    drop(checking);
    let last = types(&world).await.pop().unwrap();
    let revoked = types(&world).await.iter().filter(|one| *one == "connection.revoked").count();
    assert_eq!((last.as_str(), revoked), ("connection.revoked", 1));
}

async fn a_test_on_two_nodes_tells_of_a_denial_once(database: TestDatabase) {
    let (app, status) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    let id = make(&world, "acme", "crm").await;
    let second = world.second_node().await;
    status.store(401, Ordering::SeqCst);
    let permit = world.permit();
    let tested = tokio::join!(
        world.connect.test_connection(&permit, id),
        second.test_connection(&permit, id),
        world.connect.test_connection(&permit, id),
    );
    tested.0.unwrap();
    assert_eq!(types(&world).await, ["connection.created", "connection.needs_reauth"]);
}

async fn a_revocation_is_told_once_however_often_it_is_tried(database: TestDatabase) {
    let (app, _) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    let id = make(&world, "acme", "crm").await;
    let second = world.second_node().await;
    let permit = world.permit();
    let ended = tokio::join!(
        world.connect.delete_connection(&permit, id),
        second.delete_connection(&permit, id),
        world.connect.delete_connection(&permit, id),
    );
    for one in [ended.0, ended.1, ended.2] {
        assert!(matches!(one, Ok(()) | Err(ConnectionError::Unknown)), "{one:?}");
    }
    assert_eq!(types(&world).await, ["connection.created", "connection.revoked"]);
}

async fn connections_given_up_together_are_told_of_one_by_one(database: TestDatabase) {
    let (app, _) = app().await;
    let world = listening(World::bare(database, &app.row(ROW, "")).await).await;
    for (customer, name) in [("acme", "a"), ("acme", "b"), ("other", "c")] {
        make(&world, customer, name).await;
    }
    world.connect.delete_customer(&world.permit(), "acme").await.unwrap();
    assert_eq!(world.connect.delete_accounts_of_app(&world.permit(), "thing").await.unwrap(), 1);
    world.clock.advance(Duration::from_mins(3));
    world.connect.refresh_due().await.unwrap();
    let mut revoked: Vec<_> = told(&world)
        .await
        .into_iter()
        .filter(|body| body["type"] == "connection.revoked")
        .map(|body| body["data"]["connection"]["name"].as_str().unwrap().to_owned())
        .collect();
    revoked.sort();
    assert_eq!(revoked, ["a", "b", "c"]);
}

/// A refresh that brings a failing connection back dies before its commit, or after it.
async fn a_death_before_the_commit_tells_nothing_and_after_it_all(database: TestDatabase) {
    let options = DemoOptions { accept_previous_token: true, ..DemoOptions::default() };
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let row = app.app_yaml().replace("rotates: true", "rotates: true\n      retry_old_token: true");
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = listening(World::new(database, &row, (&id, &secret)).await).await;
    for point in [CrashPoint::BeforeApply, CrashPoint::Applied] {
        let id = world.link_demo("crm").await;
        world.clock.advance(Duration::from_hours(2));
        app.faults().next_token_request(Fault::ServerError);
        assert!(world.credential("crm").await.is_err());
        world.clock.advance(Duration::from_hours(1));
        let told = async || {
            let all = types(&world).await;
            all.into_iter().filter(|one| one == "connection.recovered").count()
        };
        let before = told().await;
        die_at(&world, point).await;
        let died = told().await - before;
        assert_eq!(died, usize::from(point == CrashPoint::Applied), "{point:?}");
        let second = world.second_node().await;
        afterwards(&world, &second).await.unwrap();
        assert_eq!(told().await - before, 1, "{point:?}");
        crate::crash::delete(&world, &second, id).await;
    }
}
