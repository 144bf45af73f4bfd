//! API keys, machine clients and their tokens, over HTTP.

use crate::kit::{Answer, Json, Setup, World, request_as, value};
use crate::people::Named;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_api::{Quota, RateLimitConfig};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::Clock as _;
use causeway_types::entity::Role;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_key_is_made_used_rotated_and_revoked,
    wrong_keys_are_not_made,
    a_secret_is_kept_for_no_repeated_request,
    people_make_keys_within_their_role,
    strangers_find_no_keys_and_no_clients,
    a_client_obtains_a_token_in_every_way,
    a_token_that_is_revoked_is_refused_at_once,
    a_clients_proofs_are_changed_without_a_gap,
    a_client_asks_for_tokens_so_often_and_nobody_else_in_its_name,
    wrong_token_requests_are_refused_in_the_words_of_oauth,
    what_the_server_says_of_itself,
);

const KEYS: &str = "/api/v1/api-keys";
const CLIENTS: &str = "/api/v1/machine-clients";
const TOKEN: &str = "/v1/oauth/token";
const REVOKE: &str = "/v1/oauth/revoke";
const ISSUER: &str = "http://127.0.0.1:8400";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A request to an endpoint of OAuth: a form.
fn form(path: &str, pairs: &[(&str, &str)]) -> Request<Body> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into())
        .unwrap()
}

/// A client's key.
struct Pair {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Pair {
    fn new(kid: &'static str) -> Self {
        Self { kid, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    /// Its public half as a JWK.
    fn public(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        json!({ "kty": "EC", "crv": "P-256", "kid": self.kid, "x": x, "y": y })
    }

    /// What a client with this id sends, at `now` in seconds.
    fn assertion(&self, id: &str, aud: &str, jti: &str, now: u64) -> String {
        let encode = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let header = json!({ "alg": "ES256", "typ": "client-authentication+jwt", "kid": self.kid });
        let claims =
            json!({ "iss": id, "sub": id, "aud": aud, "iat": now, "exp": now + 60, "jti": jti });
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes()))
}

fn with_basic(mut request: Request<Body>, id: &str, secret: &str) -> Request<Body> {
    request.headers_mut().insert(header::AUTHORIZATION, value(&basic(id, secret)));
    request
}

impl World {
    async fn with_bearer(&self, text: &str) -> Answer {
        self.send(request_as(text, Method::GET, "/api/v1/workflows", None)).await
    }

