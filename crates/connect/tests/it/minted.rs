//! Tokens that Causeway gets by itself: for the customer's own client, key or account, and for an
//! installation of the company's app.

use crate::crash;
use crate::standin::{Asked, Reply, StandIn};
use crate::world::{World, access_token, cookie, credential};
use causeway_connect::{
    Callback, Choice, CrashPoint, CredentialError, NewConnection, NewOAuthClient, NewSession,
    Started,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::entity::{ConnectionState, RefreshPhase, Scheme};
use causeway_types::{Code, Coded as _, SecretString};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

on_both!(
    a_client_of_the_customer_gets_tokens_as_often_as_needed,
    every_proof_of_a_client_is_sent_as_the_app_wants_it,
    a_signed_token_is_exchanged,
    a_signed_token_is_sent_itself,
    two_steps_lead_to_a_token,
    a_host_that_the_row_does_not_know_gets_nothing,
    an_installation_gets_tokens_with_the_companys_key,
    keys_that_are_denied_need_the_customer_and_may_recover,
    trouble_backs_off_and_passes,
    a_process_that_dies_loses_no_token,
    many_callers_on_two_nodes_cause_one_request,
);

const HOUR: Duration = Duration::from_hours(1);

/// Tokens are numbered; `/me` takes them all, unless it is told to take none.
async fn app() -> (StandIn, Arc<AtomicBool>) {
    let (count, works) = (AtomicU32::new(0), Arc::new(AtomicBool::new(true)));
    let own = Arc::clone(&works);
    let app = StandIn::start(move |asked| {
        if asked.path.starts_with("/token") {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::Json(
                200,
                json!({ "access_token": format!("t{number}"), "expires_in": "3600" }),
            );
        }
        if !own.load(Ordering::SeqCst) {
            return Reply::Json(401, json!({}));
        }
        Reply::Json(200, json!({ "id": 7, "name": "Acme" }))
    })
    .await;
    (app, works)
}

fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new((*v).to_owned()))).collect()
}

fn new(scheme: Scheme, given: &[(&str, &str)]) -> NewConnection {
    NewConnection {
        customer: "acme".into(),
        app: "thing".into(),
        name: Some("crm".into()),
        scheme,
        fields: fields(given),
    }
}

async fn create(
    world: &World,
    scheme: Scheme,
    given: &[(&str, &str)],
) -> causeway_types::ConnectionId {
    world.connect.create_connection(&world.permit(), new(scheme, given)).await.unwrap().id
}

const CLIENT: &str = "  client_credentials:
    docs: https://thing.example/
    fields:
      - { name: client_id, label: Id }
      - { name: client_secret, label: Secret, format: multiline }
    token_url: <url>/token
    client_auth: post
    scopes: { default: [a, b] }
    params: { audience: 'for {client_id}' }";
const OWN: [(&str, &str); 2] = [("client_id", "me"), ("client_secret", "s3cret")];

async fn a_client_of_the_customer_gets_tokens_as_often_as_needed(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(CLIENT, "")).await;
    let made = world
        .connect
        .create_connection(&world.permit(), new(Scheme::ClientCredentials, &OWN))
        .await
        .unwrap();
    assert_eq!(
        (made.account_id.as_deref(), made.account_name.as_deref()),
        (Some("7"), Some("Acme"))
    );
    assert_eq!(app.asked("/me")[0].header("authorization"), "Bearer t1");
    let asked = app.asked("/token")[0].form();
    let expected = [
        ("audience", "for me"),
        ("client_id", "me"),
        ("client_secret", "s3cret"),
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
    ];
    let asked: Vec<(&str, &str)> = asked.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(asked, expected);

    let credential = world.credential("crm").await.unwrap();
    assert_eq!(access_token(&credential), "t1");
    // The secret is masked, the id is not.
    let masked = |text: &[u8]| credential.secrets().iter().any(|secret| secret.expose() == text);
    assert!(masked(b"s3cret") && masked(b"t1"));
    // Nobody gets a token ahead of need.
    world.clock.advance(Duration::from_secs(3575));
    assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "t2");
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "t2");
    assert_eq!(app.asked("/token").len(), 2);
    let row = world.connection(made.id).await.unwrap();
    assert_eq!((row.state, row.refresh_at), (ConnectionState::Healthy, None));
    assert!(row.refreshed_at.is_some());
    assert_eq!(world.audited("connection_refreshed").await, 1);
}

