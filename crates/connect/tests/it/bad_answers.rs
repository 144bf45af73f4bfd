//! Apps that answer as no app should: the connection's state, and whoever asks, say what happened.

use crate::standin::{Reply, StandIn};
use crate::world::{World, access_token, cookie};
use causeway_connect::{
    Callback, Choice, CredentialError, Finished, FlowError, NewConnection, NewSession, Started,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{ConnectionState, Scheme};
use causeway_types::{Clock as _, Code, Coded as _, ConnectionId, SecretString};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

on_both!(
    a_refresh_says_what_was_wrong_with_its_answer,
    a_drip_is_cut_off,
    a_certificate_of_nobody_is_refused,
    a_code_that_is_answered_wrongly_makes_no_connection,
    a_key_is_not_taken_for_good_by_a_page,
    changed_scopes_and_odd_lifetimes_are_taken_as_they_are,
);

const HOUR: Duration = Duration::from_hours(1);

const OAUTH: &str = "  oauth2:
    docs: https://thing.example/
    authorization_url: <url>/authorize
    token_url: <url>/token
    client_auth: post
    pkce: forbidden
    scopes: { default: [a, b] }
    refresh: { rotates: true<more> }";

fn oauth(more: &str) -> String {
    OAUTH.replace("<more>", more)
}

/// Tokens are numbered; everything else works.
async fn app() -> StandIn {
    let count = AtomicU32::new(0);
    StandIn::start(move |asked| {
        if !asked.path.starts_with("/token") {
            return Reply::Json(200, json!({ "id": 7, "name": "Acme" }));
        }
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        Reply::Json(
            200,
            json!({ "access_token": format!("t{number}"), "refresh_token": "r", "expires_in": 3600 }),
        )
    })
    .await
}

/// Goes to the app and comes back with a code.
async fn connect(world: &World, name: &str) -> Result<Finished, FlowError> {
    let session = NewSession {
        customer: "acme".into(),
        app: Some("thing".into()),
        name: Some(name.into()),
        ..NewSession::default()
    };
    let session = world.connect.create_session(&world.permit(), session).await.unwrap();
    let browser = cookie();
    let choice = Choice { scheme: Some(Scheme::Oauth2), ..Choice::default() };
    let started = world.connect.start(session.token.expose(), &browser, choice).await.unwrap();
    let Started::Browser(url) = started else { panic!("another way") };
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback =
        Callback { state, code: Some(SecretString::new("c".into())), ..Callback::default() };
    world.connect.finish(callback, &browser).await
}

async fn linked(database: TestDatabase, row: &str) -> (World, ConnectionId) {
    let world = World::new(database, row, ("me", "s3cret")).await;
    let id = connect(&world, "crm").await.unwrap().connection;
    (world, id)
}

async fn failing(world: &World) -> String {
    match world.credential("crm").await {
        Err(CredentialError::Failing { reason, .. }) => reason,
        other => panic!("{:?}", other.map(|_| ())),
    }
}

async fn a_refresh_says_what_was_wrong_with_its_answer(database: TestDatabase) {
    let app = app().await;
    let (world, id) = linked(database, &app.row(&oauth(""), "")).await;
    let page = "<html><body>We are down</body></html>".to_owned();
    let long = format!("{{\"access_token\":\"{}\"}}", "x".repeat(20_000));
    let away = ("location", format!("{}/token", app.url()));
    for (reply, says) in [
        (
            Reply::Text(200, "text/html; charset=utf-8", page),
            "app_error: The app answered with status 200 and a web page instead of a token. If it stays, see the app's status page, and whether its token URL has changed.",
        ),
        (
            Reply::Text(200, "text/plain", "access_token=t&expires_in=1".into()),
            "app_error: The app answered with status 200 and `text/plain` instead of a JSON object.",
        ),
        (
            Reply::Json(200, json!({ "token_type": "bearer", "expires_in": 3600 })),
            "app_error: The app answered with status 200 and no token.",
        ),
        (
            Reply::Json(200, json!({ "access_token": { "value": "t" } })),
            "app_error: The app answered with status 200 and no token.",
        ),
        (
            Reply::Text(200, "application/json", long),
            "app_error: The app gave a token of more than 16384 bytes.",
        ),
        (
            Reply::Json(200, json!({ "access_token": "a\nb" })),
            "app_error: The app gave a token with characters that no HTTP header takes.",
        ),
        (
            Reply::With(307, away, String::new()),
            "app_error: The app answered with a redirect (status 307), which is not followed, since it could take the credential elsewhere. If it stays, correct the token URL in the app's row.",
        ),
        (
            Reply::Json(400, json!({ "error": "invalid_client", "error_description": "who?" })),
            "app_error: The app answered `invalid_client`: who?. Check the OAuth client's id and secret at the app.",
        ),
        (Reply::Endless, "app_unreachable: calling "),
        (Reply::Close, "app_unreachable: calling "),
    ] {
        world.clock.advance(HOUR);
        app.next(reply.clone());
        let reason = failing(&world).await;
        assert!(reason.starts_with(says), "{reason}\n{reply:?}");
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.state_reason), (ConnectionState::Failing, Some(reason)));
        let problem = world.credential("crm").await.err().unwrap();
        assert_eq!(problem.code(), Code::UpstreamFailed);
        assert!(problem.public().contains("The next attempt is at "), "{}", problem.public());
        // And when the app is itself again, all is well.
        world.clock.advance(HOUR);
        assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
        assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
    }
    assert!(app.sent() < 64 << 20, "an endless body is not read: {}", app.sent());
    assert!(app.asked("/token").len() < 30, "nothing is followed, nothing repeated");
}