    /// A client that may read workflows: its id and secret.
    async fn client(&self) -> (String, String) {
        let body = json!({ "name": "backend", "scopes": { "actions": ["workflows.read"] } });
        let made = self.post(CLIENTS, &body).await.ok();
        (made.text("id"), made.text("client_secret"))
    }
}

async fn a_key_is_made_used_rotated_and_revoked(database: TestDatabase) {
    let world = World::new(database).await;
    let body = json!({
        "name": "CI",
        "scopes": { "actions": ["workflows.read", "workflows.deploy"], "apps": ["demo"] },
        "expires_in": 86400 * 30,
    });
    let made = world.post(KEYS, &body).await;
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"));
    let made = made.ok();
    let (id, key) = (made.text("id"), made.text("api_key"));
    assert!(key.starts_with("cwk_") && key.starts_with(&made.text("hint")));
    assert_eq!(made["scopes"]["actions"], json!(["workflows.read", "workflows.deploy"]));
    assert_eq!(made["scopes"]["apps"], json!(["demo"]));
    world.with_bearer(&key).await.ok();
    let denied = request_as(&key, Method::GET, "/api/v1/connections", None);
    world.send(denied).await.problem(403, "denied");

    for path in [KEYS.to_owned(), format!("{KEYS}/{id}")] {
        let answer = world.get(&path).await;
        assert!(!answer.html().contains(&key) && answer.html().contains(&id), "{path}");
        answer.ok();
    }
    let rotate = format!("{KEYS}/{id}/rotate");
    let rotated = world.post(&rotate, &json!({ "overlap_hours": 2 })).await.ok();
    let new = rotated.text("api_key");
    assert_eq!(rotated["scopes"], made["scopes"]);
    assert_eq!(
        rotated.text("old_key_works_until"),
        world.clock.now().plus(Duration::from_hours(2)).to_string()
    );
    world.with_bearer(&key).await.ok();
    world.with_bearer(&new).await.ok();
    world.clock.advance(Duration::from_hours(2));
    world.with_bearer(&key).await.problem(401, "unauthenticated");
    world.with_bearer(&new).await.ok();

    let path = format!("{KEYS}/{}", rotated.text("id"));
    assert_eq!(world.delete(&path).await.status, 204);
    world.with_bearer(&new).await.problem(401, "unauthenticated");
    assert_eq!(world.delete(&path).await.status, 204);
    assert_eq!(world.get(&path).await.ok()["revoked_at"], world.clock.now().to_string());
    world.post(&format!("{path}/rotate"), &json!({})).await.problem(400, "invalid_request");

    let first = world.get(&format!("{KEYS}?limit=1")).await.ok();
    let cursor = first.text("next_cursor");
    let rest = world.get(&format!("{KEYS}?cursor={cursor}")).await.ok();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (2, &Value::Null));
}

async fn wrong_keys_are_not_made(database: TestDatabase) {
    let world = World::new(database).await;
    let before = world.get(KEYS).await.ok()["data"].as_array().unwrap().len();
    let long = "x".repeat(5000);
    for (body, code) in [
        (json!({}), "invalid_request"),
        (json!({ "name": "" }), "invalid_request"),
        (json!({ "name": long }), "invalid_request"),
        (json!({ "name": "x", "expires_in": 1 }), "invalid_request"),
        (json!({ "name": "x", "expires_in": u64::MAX }), "invalid_request"),
        (json!({ "name": "x", "expires_in": -1 }), "invalid_request"),
        (json!({ "name": "x", "extra": 1 }), "invalid_request"),
        (json!({ "name": "x", "scopes": [] }), "invalid_request"),
        (json!({ "name": "x", "scopes": null }), "invalid_request"),
        (json!({ "name": "x", "scopes": "workflows.read" }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "proxy": [[]] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "proxy": {} } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": [] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["everything"] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": [long] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["connections.use"] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["access.decide"] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["staff.request"] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["staff.approve"] } }), "invalid_request"),
        (
            json!({ "name": "x", "scopes": { "actions": ["installation.workspaces"] } }),
            "invalid_request",
        ),
        (
            json!({ "name": "x", "scopes": { "actions": ["installation.reports"] } }),
            "invalid_request",
        ),
        (json!({ "name": "x", "scopes": { "apps": ["../x"] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "apps": vec!["a"; 101] } }), "invalid_request"),
        (
            json!({ "name": "x", "scopes": { "proxy": [{ "methods": ["get"] }] } }),
            "invalid_request",
        ),
        (
            json!({ "name": "x", "scopes": { "proxy": [{ "paths": ["/../x"] }] } }),
            "invalid_request",
        ),
        (json!({ "name": "x", "scopes": { "proxy": [{ "paths": [long] }] } }), "invalid_request"),
        (json!({ "name": "x", "scopes": { "actions": ["members.manage"] } }), "denied"),
    ] {
        let refused = world.post(KEYS, &body).await;
        refused.problem(if code == "denied" { 403 } else { 400 }, code);
        assert!(refused.body.len() < 1500, "it repeats too much");
    }
    for body in [
        json!({ "name": "x", "secret": false }),
        json!({ "name": "x", "public_keys": [] }),
        json!({ "name": "x", "public_keys": { "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] } }),
    ] {
        let refused = world.post(CLIENTS, &body).await;
        refused.problem(400, "invalid_request");
        assert!(!refused.html().contains("c2VjcmV0"));
    }
    assert_eq!(world.get(KEYS).await.ok()["data"].as_array().unwrap().len(), before);
    let id = "key_00000000000000000000000000";
    for (path, body) in [
        (format!("{KEYS}/{id}/rotate"), json!({ "overlap_hours": 721 })),
        (format!("{KEYS}/{id}/rotate"), json!({ "overlap_hours": u64::MAX })),
        (format!("{KEYS}/{id}/rotate"), json!({ "overlap_hours": 1.5 })),
    ] {
        world.post(&path, &body).await.problem(400, "invalid_request");
    }
    world.get(&format!("{KEYS}/mc_00000000000000000000000000")).await.problem(400, "invalid_id");
}

async fn a_secret_is_kept_for_no_repeated_request(database: TestDatabase) {
    let world = World::new(database).await;
    let twice = async |path: &str, body: Value| {
        let mut answers = Vec::new();
        for _ in 0..2 {
            let mut request = world.request(Method::POST, path, Some(&body));
            request.headers_mut().insert("idempotency-key", value("same"));
            let answer = world.send(request).await;
            assert_eq!(answer.header("idempotency-replayed"), "");
            answers.push(answer.ok());
        }
        (answers.remove(0), answers.remove(0))
    };
    let (first, second) = twice(KEYS, json!({ "name": "a" })).await;
    assert_ne!(first["api_key"], second["api_key"]);
    let (first, second) = twice(CLIENTS, json!({ "name": "a" })).await;
    assert_ne!(first["client_secret"], second["client_secret"]);
    let mut tx = world.store().write(causeway_types::Actor::Machine).await.unwrap();
    let far = world.clock.now().plus(Duration::from_hours(24 * 365));
    assert_eq!(db!(tx, idempotency::prune(far)).unwrap(), 0, "nothing was kept");
}

async fn people_make_keys_within_their_role(database: TestDatabase) {
    let world = World::new(database).await;
    let here = Some(Named::Environment(world.tenant.environment));
    let developer = world.member(world.tenant.workspace, Role::Developer, None).await;
    let ask = async |scopes: Value| {
        let body = json!({ "name": "mine", "scopes": scopes });
        world.send(developer.request(here, Method::POST, KEYS, Some(&body))).await
    };
    let made = ask(json!({})).await.ok();
    let actions = made["scopes"]["actions"].as_array().unwrap();
    assert!(actions.contains(&json!("workflows.deploy")));
    assert!(!actions.contains(&json!("keys.rotate")), "no developer rotates keys");
    assert_eq!(made["created_by"], developer.user.to_string());
    world.with_bearer(&made.text("api_key")).await.ok();
    for wider in ["keys.rotate", "members.manage", "audit.read"] {
        ask(json!({ "actions": [wider] })).await.problem(403, "denied");
    }
    // Somebody who is admin of one project gives nothing that concerns the whole workspace.
    let project = Some(world.tenant.project);
    let admin = world.member(world.tenant.workspace, Role::Admin, project).await;
    let body = json!({ "name": "x", "scopes": { "actions": ["members.manage"] } });
    let refused = world.send(admin.request(here, Method::POST, KEYS, Some(&body))).await;
    refused.problem(403, "denied");
    // It takes a fresh sign-in, also to revoke.
    let id = made.text("id");
    world.clock.advance(Duration::from_hours(2));
    ask(json!({})).await.problem(403, "step_up_required");
    let path = format!("{KEYS}/{id}");
    let stale = world.send(developer.request(here, Method::DELETE, &path, None)).await;
    stale.problem(403, "step_up_required");
    world.send(developer.request(here, Method::GET, &path, None)).await.ok();
}

async fn strangers_find_no_keys_and_no_clients(database: TestDatabase) {
    let world = World::new(database).await;
    let key = world.post(KEYS, &json!({ "name": "a" })).await.ok();
    let (client, _) = world.client().await;
    let all = Scopes {
        actions: Some(vec![ActionName::ReadMachineAccess, ActionName::ManageMachineAccess]),
        ..Scopes::default()
    };
    for theirs in [world.other_tenant().await, world.project_beside().await] {
        let stranger = world.scoped_key(theirs, &all, None, None).await;
        for (method, path) in [
            (Method::GET, format!("{KEYS}/{}", key.text("id"))),
            (Method::POST, format!("{KEYS}/{}/rotate", key.text("id"))),
            (Method::DELETE, format!("{KEYS}/{}", key.text("id"))),
            (Method::GET, format!("{CLIENTS}/{client}")),
            (Method::POST, format!("{CLIENTS}/{client}/rotate")),
            (Method::PUT, format!("{CLIENTS}/{client}/public-keys")),
            (Method::DELETE, format!("{CLIENTS}/{client}")),
        ] {
            let body = match method {
                Method::POST => Some(json!({})),
                Method::PUT => Some(json!({ "public_keys": null })),
                _ => None,
            };
            let request = request_as(&stranger, method, &path, body.as_ref());
            world.send(request).await.problem(404, "not_found");
        }
        let listed = world.send(request_as(&stranger, Method::GET, CLIENTS, None)).await.ok();
        assert_eq!(listed["data"], json!([]));
        let listed = world.send(request_as(&stranger, Method::GET, KEYS, None)).await.ok();
        assert_eq!(listed["data"].as_array().unwrap().len(), 1, "its own");
    }
    world.with_bearer(&key.text("api_key")).await.ok();
}

async fn a_client_obtains_a_token_in_every_way(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, secret) = world.client().await;
    let grant = ("grant_type", "client_credentials");
    let json_body = |body: Value| {
        Request::post(TOKEN)
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Body::from(body.to_string()))
            .unwrap()
    };
    // What Pipedream's clients send, with what they leave out as null.
    let as_they_do = json!({
        "client_id": id, "client_secret": secret, "grant_type": "client_credentials", "scope": null,
    });
    let encoded = secret.replace("cws_", "cws%5F");
    let requests = [
        with_basic(form(TOKEN, &[grant]), &id, &secret),
        with_basic(form(TOKEN, &[grant]), &id.replace('_', "%5F"), &encoded),
        with_basic(form(TOKEN, &[grant, ("client_id", &id), ("scope", "")]), &id, &secret),
        form(TOKEN, &[grant, ("client_id", &id), ("client_secret", &secret)]),
        form(
            TOKEN,
            &[
                grant,
                ("client_id", &id),
                ("client_secret", &secret),
                ("audience", "x"),
                ("audience", "y"),
            ],
        ),
        json_body(as_they_do),
        with_basic(
            json_body(json!({ "grant_type": "client_credentials", "scope": "*" })),
            &id,
            &secret,
        ),
        with_basic(form(TOKEN, &[grant, ("scope", "connect:* connect:x:y")]), &id, &secret),
    ];
    for request in requests {
        let answer = world.send(request).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        let body = answer.ok();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(body["scope"], "workflows.read");
        let token = body.text("access_token");
        world.with_bearer(&token).await.ok();
        let denied = request_as(&token, Method::GET, "/api/v1/connections", None);
        world.send(denied).await.problem(403, "denied");
    }

    // With a key of its own.
    let pair = Pair::new("own");
    let keys = json!({ "keys": [pair.public()] });
    let body = json!({ "name": "signs", "public_keys": keys });
    let made = world.post(CLIENTS, &body).await.ok();
    assert_eq!((&made["has_secret"], &made["client_secret"]), (&json!(false), &Value::Null));
    assert_eq!(made["public_keys"], keys);
    let id = made.text("id");
    let now = world.clock.now().as_secs();
    let assertion = |aud: &str, jti: &str| pair.assertion(&id, aud, jti, now);
    let kind = ("client_assertion_type", ASSERTION);
    let one = assertion(ISSUER, "1");
    let request = || form(TOKEN, &[grant, kind, ("client_assertion", &one)]);
    let token = world.send(request()).await.ok().text("access_token");
    world.with_bearer(&token).await.ok();
    oauth_error(&world.send(request()).await, 401, "invalid_client", "`jti` was used before");
    let wrong = assertion("https://evil.example.com", "2");
    let wrong = form(TOKEN, &[grant, kind, ("client_assertion", &wrong)]);
    oauth_error(&world.send(wrong).await, 401, "invalid_client", "`aud`");
    let two = assertion(&format!("{ISSUER}/v1/oauth/token"), "3");
    let body = json!({
        "grant_type": "client_credentials", "client_id": id,
        "client_assertion_type": ASSERTION, "client_assertion": two,
    });
    world.send(json_body(body)).await.ok();
}

