//! Each opening of a credential counts, and a minute of them is one event.

use crate::world::{World, credential};
use causeway_connect::NewConnection;
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{ConnectionId, SecretString};
use serde_json::Value;
use std::time::Duration;

on_both!(openings_are_counted_and_written_each_minute, a_stop_writes_what_was_counted);

async fn demo(database: TestDatabase) -> (World, DemoApp, ConnectionId) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &app.app_yaml(), (&id, &secret)).await;
    let new = NewConnection {
        customer: "acme".into(),
        app: "demo".into(),
        name: Some("crm".into()),
        scheme: Scheme::ApiKey,
        fields: [("api_key".to_owned(), SecretString::new(app.api_key()))].into(),
    };
    let made = world.connect.create_connection(&world.permit(), new).await.unwrap();
    (world, app, made.id)
}

/// What the chain says of the use of credentials: which, how often, since when.
async fn used(world: &World) -> Vec<(String, i64, String)> {
    let rows = world.audit().await.into_iter().filter(|row| row.action == "credential_used");
    rows.map(|row| {
        let event: Value = serde_json::from_str(&row.detail).unwrap();
        let text = |field: &str| event[field].as_str().unwrap().to_owned();
        assert!(row.actor.starts_with("nod_"), "{row:?}");
        (text("connection"), event["times"].as_i64().unwrap(), text("since"))
    })
    .collect()
}

async fn openings_are_counted_and_written_each_minute(database: TestDatabase) {
    let (world, _app, id) = demo(database).await;
    let begun = causeway_types::Clock::now(&*world.clock).to_string();
    for _ in 0..3 {
        world.credential("crm").await.unwrap();
        world.clock.advance(Duration::from_secs(19));
    }
    world.connect.write_uses(false).await.unwrap();
    assert!(used(&world).await.is_empty(), "not yet a minute");
    world.clock.advance(Duration::from_secs(3));
    world.connect.write_uses(false).await.unwrap();
    world.connect.write_uses(true).await.unwrap();
    assert_eq!(used(&world).await, [(id.to_string(), 3, begun)]);
    // Many at once lose nothing.
    let mut openings = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (connect, tenant) = (world.connect.clone(), world.tenant());
        openings.spawn(async move { credential(&connect, tenant, "crm").await.map(|_| ()) });
    }
    while let Some(opened) = openings.join_next().await {
        opened.unwrap().unwrap();
    }
    let (one, other) = tokio::join!(world.connect.write_uses(true), world.connect.write_uses(true));
    one.and(other).unwrap();
    let total: i64 = used(&world).await.iter().map(|(_, times, _)| times).sum();
    assert_eq!(total, 53);
}

async fn a_stop_writes_what_was_counted(database: TestDatabase) {
    let (world, _app, id) = demo(database).await;
    world.credential("crm").await.unwrap();
    world.connect.close().await;
    let told = used(&world).await;
    assert_eq!((told.len(), &told[0].0, told[0].1), (1, &id.to_string(), 1));
}
