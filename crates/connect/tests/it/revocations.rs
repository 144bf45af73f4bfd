//! Many connections revoked in one go: from the marking on nobody uses them, whatever dies.

use crate::world::World;
use causeway_connect::{
    Connect, ConnectionFilter, CredentialError, NewConnection, RevocationError, RevocationProgress,
};
use causeway_identity::{action, authorize};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::testing::TestDatabase;
use causeway_store::{Bookkeeping, db, on_both};
use causeway_types::entity::{ConnectionState, Scheme};
use causeway_types::{Clock as _, Code, Coded as _, ConnectionId, SecretString};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

on_both!(
    what_is_revoked_is_of_no_use_at_once_and_ends_at_its_app,
    what_an_app_does_not_confirm_is_kept_and_asked_again,
    a_failed_one_can_be_given_up,
    only_what_the_filter_names_is_revoked,
    who_is_confined_revokes_no_other_app,
    many_are_marked_page_by_page,
    another_node_goes_on,
    what_came_of_it_is_forgotten_after_a_month,
);

const DAY: Duration = Duration::from_hours(24);

async fn demo(database: TestDatabase) -> (World, DemoApp) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &app.app_yaml(), (&id, &secret)).await;
    (world, app)
}

async fn keyed(world: &World, app: &DemoApp, name: &str) -> ConnectionId {
    let new = NewConnection {
        customer: format!("of-{name}"),
        app: "demo".into(),
        name: Some(name.into()),
        scheme: Scheme::ApiKey,
        fields: [("api_key".to_owned(), SecretString::new(app.api_key()))].into(),
    };
    world.connect.create_connection(&world.permit(), new).await.unwrap().id
}

fn of_demo() -> ConnectionFilter {
    ConnectionFilter { app: Some("demo".into()), ..ConnectionFilter::default() }
}

async fn revoke(world: &World, filter: ConnectionFilter) -> RevocationProgress {
    world.connect.revoke_connections(&world.permit(), filter).await.unwrap()
}

async fn work(connect: &Connect) {
    connect.revoke_due(&CancellationToken::new()).await.unwrap();
}

/// Found, pending, revoked, not offered, failed.
async fn figures(world: &World, begun: &RevocationProgress) -> [i64; 5] {
    let shown = world.connect.revocation(&world.permit(), begun.revocation.id).await.unwrap();
    let RevocationProgress { revocation, pending, revoked, not_offered, failed } = shown;
    assert_eq!(pending == 0, revocation.ended_at.is_some());
    [revocation.found, pending, revoked, not_offered, failed]
}

async fn is_unknown(world: &World, name: &str) -> bool {
    matches!(world.credential(name).await, Err(CredentialError::Unknown))
}