#[track_caller]
fn oauth_error(answer: &Answer, status: u16, error: &str, says: &str) {
    assert_eq!(answer.status, status, "{}", answer.html());
    let body = answer.json();
    assert_eq!(body["error"], error, "{body}");
    assert!(body.text("error_description").contains(says), "{body}");
    assert!(body.text("error_description").len() < 300, "{body}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("www-authenticate").starts_with("Basic "), status == 401);
}

async fn a_token_that_is_revoked_is_refused_at_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, secret) = world.client().await;
    let (other, other_secret) = world.client().await;
    let obtain = async |id: &str, secret: &str| {
        let request = form(TOKEN, &[("grant_type", "client_credentials")]);
        world.send(with_basic(request, id, secret)).await.ok().text("access_token")
    };
    let (token, theirs) = (obtain(&id, &secret).await, obtain(&other, &other_secret).await);
    world.with_bearer(&token).await.ok();
    world.with_bearer(&theirs).await.ok();
    for text in [theirs.as_str(), "nothing", "a.b.c", &world.key] {
        let request = form(REVOKE, &[("token", text), ("token_type_hint", "refresh_token")]);
        let answer = world.send(with_basic(request, &id, &secret)).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }
    world.with_bearer(&theirs).await.ok();
    world.with_bearer(&token).await.ok();
    for _ in 0..2 {
        let body = json!({ "client_id": id, "client_secret": secret, "token": token });
        let request = Request::post(REVOKE)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        assert_eq!(world.send(request).await.status, 200);
        world.with_bearer(&token).await.problem(401, "unauthenticated");
    }
    let wrong = with_basic(form(REVOKE, &[("token", &theirs)]), &id, &other_secret);
    oauth_error(&world.send(wrong).await, 401, "invalid_client", "its proof does not hold");
    // The client itself.
    assert_eq!(world.delete(&format!("{CLIENTS}/{other}")).await.status, 204);
    world.with_bearer(&theirs).await.problem(401, "unauthenticated");
    let request = form(TOKEN, &[("grant_type", "client_credentials")]);
    let refused = world.send(with_basic(request, &other, &other_secret)).await;
    oauth_error(&refused, 401, "invalid_client", "unknown or revoked");
    // A new secret.
    let now = json!({ "overlap_hours": 0 });
    let rotated = world.post(&format!("{CLIENTS}/{id}/rotate"), &now).await.ok();
    assert_ne!(rotated.text("client_secret"), secret);
    assert_eq!(rotated["old_secret_works_until"], Value::Null);
    obtain(&id, &rotated.text("client_secret")).await;
    let request = form(TOKEN, &[("grant_type", "client_credentials")]);
    let refused = world.send(with_basic(request, &id, &secret)).await;
    oauth_error(&refused, 401, "invalid_client", "its proof does not hold");
}

