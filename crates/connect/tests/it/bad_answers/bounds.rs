//! Answers that are too long, too slow, not to be trusted, or odd but right.

use super::{AUTH, HOUR, app, come_back, connect, failing, keyed, linked, proxied, world};
use crate::standin::{Reply, StandIn};
use crate::world::access_token;
use causeway_connect::NewSession;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::ConnectionState;
use causeway_types::{Clock as _, Code, Coded as _};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::time::Duration;

on_both!(
    a_body_without_end_passes_in_flat_memory,
    what_comes_too_slowly_is_cut_off,
    a_certificate_of_nobody_is_refused,
    an_app_that_took_its_grant_back_needs_the_customer,
    changed_scopes_and_odd_lifetimes_are_taken_as_they_are,
);

async fn a_body_without_end_passes_in_flat_memory(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    linked(&world, "crm").await;
    app.next_at("/things", Reply::Endless);
    let mut body = proxied(&world, "/things").await.unwrap().body;
    let mut read = 0;
    while read < 128 << 20 {
        let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
        read += u64::try_from(piece.len()).unwrap();
    }
    // What was sent and is not read yet waits somewhere: mostly in the sockets of this machine.
    let waiting = app.sent().saturating_sub(read);
    assert!(waiting < 24 << 20, "{waiting} bytes are held");
}

async fn what_comes_too_slowly_is_cut_off(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    linked(&world, "crm").await;
    let old = linked(&world, "old").await;
    let gone = linked(&world, "gone").await;
    // All but the proxied call's: its token must not be due.
    world.clock.advance(HOUR);
    access_token(&world.credential("crm").await.unwrap());
    for (path, reply) in [
        ("/token", Reply::Drip),
        ("/token", Reply::Drip),
        ("/me", Reply::Drip),
        ("/revoke", Reply::Crawl),
        ("/things", Reply::Crawl),
    ] {
        app.next_at(path, reply);
    }
    let permit = world.permit();
    let (code, refresh, key, deleted, call) = tokio::join!(
        connect(&world, "new"),
        failing(&world, "old"),
        keyed(&world, "key"),
        world.connect.delete_connection(&permit, gone),
        proxied(&world, "/things"),
    );
    let code = code.err().unwrap().error;
    assert_eq!(code.code(), Code::UpstreamFailed);
    assert!(code.public().contains("no whole answer within 20000 ms"), "{}", code.public());
    assert!(refresh.starts_with("app_unreachable: calling "), "{refresh}");
    assert!(refresh.contains("no whole answer within 20000 ms"), "{refresh}");
    assert_eq!(world.lease(old).await.unwrap().unanswered, 1, "the token may be spent");
    let key = key.unwrap_err();
    assert_eq!(key.code(), Code::UpstreamFailed);
    assert!(key.public().contains("no whole answer within 20000 ms"), "{}", key.public());
    deleted.unwrap();
    let audited = world.audit().await;
    let row = audited.iter().rfind(|row| row.action == "connection_deleted").unwrap();
    assert!(row.detail.contains("no whole answer within 15000 ms"), "{}", row.detail);
    let call = call.err().unwrap();
    assert_eq!(call.code(), Code::UpstreamTimeout);
    assert!(call.public().contains("no whole answer within 30000 ms"), "{}", call.public());
}

/// The row, in which this address of the app is one with a certificate that nobody has signed.
fn row_with(app: &StandIn, other: &StandIn, path: &str) -> String {
    let bad = format!("https://127.0.0.1:{}", other.port);
    app.row(AUTH, "")
        .replace("hosts: [", &format!("hosts: ['127.0.0.1:{}', ", other.port))
        .replace(&format!("{}{path}", app.url()), &format!("{bad}{path}"))
}

