//! Links, OAuth clients, and what is said when something is missing.

use crate::browser::Browser;
use crate::world::{World, cookie};
use causeway_connect::{
    Callback, FlowError, LinkError, NewOAuthClient, NewSession, OAuthClientError,
};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded, SecretString};
use std::time::Duration;

on_both!(
    links_end,
    a_link_belongs_to_the_first_browser_that_goes_on,
    sessions_say_what_is_missing,
    a_customer_may_say_no,
    oauth_clients_are_kept_while_connections_need_them,
    the_clients_secret_may_be_wrong,
);

async fn demo(database: TestDatabase) -> (World, DemoApp) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let (id, secret) = (app.client_id(), app.client_secret());
    let world = World::new(database, &app.app_yaml(), (&id, &secret)).await;
    (world, app)
}

async fn links_end(database: TestDatabase) {
    let (world, _app) = demo(database).await;
    let session = world.session("demo", "crm").await;
    let (token, browser) = (session.token.expose(), cookie());
    let open = || world.connect.open_link(token, &browser, None);
    let last = if token.ends_with('a') { 'b' } else { 'a' };
    let wrong = format!("{}{last}", &token[..token.len() - 1]);
    let unknown = world.connect.open_link(&wrong, &browser, None).await.unwrap_err();
    assert!(matches!(unknown, LinkError::Unknown), "{unknown}");
    world.clock.advance(Duration::from_mins(29));
    open().await.unwrap();
    let url = world.begin(token, &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    world.clock.advance(Duration::from_mins(1));
    assert!(matches!(open().await.unwrap_err(), LinkError::Expired));
    // Its flow does not outlive it.
    let late = world.connect.finish(callback, &browser).await.err().unwrap();
    assert!(matches!(late, FlowError::Link(LinkError::Expired)), "{late}");

    let session = world.session("demo", "crm").await;
    let url = world.begin(session.token.expose(), &browser).await.unwrap();
    let first = Browser::new(&world.http).consent(&url, "allow").await;
    world.begin(session.token.expose(), &browser).await.unwrap();
    let older = world.connect.finish(first, &browser).await.err().unwrap();
    assert_eq!(older.code(), Code::StateMismatch, "only the newest flow can be ended");
}

async fn a_link_belongs_to_the_first_browser_that_goes_on(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let (bot, mine, theirs) = (cookie(), cookie(), cookie());
    let other = |refused: &LinkError| assert!(matches!(refused, LinkError::OtherBrowser));
    let session = world.session("demo", "crm").await;
    let token = session.token.expose();
    // What previews links looks, also more than once, and nobody is shut out.
    for browser in [&bot, &theirs, &mine, &bot] {
        world.connect.open_link(token, browser, None).await.unwrap();
    }
    let url = world.begin(token, &mine).await.unwrap();
    for browser in [&bot, &theirs] {
        other(&world.connect.open_link(token, browser, None).await.unwrap_err());
        let refused = world.begin(token, browser).await.unwrap_err();
        assert!(matches!(refused, FlowError::Link(LinkError::OtherBrowser)), "{refused}");
    }
    world.connect.open_link(token, &mine, None).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    world.connect.finish(callback, &mine).await.unwrap();

    // By key, a try that the app refuses binds too.
    let session = world.session("demo", "second").await;
    let token = session.token.expose();
    let submit = async |browser, key: &str| {
        let fields = [("api_key".to_owned(), SecretString::new(key.to_owned()))].into();
        world.submit(token, browser, Scheme::ApiKey, fields).await.map(|_| ())
    };
    world.connect.open_link(token, &bot, None).await.unwrap();
    let refused = submit(&mine, "wrong").await.unwrap_err();
    assert_eq!(refused.code(), Code::CredentialRefused);
    other(&world.connect.open_link(token, &bot, None).await.unwrap_err());
    let refused = submit(&theirs, &app.api_key()).await.unwrap_err();
    assert!(matches!(refused, FlowError::Link(LinkError::OtherBrowser)), "{refused}");
    submit(&mine, &app.api_key()).await.unwrap();

    // Of two that go on at once, one does.
    let session = world.session("demo", "third").await;
    let token = session.token.expose();
    let (first, second) = tokio::join!(world.begin(token, &mine), world.begin(token, &theirs),);
    assert_eq!(u8::from(first.is_ok()) + u8::from(second.is_ok()), 1);
}

async fn sessions_say_what_is_missing(database: TestDatabase) {
    let (world, _app) = demo(database).await;
    let new =
        || NewSession { customer: "c".into(), app: Some("demo".into()), ..NewSession::default() };
    let code = |new| async {
        world.connect.create_session(&world.permit(), new).await.err().unwrap().code()
    };
    assert_eq!(code(NewSession { app: Some("nope".into()), ..new() }).await, Code::UnknownApp);
    assert_eq!(
        code(NewSession { app: Some("slack".into()), ..new() }).await,
        Code::MissingOAuthClient
    );
    for bad in [
        NewSession { customer: String::new(), ..new() },
        NewSession { name: Some("A b".into()), ..new() },
        NewSession { return_url: Some("javascript:alert(1)".into()), ..new() },
        NewSession { lifetime: Some(Duration::from_secs(59)), ..new() },
        NewSession { lifetime: Some(Duration::from_secs(86_401)), ..new() },
    ] {
        assert_eq!(code(bad).await, Code::InvalidRequest);
    }
    let id = world.link_demo("crm").await;
    assert_eq!(
        code(NewSession { name: Some("crm".into()), ..new() }).await,
        Code::ConnectionNameTaken
    );
    // Another customer's connection cannot be renewed.
    assert_eq!(code(NewSession { reconnect: Some(id), ..new() }).await, Code::NotFound);
}

async fn a_customer_may_say_no(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let session = world.session("demo", "crm").await;
    let browser = cookie();
    let token = session.token.expose();
    let url = world.begin(token, &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "deny").await;
    let refused = world.connect.finish(callback, &browser).await.err().unwrap();
    assert_eq!(refused.code(), Code::AuthorizationRefused);
    assert!(refused.public().contains("it was declined there"), "{}", refused.public());
    assert_eq!(app.counters().token_requests.authorization_code, 0);
    // Words of whoever sent the browser here are bounded and on one line.
    let url = world.begin(token, &browser).await.unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback = Callback {
        state,
        error: Some("x\r\ny".repeat(100)),
        error_description: Some("<img src=x onerror=alert(1)>\u{202e}".repeat(100)),
        ..Callback::default()
    };
    let refused = world.connect.finish(callback, &browser).await.err().unwrap();
    let text = refused.public();
    assert!(text.len() < 600 && !text.contains(['\r', '\n', '\u{202e}']), "{text}");
    // The link still works.
    let url = world.begin(token, &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    world.connect.finish(callback, &browser).await.unwrap();
}

async fn oauth_clients_are_kept_while_connections_need_them(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let permit = world.permit();
    let id = world.link_demo("crm").await;
    let new = |client_id: &str| NewOAuthClient {
        app: "demo".into(),
        client_id: client_id.into(),
        secret: Some(SecretString::new(app.client_secret())),
        scopes: vec!["crm.read".into()],
        ..NewOAuthClient::default()
    };
    let other = world.connect.set_oauth_client(&permit, new("other")).await.unwrap_err();
    assert!(matches!(other, OAuthClientError::InUse { .. }), "{other}");
    let same = world.connect.set_oauth_client(&permit, new(&app.client_id())).await.unwrap();
    assert_eq!(same.scopes, ["crm.read"]);
    let deleted = world.connect.delete_oauth_client(&permit, same.id).await.unwrap_err();
    assert_eq!(deleted.code(), Code::OAuthClientInUse);
    // The new scopes are asked for from now on.
    let session = world.session("demo", "second").await;
    let url = world.begin(session.token.expose(), &cookie()).await.unwrap();
    assert!(url.query_pairs().any(|(name, value)| name == "scope" && value == "crm.read"));

    world.connect.delete_connection(&world.permit(), id).await.unwrap();
    world.connect.delete_oauth_client(&permit, same.id).await.unwrap();
    let gone = world.connect.delete_oauth_client(&permit, same.id).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let bad = NewOAuthClient { app: "nope".into(), ..new("x") };
    let bad = world.connect.set_oauth_client(&permit, bad).await.unwrap_err();
    assert_eq!(bad.code(), Code::UnknownApp);
}

async fn the_clients_secret_may_be_wrong(database: TestDatabase) {
    let (world, app) = demo(database).await;
    let permit = world.permit();
    let wrong = NewOAuthClient {
        app: "demo".into(),
        client_id: app.client_id(),
        secret: Some(SecretString::new("not the secret".into())),
        ..NewOAuthClient::default()
    };
    world.connect.set_oauth_client(&permit, wrong).await.unwrap();
    let session = world.session("demo", "crm").await;
    let browser = cookie();
    let url = world.begin(session.token.expose(), &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    let refused = world.connect.finish(callback, &browser).await.err().unwrap();
    let FlowError::TokenRefused { sentence, .. } = &refused else { panic!("{refused}") };
    assert!(sentence.contains("`invalid_client`"), "{sentence}");
    assert!(world.connection(causeway_types::ConnectionId::highest()).await.is_none());
}
