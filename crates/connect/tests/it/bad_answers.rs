//! Apps that answer as no app should, at every moment at which they answer: the connection's state,
//! the API and the customer's page say what happened and what to do, and nothing is followed,
//! repeated or read without end. The answers, and what comes of each, stand in [`table`]; [`bounds`] has
//! what is too long, too slow or not to be trusted, and what is odd but right.

mod bounds;
mod table;

use crate::standin::{Reply, StandIn};
use crate::world::{World, cookie};
use bytes::Bytes;
use causeway_connect::{
    Callback, Choice, CredentialError, Finished, FlowError, NewConnection, Progress, ProxyAnswer,
    ProxyCall, ProxyError, SessionCreated, Started,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{ConnectionOverview, ConnectionState, Scheme};
use causeway_types::{Clock as _, Code, Coded as _, ConnectionId, SecretString};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Empty};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use table::{Proxied, WRONG};

on_both!(
    a_code_that_is_answered_wrongly_makes_no_connection,
    a_refresh_says_what_was_wrong_with_its_answer,
    a_key_is_not_taken_for_good_without_a_word,
    keys_that_worked_are_not_given_up_for_a_wrong_answer,
    a_grant_is_deleted_whatever_the_app_says,
    a_proxied_answer_is_passed_on_or_named,
);

const HOUR: Duration = Duration::from_hours(1);

const AUTH: &str = "  oauth2:
    docs: https://thing.example/
    authorization_url: <url>/authorize
    token_url: <url>/token
    client_auth: post
    pkce: forbidden
    scopes: { default: [a, b] }
    refresh: { rotates: true }
    revoke: { url: <url>/revoke }
  api_key:
    docs: https://thing.example/
    fields: [{ name: key, label: Key }]
    send: { headers: { X-Key: '{key}' } }";

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

async fn world(database: TestDatabase, app: &StandIn) -> World {
    World::new(database, &app.row(AUTH, ""), ("me", "s3cret")).await
}

/// A flow that did not end well, and what its page shows then.
struct Failed {
    error: FlowError,
    shown: Progress,
}

/// Goes to the app and comes back with a code.
async fn connect(world: &World, name: &str) -> Result<Finished, Box<Failed>> {
    come_back(world, &world.session("thing", name).await).await
}

async fn come_back(world: &World, session: &SessionCreated) -> Result<Finished, Box<Failed>> {
    let (token, browser) = (session.token.expose(), cookie());
    let choice = Choice { scheme: Some(Scheme::Oauth2), ..Choice::default() };
    let started = world.connect.start(token, &browser, choice).await.unwrap();
    let Started::Browser(url) = started else { panic!("another way") };
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback =
        Callback { state, code: Some(SecretString::new("c".into())), ..Callback::default() };
    match world.connect.finish(callback, &browser).await {
        Ok(finished) => Ok(finished),
        Err(error) => {
            let shown = world.connect.progress(token, &browser).await.unwrap();
            Err(Box::new(Failed { error, shown }))
        }
    }
}

async fn linked(world: &World, name: &str) -> ConnectionId {
    match connect(world, name).await {
        Ok(finished) => finished.connection,
        Err(failed) => panic!("{}", failed.error),
    }
}

async fn keyed(
    world: &World,
    name: &str,
) -> Result<ConnectionOverview, causeway_connect::CreateError> {
    let new = NewConnection {
        customer: "acme".into(),
        app: "thing".into(),
        name: Some(name.into()),
        scheme: Scheme::ApiKey,
        fields: [("key".to_owned(), SecretString::new("k".into()))].into(),
    };
    world.connect.create_connection(&world.permit(), new).await
}

async fn failing(world: &World, name: &str) -> String {
    match world.credential(name).await {
        Err(CredentialError::Failing { reason, .. }) => reason,
        other => panic!("{:?}", other.map(|_| ())),
    }
}

async fn proxied(world: &World, target: &str) -> Result<ProxyAnswer, ProxyError> {
    let call = ProxyCall {
        method: Method::GET,
        target: target.to_owned(),
        headers: HeaderMap::new(),
        body: Empty::<Bytes>::new().map_err(|never: Infallible| match never {}).boxed_unsync(),
    };
    world.connect.proxy(&world.permit(), "crm", call).await
}

async fn a_code_that_is_answered_wrongly_makes_no_connection(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    for wrong in WRONG {
        app.next((wrong.reply)(&app.url()));
        let before = app.asked("/token").len();
        let Err(failed) = connect(&world, "crm").await else { panic!("{}", wrong.name) };
        let (code, text) = (failed.error.code(), failed.error.public());
        assert_eq!(code, wrong.exchange.0, "{}: {text}", wrong.name);
        assert!(text.contains(wrong.exchange.1), "{}: {text}", wrong.name);
        assert!(text.contains("Open your link again to retry."), "{}: {text}", wrong.name);
        assert_eq!(app.asked("/token").len() - before, 1, "{}: a code is sent once", wrong.name);
        let Progress::Failed { code: shown, text: words } = &failed.shown else {
            panic!("{}: {:?}", wrong.name, failed.shown)
        };
        assert_eq!((shown.as_str(), words.as_str()), (code.as_str(), &*text), "{}", wrong.name);
    }
    let all = causeway_connect::ConnectionFilter::default();
    let listed = world.connect.connections(&world.permit(), &all, None, 10).await.unwrap();
    assert!(listed.items.is_empty());
    assert!(app.sent() < 64 << 20, "an endless body is not read: {}", app.sent());
    linked(&world, "crm").await;
}