async fn a_clients_proofs_are_changed_without_a_gap(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, old) = world.client().await;
    let obtain = async |secret: &str| {
        let request = form(TOKEN, &[("grant_type", "client_credentials")]);
        world.send(with_basic(request, &id, secret)).await
    };
    let (client, rotate) = (format!("{CLIENTS}/{id}"), format!("{CLIENTS}/{id}/rotate"));
    let rotated = world.post(&rotate, &json!({ "overlap_hours": 2 })).await;
    assert_eq!((rotated.status, rotated.header("cache-control")), (201, "no-store"));
    let new = rotated.ok().text("client_secret");
    let until = world.clock.now().plus(Duration::from_hours(2)).to_string();
    assert_eq!(rotated.ok()["old_secret_works_until"], until);
    assert_eq!(world.get(&client).await.ok()["old_secret_works_until"], until);
    for secret in [&old, &new] {
        obtain(secret).await.ok();
    }
    world.clock.advance(Duration::from_hours(2));
    oauth_error(&obtain(&old).await, 401, "invalid_client", "its proof does not hold");
    obtain(&new).await.ok();
    assert_eq!(world.get(&client).await.ok()["old_secret_works_until"], Value::Null);
    for wrong in [json!({ "overlap_hours": 721 }), json!({ "overlap_hours": u64::MAX }), json!([])]
    {
        world.post(&rotate, &wrong).await.problem(400, "invalid_request");
    }

    // Keys: set, changed, and taken again.
    let (one, two) = (Pair::new("one"), Pair::new("two"));
    let set = async |keys: Value| {
        world.put(&format!("{client}/public-keys"), &json!({ "public_keys": keys })).await
    };
    let signed = async |pair: &Pair, jti: &str| {
        let assertion = pair.assertion(&id, ISSUER, jti, world.clock.now().as_secs());
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ];
        world.send(form(TOKEN, &pairs)).await
    };
    let both = json!({ "keys": [one.public(), two.public()] });
    assert_eq!(set(both.clone()).await.ok()["public_keys"], both);
    signed(&one, "1").await.ok();
    signed(&two, "2").await.ok();
    set(json!({ "keys": [two.public()] })).await.ok();
    oauth_error(&signed(&one, "3").await, 401, "invalid_client", "its proof does not hold");
    signed(&two, "4").await.ok();
    for wrong in [json!({}), json!([]), json!({ "keys": [] }), json!("all"), json!(1)] {
        set(wrong).await.problem(400, "invalid_request");
    }
    let private = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }] });
    let refused = set(private).await;
    refused.problem(400, "invalid_request");
    assert!(!refused.html().contains("c2VjcmV0"));
    let nothing = world.put(&format!("{client}/public-keys"), &json!({})).await;
    nothing.problem(400, "invalid_request");
    signed(&two, "5").await.ok();
    assert_eq!(set(Value::Null).await.ok()["public_keys"], Value::Null);
    oauth_error(&signed(&two, "6").await, 401, "invalid_client", "its proof does not hold");
    obtain(&new).await.ok();

    // One that has nothing else keeps its keys.
    let body = json!({ "name": "signs", "public_keys": { "keys": [one.public()] } });
    let signs = world.post(CLIENTS, &body).await.ok().text("id");
    let none = json!({ "public_keys": null });
    let refused = world.put(&format!("{CLIENTS}/{signs}/public-keys"), &none).await;
    assert!(refused.problem(400, "invalid_request").contains("needs a secret"));
    assert_eq!(world.delete(&client).await.status, 204);
    set(both).await.problem(400, "invalid_request");
}