async fn a_certificate_of_nobody_is_refused(database: TestDatabase) {
    let (app, other) = (app().await, StandIn::with_bad_certificate().await);
    let mut world = world(database, &app).await;
    let id = linked(&world, "crm").await;
    let check = |text: &str| {
        assert!(text.contains("certificate is not valid"), "{text}");
        assert!(text.contains("net.extra_roots"), "{text}");
    };
    world.clock.advance(HOUR);
    world.restart(&row_with(&app, &other, "/token")).await;
    let reason = failing(&world, "crm").await;
    assert!(reason.starts_with("app_unreachable: calling "), "{reason}");
    check(&reason);
    assert_eq!(world.lease(id).await.unwrap().unanswered, 0, "nothing was sent, nothing is spent");
    let failed = connect(&world, "other").await.err().unwrap();
    assert_eq!(failed.error.code(), Code::UpstreamFailed);
    check(&failed.error.public());
    world.restart(&row_with(&app, &other, "/me")).await;
    let refused = keyed(&world, "key").await.unwrap_err();
    assert_eq!(refused.code(), Code::UpstreamFailed);
    check(&refused.public());
    world.restart(&row_with(&app, &other, "/revoke")).await;
    world.connect.delete_connection(&world.permit(), id).await.unwrap();
    let audited = world.audit().await;
    check(&audited.iter().rfind(|row| row.action == "connection_deleted").unwrap().detail);
    assert!(other.asked("/").is_empty(), "nothing was sent");
}

async fn an_app_that_took_its_grant_back_needs_the_customer(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    let id = linked(&world, "crm").await;
    world.clock.advance(Duration::from_mins(2));
    app.next_at("/things", Reply::Json(401, json!({ "error": "revoked" })));
    let words = json!({ "error": "invalid_grant", "error_description": "The user has left." });
    app.next(Reply::Json(400, words));
    // The call that finds it out gets the app's own answer.
    assert_eq!(proxied(&world, "/things").await.unwrap().status, 401);
    let row = world.connection(id).await.unwrap();
    let reason = row.state_reason.unwrap();
    assert_eq!(row.state, ConnectionState::NeedsReauth);
    assert_eq!(reason, "grant_denied: The app answered `invalid_grant`: The user has left.");
    // All others are told, and the app is left alone.
    let before = app.asked("/").len();
    let refused = proxied(&world, "/things").await.err().unwrap();
    assert_eq!(refused.code(), Code::NeedsReauth);
    let text = refused.public();
    assert!(text.contains(&reason) && text.contains("`reconnect_id`"), "{text}");
    assert_eq!(app.asked("/").len(), before);
    let again = NewSession {
        customer: "acme".into(),
        app: Some("thing".into()),
        reconnect: Some(id),
        ..NewSession::default()
    };
    let session = world.connect.create_session(&world.permit(), again).await.unwrap();
    assert!(come_back(&world, &session).await.is_ok_and(|finished| finished.connection == id));
    assert_eq!(proxied(&world, "/things").await.unwrap().status, 200);
}

async fn changed_scopes_and_odd_lifetimes_are_taken_as_they_are(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    let id = linked(&world, "crm").await;
    assert_eq!(world.connection(id).await.unwrap().scopes, "a b");
    world.clock.advance(HOUR);
    app.next(Reply::Text(
        200,
        "text/html",
        json!({ "access_token": "x", "expires_in": "7200", "scope": "b" }).to_string(),
    ));
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "x");
    let row = world.connection(id).await.unwrap();
    assert_eq!(row.scopes, "b", "the app has taken one back");
    assert_eq!(row.expires_at.unwrap().since(world.clock.now()).as_secs(), 7200);
    // An answer without scopes grants those of before, one without a lifetime lasts.
    world.clock.advance(2 * HOUR);
    app.next(Reply::Json(200, json!({ "access_token": "y", "scope": ["b", "c"] })));
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "y");
    let row = world.connection(id).await.unwrap();
    assert_eq!((row.scopes.as_str(), row.expires_at), ("b c", None));
    // A lifetime that is none says nothing; one beyond all measure ends in ten years.
    for (life, lives) in [
        (json!("soon"), None),
        (json!(-5), None),
        (json!(0), None),
        (json!([3600]), None),
        (json!(3600.9), Some(3600)),
        (json!(u64::MAX), Some(10 * 365 * 24 * 3600)),
    ] {
        let id = {
            app.next(Reply::Json(200, json!({ "access_token": "z", "expires_in": life })));
            linked(&world, &format!("life-{}", app.asked("/token").len())).await
        };
        let end = world.connection(id).await.unwrap().expires_at;
        let lived = end.map(|end| end.since(world.clock.now()).as_secs());
        assert_eq!(lived, lives, "{life}");
    }
}