async fn every_proof_of_a_client_is_sent_as_the_app_wants_it(database: TestDatabase) {
    let (app, _) = app().await;
    let row = CLIENT.replace("client_auth: post", "client_auth: basic\n    body: json");
    let world = World::bare(database, &app.row(&row, "")).await;
    create(&world, Scheme::ClientCredentials, &OWN).await;
    let asked = &app.asked("/token")[0];
    assert_eq!(asked.header("authorization"), format!("Basic {}", BASE64.encode(b"me:s3cret")));
    assert_eq!(asked.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["grant_type"], "client_credentials");
    assert!(body.get("client_secret").is_none());

    let row = CLIENT.replace("client_auth: post", "client_auth: private_key_jwt");
    world.write_row(&app.row(&row, ""));
    let node = world.second_node().await;
    let refused = node
        .create_connection(&world.permit(), new(Scheme::ClientCredentials, &OWN))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::CredentialRefused);
    assert!(refused.public().contains("`client_secret` does not read"), "{}", refused.public());
    let key = key_pair();
    let own = [("client_id", "me"), ("client_secret", key.pem.as_str())];
    let mut with_key = new(Scheme::ClientCredentials, &own);
    with_key.name = Some("other".into());
    node.create_connection(&world.permit(), with_key).await.unwrap();
    let asked = app.asked("/token").pop().unwrap().form();
    let (header, claims) = key.verified(&asked["client_assertion"]);
    assert_eq!(header["alg"], "RS256");
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("me"), &json!(format!("{}/token", app.url())))
    );
}

/// An RSA key of a test.
pub(crate) struct Key {
    pub(crate) pem: String,
    public: jsonwebtoken::DecodingKey,
}

impl Key {
    /// Header and claims of a token that this key has signed.
    fn verified(&self, token: &str) -> (Value, Value) {
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims =
            jsonwebtoken::decode::<Value>(token, &self.public, &validation).unwrap().claims;
        let header = BASE64URL_NOPAD.decode(token.split('.').next().unwrap().as_bytes()).unwrap();
        (serde_json::from_slice(&header).unwrap(), claims)
    }
}

pub(crate) fn key_pair() -> Key {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
    Key {
        pem: format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
            BASE64.encode(der.as_ref())
        ),
        public: jsonwebtoken::DecodingKey::from_rsa_der(key.public_key().as_ref()),
    }
}

async fn a_signed_token_is_exchanged(database: TestDatabase) {
    let (app, _) = app().await;
    let row = "  jwt:
    docs: https://thing.example/
    fields:
      - { name: email, label: E-mail, format: email, secret: false }
      - { name: private_key, label: Key, format: multiline }
    algorithm: RS256
    key: private_key
    header: { kid: 'key of {email}' }
    claims: { iss: '{email}', aud: <url>/token }
    lifetime: 3600
    exchange:
      token_url: <url>/token
      params: { client: '{email}' }";
    let world = World::bare(database, &app.row(row, "")).await;
    let key = key_pair();
    let own = [("email", "me@thing.example"), ("private_key", key.pem.as_str())];
    create(&world, Scheme::Jwt, &own).await;
    let asked = app.asked("/token")[0].form();
    assert_eq!(asked["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(asked["client"], "me@thing.example");
    let (header, claims) = key.verified(&asked["assertion"]);
    assert_eq!(
        (&header["kid"], &header["typ"]),
        (&json!("key of me@thing.example"), &json!("JWT"))
    );
    assert_eq!(claims["iss"], "me@thing.example");
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 3600, "neither longer than the app allows nor issued in its future");
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "t1");
}