async fn a_client_asks_for_tokens_so_often_and_nobody_else_in_its_name(database: TestDatabase) {
    let limits = RateLimitConfig { client: Quota::per_minute(3), ..RateLimitConfig::unlimited() };
    let world = World::with(database, Setup { limits, ..Setup::default() }).await;
    let (id, secret) = world.client().await;
    let (other, other_secret) = world.client().await;
    let ask = async |id: &str, secret: &str| {
        let request = form(TOKEN, &[("grant_type", "client_credentials")]);
        world.send(with_basic(request, id, secret)).await
    };
    // Whoever only knows the id uses nothing up, nor do ids that nobody has.
    for _ in 0..5 {
        for id in [id.as_str(), "mc_00000000000000000000000000", "x"] {
            let refused = ask(id, &other_secret).await;
            oauth_error(&refused, 401, "invalid_client", "its proof does not hold");
            assert_eq!(refused.header("ratelimit-policy"), "");
        }
    }
    let first = ask(&id, &secret).await;
    assert_eq!(first.header("ratelimit-policy"), "\"client\";q=3;w=60");
    assert_eq!(first.header("ratelimit"), "\"client\";r=2;t=20");
    let token = first.ok().text("access_token");
    ask(&id, &secret).await.ok();
    // To give one back counts as well.
    let revoke = || with_basic(form(REVOKE, &[("token", &token)]), &id, &secret);
    assert_eq!(world.send(revoke()).await.status, 200);
    for answer in [ask(&id, &secret).await, world.send(revoke()).await] {
        oauth_error(&answer, 429, "temporarily_unavailable", "from this client for tokens");
        assert_eq!(answer.header("retry-after"), "20");
    }
    ask(&other, &other_secret).await.ok();
    world.clock.advance(Duration::from_secs(20));
    ask(&id, &secret).await.ok();
    assert_eq!(ask(&id, &secret).await.status, 429);
}