async fn a_refresh_says_what_was_wrong_with_its_answer(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    let id = linked(&world, "crm").await;
    for wrong in WRONG {
        world.clock.advance(HOUR);
        app.next((wrong.reply)(&app.url()));
        let before = app.asked("/token").len();
        let reason = failing(&world, "crm").await;
        assert!(reason.starts_with(wrong.refresh), "{}: {reason}", wrong.name);
        assert_eq!(app.asked("/token").len() - before, 1, "{}", wrong.name);
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.state_reason), (ConnectionState::Failing, Some(reason)));
        let problem = world.credential("crm").await.err().unwrap();
        assert_eq!(problem.code(), Code::UpstreamFailed);
        assert!(problem.public().contains("The next attempt is at "), "{}", problem.public());
        if wrong.name == "enough" {
            let wait = row.refresh_at.unwrap().since(world.clock.now());
            assert!(wait >= Duration::from_mins(10), "the app has said when: {wait:?}");
        }
        // And when the app is itself again, all is well.
        world.clock.advance(HOUR);
        assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
        assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
    }
    assert!(app.sent() < 64 << 20, "an endless body is not read: {}", app.sent());
}

async fn a_key_is_not_taken_for_good_without_a_word(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    for (number, wrong) in WRONG.iter().enumerate() {
        app.next_at("/me", (wrong.reply)(&app.url()));
        match (keyed(&world, &format!("key-{number}")).await, wrong.verify) {
            (Ok(made), None) => assert_eq!(made.state, ConnectionState::Healthy, "{}", wrong.name),
            (Err(refused), Some((code, says))) => {
                assert_eq!(refused.code(), code, "{}", wrong.name);
                assert!(refused.public().contains(says), "{}: {}", wrong.name, refused.public());
            }
            (made, _) => panic!("{}: {made:?}", wrong.name),
        }
    }
    assert!(app.sent() < 64 << 20, "{}", app.sent());
}

async fn keys_that_worked_are_not_given_up_for_a_wrong_answer(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    let id = keyed(&world, "key").await.unwrap().id;
    for wrong in WRONG {
        app.next_at("/me", (wrong.reply)(&app.url()));
        let tested = world.connect.test_connection(&world.permit(), id).await.unwrap();
        let (state, says) = wrong.tested;
        assert_eq!(tested.connection.state, state, "{}", wrong.name);
        let problem = tested.problem.unwrap_or_default();
        assert!(problem.starts_with(says), "{}: {problem}", wrong.name);
        assert_eq!(problem.is_empty(), state == ConnectionState::Healthy, "{}", wrong.name);
        assert!(world.credential("key").await.is_ok(), "{}: no reason not to try", wrong.name);
        let tested = world.connect.test_connection(&world.permit(), id).await.unwrap();
        assert_eq!(tested.connection.state, ConnectionState::Healthy, "{}", wrong.name);
    }
}

async fn a_grant_is_deleted_whatever_the_app_says(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    for wrong in WRONG {
        let id = linked(&world, "crm").await;
        app.next_at("/revoke", (wrong.reply)(&app.url()));
        let before = app.asked("/revoke").len();
        world.connect.delete_connection(&world.permit(), id).await.unwrap();
        assert!(world.connection(id).await.is_none(), "{}", wrong.name);
        assert_eq!(app.asked("/revoke").len() - before, 1, "{}", wrong.name);
        let audited = world.audit().await;
        let deleted = audited.iter().rfind(|row| row.action == "connection_deleted").unwrap();
        let detail: Value = serde_json::from_str(&deleted.detail).unwrap();
        let outcome = find(&detail, "revoked_upstream");
        assert!(outcome.starts_with(wrong.revoke), "{}: {outcome}", wrong.name);
    }
}

/// A text of an event, wherever it stands in it.
fn find<'a>(detail: &'a Value, name: &str) -> &'a str {
    let fields = detail.as_object().unwrap();
    let deeper = || fields.values().find_map(|value| value.get(name));
    fields.get(name).or_else(deeper).and_then(Value::as_str).unwrap_or_else(|| panic!("{detail}"))
}

async fn a_proxied_answer_is_passed_on_or_named(database: TestDatabase) {
    let app = app().await;
    let world = world(database, &app).await;
    let id = linked(&world, "crm").await;
    for wrong in WRONG {
        // A read is tried again where its connection breaks.
        app.next_at("/things", (wrong.reply)(&app.url()));
        app.next_at("/things", (wrong.reply)(&app.url()));
        match (proxied(&world, "/things").await, &wrong.proxy) {
            (Ok(answer), Proxied::Answer(status)) => {
                assert_eq!(answer.status, *status, "{}", wrong.name);
            }
            (Ok(answer), Proxied::Broken) => {
                answer.body.collect_within(1 << 20).await.unwrap_err();
            }
            (Err(refused), Proxied::Problem(code, says)) => {
                assert_eq!(refused.code(), *code, "{}", wrong.name);
                let text = refused.public();
                assert!(text.starts_with("Thing gave no answer: calling "), "{text}");
                assert!(text.contains(says), "{}: {text}", wrong.name);
            }
            (answer, _) => panic!("{}: {:?}", wrong.name, answer.map(|it| it.status)),
        }
        app.clear();
        assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
        world.clock.advance(HOUR);
    }
}