async fn a_signed_token_is_sent_itself(database: TestDatabase) {
    let (app, _) = app().await;
    let row = "  jwt:
    docs: https://thing.example/
    fields:
      - { name: id, label: Id, secret: false }
      - { name: secret, label: Secret }
    algorithm: HS256
    key: secret
    key_form: hex
    header: { kid: '{id}' }
    claims: { aud: /admin/ }
    lifetime: 300
    send: { headers: { Authorization: 'Thing {oauth_access_token}' } }";
    let world = World::bare(database, &app.row(row, "")).await;
    let id = create(&world, Scheme::Jwt, &[("id", "k1"), ("secret", "00ff10")]).await;
    let first = access_token(&world.credential("crm").await.unwrap());
    assert_eq!(app.asked("/me")[0].header("authorization"), format!("Thing {first}"));
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.set_audience(&["/admin/"]);
    let check = jsonwebtoken::DecodingKey::from_secret(&[0, 0xff, 0x10]);
    assert!(jsonwebtoken::decode::<Value>(&first, &check, &validation).is_ok());
    world.clock.advance(Duration::from_secs(290));
    let second = access_token(&world.credential("crm").await.unwrap());
    assert_ne!(first, second);
    assert_eq!(app.asked("/token").len(), 0);
    let lease = world.lease(id).await.unwrap();
    assert_eq!((lease.unanswered, lease.failures), (0, 0));
    let refused = world
        .connect
        .create_connection(&world.permit(), new(Scheme::Jwt, &[("id", "k"), ("secret", "no hex")]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::CredentialRefused);
}

const TWO_STEPS: &str = "  token_exchange:
    docs: https://thing.example/
    fields:
      - { name: user, label: User, secret: false }
      - { name: pass, label: Password }
      - { name: tenant, label: Tenant, optional: true }
    request:
      method: POST
      url: <url>/token/{user}
      headers: { X-Api: '2', X-Tenant: '{tenant}' }
      query: { v: '1' }
      json: { login: { user: '{user}', pass: '{pass}', tenant: '{tenant}' }, remember: true }
    answer:
      at: /session
      access_token: sid
      expires_in: until
      expiry: epoch_milliseconds
      keep:
        server: { at: /session/server, part: host }
        team: { at: /teams/0 }
    send: { headers: { X-Session: '{oauth_access_token}' }, query: { team: '{team}' } }";

fn session(world: &World, server: &str) -> Reply {
    let until = causeway_types::Clock::now(&*world.clock).plus(HOUR).as_millis();
    Reply::Json(
        200,
        json!({
            "session": { "sid": "s1", "until": until, "server": server },
            "teams": [41],
        }),
    )
}

async fn two_steps_lead_to_a_token(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(TWO_STEPS, "")).await;
    app.next(session(&world, &app.url()));
    let id = create(&world, Scheme::TokenExchange, &[("user", "a/b"), ("pass", "p\"w")]).await;
    let asked = &app.asked("/token")[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token/a%2Fb?v=1"));
    assert_eq!((asked.header("x-api"), asked.headers.contains_key("x-tenant")), ("2", false));
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body, json!({ "login": { "user": "a/b", "pass": "p\"w" }, "remember": true }));
    let verified = &app.asked("/me")[0];
    assert_eq!((verified.path.as_str(), verified.header("x-session")), ("/me?team=41", "s1"));
    let row = world.connection(id).await.unwrap();
    assert_eq!(row.expires_at.unwrap().since(row.created_at).as_secs(), 3600);
    let auth = world.credential("crm").await.unwrap();
    let auth: Value = serde_json::from_slice(auth.auth().expose()).unwrap();
    assert_eq!(
        (&auth["team"], &auth["server"]),
        (&json!("41"), &json!(format!("127.0.0.1:{}", app.port)))
    );
}

async fn a_host_that_the_row_does_not_know_gets_nothing(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(TWO_STEPS, "")).await;
    let own = [("user", "u"), ("pass", "p")];
    app.next(session(&world, "https://evil.example.org"));
    let refused = world
        .connect
        .create_connection(&world.permit(), new(Scheme::TokenExchange, &own))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::UpstreamFailed);
    assert!(refused.public().contains("named the host `evil.example.org`"), "{}", refused.public());
    assert!(app.asked("/me").is_empty(), "the token went nowhere");
    // The same later: what was got before is not used for it.
    app.next(session(&world, &app.url()));
    let id = create(&world, Scheme::TokenExchange, &own).await;
    world.clock.advance(HOUR);
    app.next(session(&world, "https://evil.example.org"));
    let Err(CredentialError::Failing { reason, .. }) = world.credential("crm").await else {
        panic!("another outcome");
    };
    assert!(reason.starts_with("app_error: The app named the host `evil.example.org`"), "{reason}");
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Failing);
}