async fn a_drip_is_cut_off(database: TestDatabase) {
    let app = app().await;
    let (world, id) = linked(database, &app.row(&oauth(""), "")).await;
    world.clock.advance(HOUR);
    app.next(Reply::Drip);
    let reason = failing(&world).await;
    assert!(reason.starts_with("app_unreachable: calling "), "{reason}");
    assert!(reason.contains("no whole answer within 20000 ms"), "{reason}");
    assert_eq!(world.lease(id).await.unwrap().unanswered, 1, "the token may be spent");
}

async fn a_certificate_of_nobody_is_refused(database: TestDatabase) {
    let app = app().await;
    let other = StandIn::with_bad_certificate().await;
    let more = format!(", url: 'https://127.0.0.1:{}/token'", other.port);
    let (world, id) = linked(database, &app.row(&oauth(&more), "")).await;
    world.clock.advance(HOUR);
    let reason = failing(&world).await;
    assert!(reason.starts_with("app_unreachable: calling "), "{reason}");
    assert!(reason.contains("certificate is not valid"), "{reason}");
    assert!(reason.contains("net.extra_roots"), "{reason}");
    assert!(other.asked("/").is_empty(), "nothing was sent");
    assert_eq!(world.lease(id).await.unwrap().unanswered, 0, "so nothing is spent");
}

async fn a_code_that_is_answered_wrongly_makes_no_connection(database: TestDatabase) {
    let app = app().await;
    let world = World::new(database, &app.row(&oauth(""), ""), ("me", "s3cret")).await;
    for (reply, code, says) in [
        (
            Reply::Text(200, "text/html", "<html>".into()),
            Code::AuthorizationRefused,
            "a web page instead of a token",
        ),
        (Reply::Json(200, json!({})), Code::AuthorizationRefused, "status 200 and no token"),
        (
            Reply::Json(400, json!({ "error": "invalid_grant" })),
            Code::AuthorizationRefused,
            "`invalid_grant`",
        ),
        (Reply::Close, Code::UpstreamFailed, "try again later"),
        (Reply::Endless, Code::UpstreamFailed, "larger than 262144 bytes"),
    ] {
        app.next(reply.clone());
        let refused = connect(&world, "crm").await.unwrap_err();
        assert_eq!(refused.code(), code, "{reply:?}");
        assert!(refused.public().contains(says), "{}\n{reply:?}", refused.public());
    }
    let all = causeway_connect::ConnectionFilter::default();
    let listed = world.connect.connections(&world.permit(), &all, None, 10).await.unwrap();
    assert!(listed.items.is_empty());
}

async fn a_key_is_not_taken_for_good_by_a_page(database: TestDatabase) {
    let replies = std::sync::Arc::new(std::sync::Mutex::new(Reply::Close));
    let own = std::sync::Arc::clone(&replies);
    let app = StandIn::start(move |_| own.lock().unwrap().clone()).await;
    let row = "  api_key:
    docs: https://thing.example/
    fields: [{ name: key, label: Key }]
    send: { headers: { X-Key: '{key}' } }";
    let world = World::bare(database, &app.row(row, "")).await;
    let away = ("location", "https://thing.example/login".to_owned());
    for (reply, code, says) in [
        (
            Reply::Text(200, "text/html", "<html>Log in</html>".into()),
            Code::UpstreamFailed,
            "Thing answered with a web page (status 200) where its API should be.",
        ),
        (Reply::With(302, away, String::new()), Code::CredentialRefused, "with status 302"),
        (Reply::Json(401, json!({})), Code::CredentialRefused, "with status 401"),
        (Reply::Json(500, json!({})), Code::UpstreamFailed, "cannot check the credential now"),
        (Reply::Close, Code::UpstreamFailed, "could not be asked"),
        (Reply::Endless, Code::UpstreamFailed, "larger than 1048576 bytes"),
    ] {
        *replies.lock().unwrap() = reply.clone();
        let new = NewConnection {
            customer: "acme".into(),
            app: "thing".into(),
            name: Some("crm".into()),
            scheme: Scheme::ApiKey,
            fields: [("key".to_owned(), SecretString::new("k".into()))].into(),
        };
        let refused = world.connect.create_connection(&world.permit(), new).await.unwrap_err();
        assert_eq!(refused.code(), code, "{reply:?}");
        assert!(refused.public().contains(says), "{}\n{reply:?}", refused.public());
    }
}

async fn changed_scopes_and_odd_lifetimes_are_taken_as_they_are(database: TestDatabase) {
    let app = app().await;
    let (world, id) = linked(database, &app.row(&oauth(""), "")).await;
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
}
