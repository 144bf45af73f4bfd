//! Reports of how connect sessions came out: once, with the connection or not at all.

use crate::browser::Browser;
use crate::standin::{Reply, StandIn};
use crate::thing::Thing;
use crate::world::{World, cookie};
use causeway_connect::{
    AccountsOf, Choice, FlowError, NewAccount, NewOAuthClient, NewSession, NewToken,
    SessionCreated, Whose,
};
use causeway_identity::token;
use causeway_identity::token::Plain;
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{
    Scheme, WebhookDelivery, WebhookDeliveryFilter, WebhookEvent, WebhookPurpose,
};
use causeway_types::{Code, Coded as _, SecretString};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

on_both!(
    attempts_and_the_connection_are_reported,
    a_token_goes_to_the_project_webhook_without_an_address_of_its_own,
    a_link_is_reported_only_to_the_address_that_it_names,
    a_denial_at_the_app_is_reported_once,
    of_two_answers_at_once_one_is_reported,
    an_account_made_with_a_token_is_reported,
    an_app_that_gives_no_device_code_is_reported,
    what_is_kept_for_reports_is_sealed,
);

const HOOK: &str = "https://acme.example/hook?canary-path-8e1d";
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

fn new(webhook: Option<&str>) -> NewSession {
    NewSession {
        customer: "acme".into(),
        app: Some("thing".into()),
        webhook_url: webhook.map(str::to_owned),
        ..NewSession::default()
    }
}

async fn a_token(world: &World, webhook: Option<&str>) -> SessionCreated {
    let new = NewToken { session: new(webhook), scope: None };
    world.connect.create_token(&world.permit(), new).await.unwrap()
}

async fn a_project_webhook(world: &World) {
    let url = "https://acme.example/project";
    world.webhooks.set_project_webhook(&world.permit(), url).await.unwrap();
}

fn fields(key: &str) -> BTreeMap<String, SecretString> {
    [("key".to_owned(), SecretString::new(key.to_owned()))].into()
}

async fn submit(
    world: &World,
    made: &SessionCreated,
    browser: &Plain<token::Browser>,
    fields: BTreeMap<String, SecretString>,
) -> Option<Code> {
    let done = world.submit(made.token.expose(), browser, Scheme::ApiKey, fields).await;
    done.err().map(|error| error.code())
}

async fn deliveries(world: &World) -> Vec<WebhookDelivery> {
    let all = WebhookDeliveryFilter::default();
    world.webhooks.deliveries(&world.permit(), &all, None, 100).await.unwrap().items
}

/// What was reported, oldest first, with whom it went to.
async fn reported(world: &World) -> Vec<(WebhookEvent, Value, Vec<WebhookPurpose>)> {
    let permit = world.permit();
    let messages = world.webhooks.messages(&permit, None, 100).await.unwrap().items;
    let mut all = Vec::new();
    for message in messages.into_iter().rev() {
        let mut to = Vec::new();
        for one in deliveries(world).await.iter().filter(|one| one.message_id == message.id) {
            to.push(world.webhooks.endpoint(&permit, one.endpoint_id).await.unwrap().purpose);
        }
        to.sort_by_key(|purpose| purpose.as_str());
        all.push((message.kind, message.body, to));
    }
    all
}

async fn attempts_and_the_connection_are_reported(database: TestDatabase) {
    let (app, status) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    a_project_webhook(&world).await;
    let (made, browser) = (a_token(&world, Some(HOOK)).await, cookie());
    // What was never tried at the app is no attempt.
    assert_eq!(submit(&world, &made, &browser, fields("")).await, Some(Code::InvalidRequest));
    assert_eq!(reported(&world).await.len(), 0);
    status.store(401, Ordering::SeqCst);
    let refused = submit(&world, &made, &browser, fields("wrong")).await;
    assert_eq!(refused, Some(Code::CredentialRefused));
    status.store(200, Ordering::SeqCst);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(submit(&world, &made, &browser, fields("right")).await, None);
    assert_eq!(
        submit(&world, &made, &browser, fields("again")).await,
        Some(Code::ConnectLinkSpent)
    );
    let all = reported(&world).await;
    let [(failed, error, to), (succeeded, success, _)] = all.as_slice() else { panic!("{all:?}") };
    let both = [WebhookPurpose::Project, WebhookPurpose::Session];
    assert!(all.iter().all(|(_, _, to)| *to == both), "{to:?}");
    assert_eq!(*failed, WebhookEvent::ConnectionError);
    assert!(error["error"].as_str().unwrap().starts_with("Thing refused the credential"));
    assert_eq!((&error["connection"], &error["link"]), (&Value::Null, &json!(false)));
    assert_eq!(*succeeded, WebhookEvent::ConnectionSuccess);
    let permit = world.permit();
    let listed =
        world.connect.accounts_of_customer(&Whose::All(&permit), "acme", None).await.unwrap();
    assert_eq!(success["connection"], listed[0].id.to_string());
    assert_eq!(success["session"], made.id.to_string());
    assert_eq!(success["environment"], "development");
    assert_eq!(success["error"], Value::Null);
}

async fn a_token_goes_to_the_project_webhook_without_an_address_of_its_own(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let before = a_token(&world, None).await;
    assert_eq!(submit(&world, &before, &cookie(), fields("k")).await, None);
    assert_eq!(reported(&world).await.len(), 0, "nobody wanted to hear of it");
    a_project_webhook(&world).await;
    let made = a_token(&world, None).await;
    assert_eq!(submit(&world, &made, &cookie(), fields("k")).await, None);
    let all = reported(&world).await;
    assert_eq!((all.len(), &all[0].2), (1, &vec![WebhookPurpose::Project]));
}