async fn an_installation_gets_tokens_with_the_companys_key(database: TestDatabase) {
    let (app, _) = app().await;
    // As GitHub's: docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app.
    let row = "  installation:
    docs: https://thing.example/
    install_url: <url>/apps/{app_slug}/installations/new
    id_param: installation_id
    jwt_lifetime: 540
    token_url: <url>/token/{installation_id}
    installation_url: <url>/app/installations/{installation_id}
    account_name: /name
    answer: { access_token: token, expires_in: expires_at, expiry: rfc3339 }";
    let rest = "client_fields: [{ name: app_slug, label: Slug, format: label }]\n";
    let world = World::bare(database, &app.row(row, rest)).await;
    let key = key_pair();
    let client = NewOAuthClient {
        app: "thing".into(),
        client_id: "Iv1.abc".into(),
        secret: Some(SecretString::new(key.pem.clone())),
        fields: fields(&[("app_slug", "acme-bot")]),
        ..NewOAuthClient::default()
    };
    world.connect.set_oauth_client(&world.permit(), client).await.unwrap();
    let token = |number: u32| {
        let end = causeway_types::Clock::now(&*world.clock).plus(HOUR);
        Reply::Json(201, json!({ "token": format!("ghs_{number}"), "expires_at": end.to_string() }))
    };
    let session = NewSession {
        customer: "acme".into(),
        app: Some("thing".into()),
        name: Some("crm".into()),
        ..NewSession::default()
    };
    let session = world.connect.create_session(&world.permit(), session).await.unwrap();
    let browser = cookie();
    let choice = Choice { scheme: Some(Scheme::Installation), ..Choice::default() };
    let started = world.connect.start(session.token.expose(), &browser, choice).await.unwrap();
    let Started::Browser(url) = started else { panic!("another way") };
    assert_eq!(url.path(), "/apps/acme-bot/installations/new");
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    app.next(token(1));
    let callback =
        Callback { state, others: fields(&[("installation_id", "4711")]), ..Callback::default() };
    let id = world.connect.finish(callback, &browser).await.unwrap().connection;
    let asked = &app.asked("/token/4711")[0];
    assert_eq!((asked.method.as_str(), asked.body.as_str()), ("POST", ""));
    let own = |asked: &Asked| {
        let jwt = asked.header("authorization").strip_prefix("Bearer ").unwrap().to_owned();
        key.verified(&jwt).1
    };
    let claims = own(asked);
    assert_eq!(claims["iss"], "Iv1.abc");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 540);
    assert_eq!(own(&app.asked("/app/installations/4711")[0])["iss"], "Iv1.abc");
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "ghs_1");
    assert_eq!(world.connection(id).await.unwrap().account_name.as_deref(), Some("Acme"));

    world.clock.advance(HOUR);
    app.next(token(2));
    assert_eq!(access_token(&world.credential("crm").await.unwrap()), "ghs_2");
    // The company's key is no matter of the customer's.
    world.clock.advance(HOUR);
    app.next(Reply::Json(401, json!({ "message": "A JSON web token could not be decoded" })));
    let Err(CredentialError::Failing { reason, .. }) = world.credential("crm").await else {
        panic!("another outcome");
    };
    assert!(reason.contains("A JSON web token could not be decoded"), "{reason}");
    // An installation that is gone is.
    world.clock.advance(HOUR);
    app.next(Reply::Json(404, json!({ "message": "Not Found" })));
    let Err(CredentialError::NeedsReauth { reason, .. }) = world.credential("crm").await else {
        panic!("another outcome");
    };
    assert!(reason.starts_with("grant_denied: "), "{reason}");
}

async fn keys_that_are_denied_need_the_customer_and_may_recover(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(CLIENT, "")).await;
    // At creation, there is none.
    app.next(Reply::Json(401, json!({ "error": "invalid_client" })));
    let refused = world
        .connect
        .create_connection(&world.permit(), new(Scheme::ClientCredentials, &OWN))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::CredentialRefused);
    let id = create(&world, Scheme::ClientCredentials, &OWN).await;
    let denials = [
        Reply::Json(401, json!({})),
        Reply::Json(403, json!({ "message": "disabled" })),
        Reply::Json(400, json!({ "error": "invalid_client" })),
    ];
    for denial in denials {
        world.clock.advance(HOUR);
        let before = app.asked("/token").len();
        app.next(denial);
        for _ in 0..2 {
            let Err(CredentialError::NeedsReauth { reason, .. }) = world.credential("crm").await
            else {
                panic!("another outcome");
            };
            assert!(reason.starts_with("grant_denied: The app answered "), "{reason}");
        }
        assert_eq!(app.asked("/token").len(), before + 1, "asked once");
        // Keys may be switched on again: they are tried hours later.
        let row = world.connection(id).await.unwrap();
        let pause = row.refresh_at.unwrap().since(row.updated_at);
        assert!((HOUR * 4..=HOUR * 6).contains(&pause), "{pause:?}");
        assert_eq!(world.connect.refresh_due().await.unwrap(), 0);
        world.clock.advance(pause);
        assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
        assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::Healthy);
        assert!(world.credential("crm").await.is_ok());
    }
    assert_eq!(world.audited("connection_state_changed").await, 3);
    // The pauses grow, and after a month they end.
    world.clock.advance(HOUR);
    let mut last = Duration::ZERO;
    let mut tries = 0;
    app.next(Reply::Json(401, json!({})));
    assert!(world.credential("crm").await.is_err());
    while let Some(at) = world.connection(id).await.unwrap().refresh_at {
        let pause = at.since(world.connection(id).await.unwrap().updated_at);
        assert!(pause > last, "{pause:?} after {last:?}");
        (last, tries) = (pause, tries + 1);
        world.clock.advance(pause);
        app.next(Reply::Json(401, json!({})));
        world.connect.refresh_due().await.unwrap();
    }
    assert!((5..=12).contains(&tries), "{tries}");
    assert_eq!(world.connection(id).await.unwrap().state, ConnectionState::NeedsReauth);
}