#[expect(clippy::too_many_lines, reason = "a table of requests and what they are answered")]
async fn wrong_token_requests_are_refused_in_the_words_of_oauth(database: TestDatabase) {
    let world = World::new(database).await;
    let (id, secret) = world.client().await;
    let grant = ("grant_type", "client_credentials");
    let (with_id, with_secret) = (("client_id", id.as_str()), ("client_secret", secret.as_str()));
    let raw = |kind: &str, body: &str| {
        Request::post(TOKEN)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let headed = |text: &str| {
        let mut request = form(TOKEN, &[grant]);
        request.headers_mut().insert(header::AUTHORIZATION, value(text));
        request
    };
    let twice =
        format!(r#"{{"grant_type":"client_credentials","client_id":"{id}","client_id":"{id}"}}"#);
    let long = "x".repeat(10_000);
    let requests = [
        (form(TOKEN, &[]), "invalid_request", "`grant_type` is missing"),
        (form(TOKEN, &[("grant_type", "")]), "invalid_request", "`grant_type` is missing"),
        (form(TOKEN, &[grant, grant]), "invalid_request", "`grant_type` is sent twice"),
        (form(TOKEN, &[grant, with_id, with_id]), "invalid_request", "`client_id` is sent twice"),
        (raw("application/json", &twice), "invalid_request", "each named once"),
        (raw("application/json", "[]"), "invalid_request", "JSON object"),
        (raw("application/json", "[\"client_credentials\"]"), "invalid_request", "JSON object"),
        (raw("application/json", "{\"grant_type\": 1}"), "invalid_request", "JSON object"),
        (raw("application/json", "{"), "invalid_request", "JSON object"),
        (raw("text/plain", "grant_type=client_credentials"), "invalid_request", "Send a form"),
        (raw("multipart/form-data", "x"), "invalid_request", "Send a form"),
        (form(TOKEN, &[grant, with_secret]), "invalid_request", "`client_id` is missing"),
        (
            with_basic(form(TOKEN, &[grant, with_id, with_secret]), &id, &secret),
            "invalid_request",
            "more than one way",
        ),
        (
            with_basic(form(TOKEN, &[grant, ("client_id", "mc_x")]), &id, &secret),
            "invalid_request",
            "`client_id` is another one",
        ),
        (
            form(TOKEN, &[grant, ("client_assertion", "a.b.c")]),
            "invalid_request",
            "`client_assertion_type` must be",
        ),
        (
            form(TOKEN, &[grant, ("client_assertion", "a.b.c"), ("client_assertion_type", "saml")]),
            "invalid_request",
            "`client_assertion_type` must be",
        ),
        (
            form(TOKEN, &[("grant_type", "password"), with_id, with_secret]),
            "unsupported_grant_type",
            "`client_credentials`",
        ),
        (
            form(TOKEN, &[("grant_type", &long), with_id, with_secret]),
            "unsupported_grant_type",
            "`client_credentials`",
        ),
        (
            form(TOKEN, &[grant, with_id, with_secret, ("scope", "workflows.deploy")]),
            "invalid_scope",
            "`workflows.deploy`",
        ),
        (
            form(TOKEN, &[grant, with_id, with_secret, ("scope", &long)]),
            "invalid_scope",
            "is no action",
        ),
        (
            form(TOKEN, &[grant, with_id, with_secret, ("scope", "\"ümläut\\")]),
            "invalid_scope",
            "`??ml?ut?`",
        ),
        (
            form(TOKEN, &[grant, with_id, with_secret, ("scope", "connect:accounts:read")]),
            "invalid_scope",
            "names nothing",
        ),
        (form(TOKEN, &[grant]), "invalid_client", "does not prove itself"),
        (form(TOKEN, &[grant, with_id]), "invalid_client", "does not prove itself"),
        (headed(&format!("Bearer {}", world.key)), "invalid_client", "not `Basic`"),
        (headed("Basic"), "invalid_client", "not `Basic`"),
        (headed("Basic !!!"), "invalid_client", "not `Basic`"),
        (headed(&format!("Basic {}", BASE64.encode(b"nocolon"))), "invalid_client", "not `Basic`"),
        (
            headed(&format!("Basic {}", BASE64.encode(b"\xff:\xff"))),
            "invalid_client",
            "not `Basic`",
        ),
        (headed(&basic(&id, "wrong")), "invalid_client", "its proof does not hold"),
        (headed(&basic(&id, "")), "invalid_client", "its proof does not hold"),
        (headed(&basic("mc_00000000000000000000000000", &secret)), "invalid_client", "proof"),
        (headed(&basic("", "")), "invalid_client", "its proof does not hold"),
        (headed(&basic(&long, &secret)), "invalid_client", "its proof does not hold"),
        (
            form(
                TOKEN,
                &[grant, ("client_assertion_type", ASSERTION), ("client_assertion", &long)],
            ),
            "invalid_client",
            "its proof does not hold",
        ),
    ];
    for (request, error, says) in requests {
        let status = if error == "invalid_client" { 401 } else { 400 };
        let answer = world.send(request).await;
        oauth_error(&answer, status, error, says);
        assert!(!answer.html().contains(&secret));
    }
    // What is no matter of OAuth is a problem like everywhere.
    let large = form(TOKEN, &[grant, ("x", &"x".repeat(70_000))]);
    world.send(large).await.problem(413, "body_too_large");
    let get = Request::get(TOKEN).body(Body::empty()).unwrap();
    world.send(get).await.problem(405, "wrong_method");
    // An `Idempotency-Key` changes nothing here.
    let mut request = with_basic(form(TOKEN, &[grant]), &id, &secret);
    request.headers_mut().insert("idempotency-key", value("k"));
    world.send(request).await.ok();
    // The database away: no answer of OAuth's knows that.
    world.store().close().await;
    let answer = world.send(with_basic(form(TOKEN, &[grant]), &id, &secret)).await;
    answer.problem(503, "store_unavailable");
}

async fn what_the_server_says_of_itself(database: TestDatabase) {
    let world = World::new(database).await;
    let anonymous =
        async |path: &str| world.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let jwks = anonymous("/.well-known/jwks.json").await;
    assert_eq!(jwks.header("cache-control"), "public, max-age=300");
    let jwks = jwks.ok();
    let [key] = jwks["keys"].as_array().unwrap().as_slice() else { panic!("{jwks}") };
    assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));
    assert_eq!(key["kid"], world.own_keys.access().id().to_string());
    assert_eq!(BASE64URL_NOPAD.decode(key.text("x").as_bytes()).unwrap().len(), 32);
    assert!(key.get("d").is_none());

    let metadata = anonymous("/.well-known/oauth-authorization-server").await.ok();
    assert_eq!(metadata["issuer"], ISSUER);
    for (name, path) in [
        ("token_endpoint", TOKEN),
        ("revocation_endpoint", REVOKE),
        ("jwks_uri", "/.well-known/jwks.json"),
    ] {
        assert_eq!(metadata[name], format!("{ISSUER}{path}"));
    }
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials"]));
    let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]);
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], methods);
}