async fn what_is_revoked_is_of_no_use_at_once_and_ends_at_its_app(database: TestDatabase) {
    let (world, app) = demo(database).await;
    for name in ["one", "two"] {
        world.link_demo(name).await;
    }
    keyed(&world, &app, "key").await;
    assert!(world.credential("one").await.is_ok());
    let begun = revoke(&world, of_demo()).await;
    assert_eq!(figures(&world, &begun).await, [3, 3, 0, 0, 0]);
    for name in ["one", "two", "key"] {
        assert!(is_unknown(&world, name).await, "{name} is of use before the app was asked");
    }
    assert_eq!(app.counters().revocations, 0);
    // The background for other things leaves them alone.
    world.clock.advance(DAY);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);

    work(&world.connect).await;
    assert_eq!(figures(&world, &begun).await, [3, 0, 2, 1, 0]);
    assert_eq!(app.counters().revocations, 2);
    let all = world.connect.connections(&world.permit(), &of_demo(), None, 10).await.unwrap();
    assert!(all.items.is_empty(), "their records are deleted");
    let audit = world.audit().await;
    let of = |action: &str| audit.iter().filter(|row| row.action == action).collect::<Vec<_>>();
    let [started] = of("revocation_started")[..] else { panic!("{audit:#?}") };
    assert_eq!(started.actor, world.caller.actor().to_string());
    let id = begun.revocation.id.to_string();
    assert!(started.detail.contains(&id) && started.detail.contains(r#""app":"demo""#));
    let marked = of("connection_state_changed");
    assert_eq!(marked.len(), 3);
    assert!(marked.iter().all(|row| row.detail.contains(&id)));
    assert_eq!(of("connection_deleted").len(), 3);
    let [finished] = of("revocation_finished")[..] else { panic!("{audit:#?}") };
    let finished: serde_json::Value = serde_json::from_str(&finished.detail).unwrap();
    let told = ["revoked", "not_offered", "failed"].map(|field| finished[field].as_i64());
    assert_eq!(told, [Some(2), Some(1), Some(0)]);
}

async fn what_an_app_does_not_confirm_is_kept_and_asked_again(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let one = world.link_demo("one").await;
    // So that their ids are in this order.
    world.clock.advance(Duration::from_secs(1));
    let ids = [one, world.link_demo("two").await];
    app.faults().fail_revocations(2);
    let first = revoke(&world, of_demo()).await;
    work(&world.connect).await;
    assert_eq!(figures(&world, &first).await, [2, 0, 0, 0, 2]);
    let failures = |after| {
        let permit = world.permit();
        let (connect, id) = (world.connect.clone(), first.revocation.id);
        async move { connect.revocation_failures(&permit, id, after, 1).await.unwrap() }
    };
    let page = failures(None).await;
    assert_eq!((page.items[0].connection_id, page.next), (ids[0], Some(ids[0])));
    assert_eq!(page.items[0].reason, "the app answered with status 503");
    assert_eq!(page.items[0].name.as_deref(), Some("one"));
    let page = failures(page.next).await;
    assert_eq!((page.items[0].connection_id, page.next), (ids[1], None));
    assert_eq!(world.audited("connection_not_revoked").await, 2);

    // They stay as they are: of no use, and with what a second attempt needs.
    world.clock.advance(DAY);
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    work(&world.connect).await;
    for (id, name) in ids.into_iter().zip(["one", "two"]) {
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.refresh_at), (ConnectionState::Revoked, None));
        assert!(is_unknown(&world, name).await);
    }
    assert_eq!(app.counters().revocations, 0);

    let second = revoke(&world, of_demo()).await;
    work(&world.connect).await;
    assert_eq!(figures(&world, &second).await, [2, 0, 2, 0, 0]);
    assert_eq!(figures(&world, &first).await, [2, 0, 0, 0, 0], "the second took them over");
    assert_eq!(app.counters().revocations, 2);
    assert!(world.connection(ids[0]).await.is_none());
    assert_eq!(world.audited("connection_state_changed").await, 2, "they were revoked once");
}

async fn a_failed_one_can_be_given_up(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let id = world.link_demo("one").await;
    app.faults().fail_revocations(2);
    let begun = revoke(&world, of_demo()).await;
    work(&world.connect).await;
    world.connect.delete_connection(&world.permit(), id).await.unwrap();
    assert!(world.connection(id).await.is_none(), "whoever deletes one wants it gone");
    assert_eq!(figures(&world, &begun).await, [1, 0, 0, 0, 1]);
    let (permit, id) = (world.permit(), begun.revocation.id);
    let page = world.connect.revocation_failures(&permit, id, None, 9).await.unwrap();
    assert_eq!(page.items[0].name, None);
}