async fn trouble_backs_off_and_passes(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(CLIENT, "")).await;
    let id = create(&world, Scheme::ClientCredentials, &OWN).await;
    world.clock.advance(HOUR);
    let limited = ("retry-after", "120".to_owned());
    for (reply, begins) in [
        (Reply::Json(503, json!({})), "app_error: The app answered with status 503 and no token."),
        (Reply::Close, "app_unreachable: calling "),
        // Not a denial: the app wants to be left alone for a while.
        (Reply::With(403, limited, "{}".into()), "app_error: The app answered with status 403"),
    ] {
        app.next(reply);
        let Err(CredentialError::Failing { reason, retry_at, .. }) = world.credential("crm").await
        else {
            panic!("another outcome");
        };
        assert!(reason.starts_with(begins), "{reason}");
        let row = world.connection(id).await.unwrap();
        assert_eq!((row.state, row.refresh_at), (ConnectionState::Failing, Some(retry_at)));
        assert_eq!(world.lease(id).await.unwrap().unanswered, 0, "asking again spends nothing");
        let pause = retry_at.since(causeway_types::Clock::now(&*world.clock));
        world.clock.advance(pause);
    }
    // The background gets it going again, without a caller.
    assert_eq!(world.connect.refresh_due().await.unwrap(), 1);
    let row = world.connection(id).await.unwrap();
    assert_eq!((row.state, row.refresh_at), (ConnectionState::Healthy, None));
}

async fn a_process_that_dies_loses_no_token(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(CLIENT, "")).await;
    let id = create(&world, Scheme::ClientCredentials, &OWN).await;
    let second = world.second_node().await;
    for point in CrashPoint::ALL {
        world.clock.advance(2 * HOUR);
        let (before, asked) = (world.connection(id).await.unwrap(), app.asked("/token").len());
        crash::die_at(&world, *point).await;
        let token = crash::afterwards(&world, &second).await.unwrap();
        // Asking again spends nothing, so it is done where the answer was lost.
        let asked = app.asked("/token").len() - asked;
        let lost = *point == CrashPoint::AnswerReceived;
        assert_eq!(asked, if lost { 2 } else { 1 }, "{point:?}");
        let row = world.connection(id).await.unwrap();
        assert_eq!(
            (row.state, row.fence),
            (ConnectionState::Healthy, before.fence + 1),
            "{point:?}"
        );
        let lease = world.lease(id).await.unwrap();
        assert_eq!((lease.phase, lease.unanswered), (RefreshPhase::Idle, 0), "{point:?}");
        assert_eq!(token, format!("t{}", app.asked("/token").len()), "{point:?}");
    }
}

async fn many_callers_on_two_nodes_cause_one_request(database: TestDatabase) {
    let (app, _) = app().await;
    let world = World::bare(database, &app.row(CLIENT, "")).await;
    create(&world, Scheme::ClientCredentials, &OWN).await;
    let second = world.second_node().await;
    world.clock.advance(HOUR);
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let connect = if number % 2 == 0 { world.connect.clone() } else { second.clone() };
        let tenant = world.tenant();
        callers.spawn(
            async move { access_token(&credential(&connect, tenant, "crm").await.unwrap()) },
        );
    }
    while let Some(token) = callers.join_next().await {
        assert_eq!(token.unwrap(), "t2");
    }
    assert_eq!(app.asked("/token").len(), 2);
}