async fn a_link_is_reported_only_to_the_address_that_it_names(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let link =
        async |webhook| world.connect.create_session(&world.permit(), new(webhook)).await.unwrap();
    let plain = link(None).await;
    assert_eq!(submit(&world, &plain, &cookie(), fields("k")).await, None);
    assert_eq!(reported(&world).await.len(), 0);
    let named = link(Some(HOOK)).await;
    assert_eq!(submit(&world, &named, &cookie(), fields("k")).await, None);
    let all = reported(&world).await;
    assert_eq!((all.len(), &all[0].2), (1, &vec![WebhookPurpose::Session]));
    assert_eq!(all[0].1["link"], true);
    // It stays a link and nothing else.
    let refused = world.connect.holder(named.token.expose()).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

async fn a_denial_at_the_app_is_reported_once(database: TestDatabase) {
    let app = DemoApp::start(([127, 0, 0, 1], 0).into(), DemoOptions::default()).await.unwrap();
    let world = World::bare(database, &app.app_yaml()).await;
    let client = NewOAuthClient {
        app: "demo".into(),
        client_id: app.client_id(),
        secret: Some(SecretString::new(app.client_secret())),
        ..NewOAuthClient::default()
    };
    world.connect.set_oauth_client(&world.permit(), client).await.unwrap();
    let session = NewSession { app: Some("demo".into()), ..new(Some(HOOK)) };
    let new = NewToken { session, scope: None };
    let made = world.connect.create_token(&world.permit(), new).await.unwrap();
    let browser = cookie();
    let url = world.begin(made.token.expose(), &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "deny").await;
    let denied = world.connect.finish(callback, &browser).await.err().unwrap();
    assert!(matches!(denied, FlowError::Denied { .. }));
    let all = reported(&world).await;
    assert_eq!((all.len(), all[0].0), (1, WebhookEvent::ConnectionError));
    assert!(all[0].1["error"].as_str().unwrap().contains("did not grant access"));
    // The customer has another think.
    world.clock.advance(Duration::from_millis(1));
    let url = world.begin(made.token.expose(), &browser).await.unwrap();
    let callback = Browser::new(&world.http).consent(&url, "allow").await;
    world.connect.finish(callback, &browser).await.unwrap();
    let kinds: Vec<_> = reported(&world).await.into_iter().map(|one| one.0).collect();
    assert_eq!(kinds, [WebhookEvent::ConnectionError, WebhookEvent::ConnectionSuccess]);
}

async fn of_two_answers_at_once_one_is_reported(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let (made, browser) = (a_token(&world, Some(HOOK)).await, cookie());
    let done = tokio::join!(
        submit(&world, &made, &browser, fields("one")),
        submit(&world, &made, &browser, fields("two")),
        submit(&world, &made, &browser, fields("three")),
    );
    let done = [done.0, done.1, done.2];
    assert_eq!(done.iter().filter(|one| one.is_none()).count(), 1, "{done:?}");
    let kinds: Vec<_> = reported(&world).await.into_iter().map(|one| one.0).collect();
    assert_eq!(kinds, [WebhookEvent::ConnectionSuccess]);
    let permit = world.permit();
    let window = causeway_connect::Window { edge: causeway_connect::Edge::Beginning, limit: 10 };
    let all = world.connect.accounts(&Whose::All(&permit), &AccountsOf::default(), window).await;
    assert_eq!(all.unwrap().total, 1);
}

async fn an_account_made_with_a_token_is_reported(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let made = a_token(&world, Some(HOOK)).await;
    let account = NewAccount {
        app: "thing".into(),
        fields: fields("k"),
        token: Some(SecretString::new(made.token.expose().clone())),
        ..NewAccount::default()
    };
    let permit = world.permit();
    let one = world.connect.create_account(&Whose::All(&permit), account).await.unwrap();
    let all = reported(&world).await;
    assert_eq!((all.len(), &all[0].1["connection"]), (1, &json!(one.id.to_string())));
}

async fn an_app_that_gives_no_device_code_is_reported(database: TestDatabase) {
    let thing = Thing::new(database).await;
    let world = &thing.world;
    let made = a_token(world, Some(HOOK)).await;
    thing.app.next_at("/device", Reply::Json(400, json!({ "error": "invalid_scope" })));
    let fields = [("tenant".to_owned(), SecretString::new("acme".into()))].into();
    let choice = Choice { scheme: Some(Scheme::Device), fields, ..Choice::default() };
    let refused = world.connect.start(made.token.expose(), &cookie(), choice).await.err().unwrap();
    assert!(matches!(refused, FlowError::TokenRefused { .. }), "{refused}");
    let all = reported(world).await;
    assert_eq!((all.len(), all[0].0), (1, WebhookEvent::ConnectionError));
}

/// The address and the token of a session are nowhere to be read in its row.
async fn what_is_kept_for_reports_is_sealed(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(ROW, "")).await;
    let made = a_token(&world, Some(HOOK)).await;
    let workspace = world.tenant().workspace;
    let mut conn = world.database.store.read().await.unwrap();
    let session =
        causeway_store::db!(conn, connect_session::get(workspace, made.id)).unwrap().unwrap();
    let kept = causeway_store::db!(conn, connect_token::get(workspace, made.id)).unwrap().unwrap();
    let sealed = kept.token.unwrap();
    let holds =
        |part: &str| sealed.as_bytes().windows(part.len()).any(|window| window == part.as_bytes());
    assert!(!holds("canary-path-8e1d") && !holds(made.token.expose()));
    assert!(!format!("{session:?}").contains("canary-path-8e1d"));
}