async fn only_what_the_filter_names_is_revoked(database: TestDatabase) {
    let (world, app) = demo(database).await;
    for name in ["old-used", "old-idle"] {
        keyed(&world, &app, name).await;
    }
    world.clock.advance(40 * DAY);
    world.credential("old-used").await.unwrap();
    world.connect.write_uses(true).await.unwrap();
    keyed(&world, &app, "new").await;
    let refused = world
        .connect
        .revoke_connections(&world.permit(), ConnectionFilter::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidRequest);

    let left = async || {
        let every = ConnectionFilter::default();
        let page = world.connect.connections(&world.permit(), &every, None, 10).await.unwrap();
        page.items.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    let gone = async |filter: ConnectionFilter| {
        revoke(&world, filter).await;
        work(&world.connect).await;
        left().await
    };
    let none = ConnectionFilter::default;
    let ago = |days: u32| Some(world.clock.now().minus(days * DAY));
    let other = ConnectionFilter { app: Some("github".into()), ..none() };
    assert_eq!(gone(other).await.len(), 3);
    let other = ConnectionFilter { customer: Some("nobody".into()), ..of_demo() };
    assert_eq!(gone(other).await.len(), 3);
    let permit = authorize::<action::WriteConnections>(&world.other, world.clock.now()).unwrap();
    let begun = world.connect.revoke_connections(&permit, of_demo()).await.unwrap();
    assert_eq!(begun.revocation.found, 0, "another environment");
    let hidden = world.connect.revocation(&world.permit(), begun.revocation.id).await;
    assert!(matches!(hidden, Err(RevocationError::Unknown)));

    assert_eq!(
        gone(ConnectionFilter { unused_since: ago(30), ..none() }).await,
        ["new", "old-used"]
    );
    assert_eq!(gone(ConnectionFilter { created_before: ago(30), ..none() }).await, ["new"]);
    assert_eq!(gone(ConnectionFilter { name: Some("x".into()), ..none() }).await, ["new"]);
    assert!(gone(ConnectionFilter { customer: Some("of-new".into()), ..none() }).await.is_empty());
}

async fn who_is_confined_revokes_no_other_app(database: TestDatabase) {
    let (world, app) = demo(database).await;
    keyed(&world, &app, "key").await;
    let named = ConnectionFilter { name: Some("key".into()), ..ConnectionFilter::default() };
    let caller = world.confined(&["github"]).await;
    let now = world.clock.now();
    let permit = authorize::<action::WriteConnections>(&caller, now).unwrap();
    for filter in [of_demo(), named] {
        let refused = world.connect.revoke_connections(&permit, filter).await.unwrap_err();
        assert_eq!(refused.code(), Code::Denied);
    }
    work(&world.connect).await;
    assert!(world.credential("key").await.is_ok());
    let begun = revoke(&world, of_demo()).await;
    let permit = authorize::<action::ReadConnections>(&caller, now).unwrap();
    let hidden = world.connect.revocation(&permit, begun.revocation.id).await.unwrap_err();
    assert_eq!(hidden.code(), Code::NotFound);
    let hidden = world.connect.revocation_failures(&permit, begun.revocation.id, None, 1).await;
    assert_eq!(hidden.unwrap_err().code(), Code::NotFound);
}

async fn many_are_marked_page_by_page(database: TestDatabase) {
    let (world, app) = demo(database).await;
    for number in 0..205 {
        keyed(&world, &app, &format!("key-{number}")).await;
    }
    let begun = revoke(&world, of_demo()).await;
    assert!(begun.revocation.found >= 100, "the first are marked before anybody is told");
    work(&world.connect).await;
    assert_eq!(figures(&world, &begun).await, [205, 0, 0, 205, 0]);
    let left = world.connect.connections(&world.permit(), &of_demo(), None, 10).await.unwrap();
    assert!(left.items.is_empty());
}

async fn another_node_goes_on(database: TestDatabase) {
    let (world, app) = demo(database).await;
    for name in ["one", "two", "three"] {
        world.link_demo(name).await;
    }
    let begun = revoke(&world, of_demo()).await;
    // What a process leaves that dies while it asks an app.
    let now = world.clock.now();
    let until = now.plus(Duration::from_secs(40));
    let mut tx = world.database.store.write(world.caller.actor()).await.unwrap();
    assert_eq!(db!(tx, connection_revocation::claim(now, until, 1)).unwrap().len(), 1);
    tx.commit_bookkeeping(Bookkeeping::Lease).await.unwrap();

    let second = world.second_node().await;
    work(&second).await;
    assert_eq!(figures(&world, &begun).await, [3, 1, 2, 0, 0], "one is another node's");
    world.clock.advance(Duration::from_secs(40));
    work(&second).await;
    assert_eq!(figures(&world, &begun).await, [3, 0, 3, 0, 0]);
    assert_eq!(app.counters().revocations, 3);
    // A call in the middle goes on with what is left, and follows it.
    world.link_demo("four").await;
    let first = revoke(&world, of_demo()).await;
    let again = revoke(&world, of_demo()).await;
    work(&second).await;
    assert_eq!(figures(&world, &first).await, [1, 0, 0, 0, 0]);
    assert_eq!(figures(&world, &again).await, [1, 0, 1, 0, 0]);
}

async fn what_came_of_it_is_forgotten_after_a_month(database: TestDatabase) {
    let (world, app) = demo(database).await;
    keyed(&world, &app, "key").await;
    let begun = revoke(&world, of_demo()).await;
    let shutdown = CancellationToken::new();
    let turn = async || {
        let (connect, stop) = (world.connect.clone(), shutdown.child_token());
        let own = stop.clone();
        let task = tokio::spawn(async move { connect.run_revocations(own).await });
        // A turn ends with the wait that this ends.
        tokio::time::timeout(Duration::from_secs(20), async {
            while world.connect.revocation(&world.permit(), begun.revocation.id).await.is_ok_and(
                |shown| {
                    let over = shown.revocation.ended_at;
                    over.is_none_or(|at| world.clock.now().since(at) > 30 * DAY)
                },
            ) {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        stop.cancel();
        task.await.unwrap();
    };
    turn().await;
    assert_eq!(figures(&world, &begun).await, [1, 0, 0, 1, 0]);
    world.clock.advance(31 * DAY);
    turn().await;
    let gone = world.connect.revocation(&world.permit(), begun.revocation.id).await;
    assert!(matches!(gone, Err(RevocationError::Unknown)));
}
