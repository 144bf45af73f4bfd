//! Random requests to every route of the document, and to the others: never a 5xx, and every
//! refusal a problem.

use crate::kit::{Answer, World, value};
use crate::schema::operations;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, header};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

on_both!(no_random_request_breaks_a_route, no_random_request_breaks_the_other_addresses);

/// Requests to each route.
const EACH: u32 = 40;
/// What their bodies say that they are.
const KINDS: [&str; 4] =
    ["application/json", "application/x-www-form-urlencoded", "text/plain", "x/y"];

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        prop::sample::select(
            &["demo", "api_key", "crm", "\0", "wf_00000000000000000000000000"][..]
        )
        .prop_map(Into::into),
    ];
    let name = prop_oneof![
        any::<String>(),
        prop::sample::select(
            &[
                "customer",
                "app",
                "name",
                "scheme",
                "fields",
                "files",
                "event",
                "client_id",
                "client_secret",
                "scopes",
                "return_url",
                "reconnect_id",
                "expires_in",
                "workflow.yaml"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => json().prop_map(|json| json.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(Vec::new()),
    ]
}

/// A part of a path or query that survives the parser of URIs.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>()
            .prop_map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect()),
        "[a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26}",
        "(%[0-9a-fA-F]{2}|[a-zA-Z0-9_.~-]){0,40}",
    ]
}

fn pairs() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        part(),
        prop::sample::select(
            &[
                "limit",
                "cursor",
                "state",
                "customer",
                "app",
                "after",
                "workflow_id",
                "code",
                "error",
                "iss"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    prop::collection::vec((name, part()), 0..4).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

fn header_bytes() -> impl Strategy<Value = Option<HeaderValue>> {
    prop::option::weighted(
        0.3,
        prop::collection::vec(any::<u8>(), 0..300)
            .prop_map(|bytes| HeaderValue::from_bytes(&bytes)),
    )
    .prop_map(|value| value.and_then(Result::ok))
}

fn sane(answer: &Answer, what: &str) {
    // A third party that a random request names may well fail: no row of the catalogue is asked
    // here but the demo app's, which answers.
    assert!(
        answer.status < 500,
        "{what}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    let kind = answer.header("content-type");
    // Where a standard has a form of its own for errors, that is the form.
    let oauth = what.contains(" /v1/oauth/") && kind == "application/json";
    let formed = matches!(kind, "application/problem+json" | "application/scim+json")
        || kind.starts_with("text/html")
        || oauth;
    assert!(answer.status < 400 || formed, "{what}: {} as `{kind}`", answer.status);
}

async fn no_random_request_breaks_a_route(database: TestDatabase) {
    let world = World::new(database).await;
    let mut runner = TestRunner::deterministic();
    for operation in operations() {
        // Its answer has no end; its refusals are in `input`.
        if operation.id == "tail_invocations" {
            continue;
        }
        let cases = (part(), pairs(), body(), header_bytes(), header_bytes());
        for _ in 0..EACH {
            let (id, query, body, key, kind) = cases.new_tree(&mut runner).unwrap().current();
            let path = operation.path.replace("{id}", &id).replace("{slug}", &id);
            let Ok(uri) = format!("{path}?{query}").parse::<axum::http::Uri>() else { continue };
            let mut request = world.request(operation.method.clone(), "/", None);
            *request.uri_mut() = uri;
            *request.body_mut() = Body::from(body.clone());
            if let Some(key) = key {
                request.headers_mut().insert("idempotency-key", key);
            }
            if let Some(kind) = kind {
                request.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            let answer = world.send(request).await;
            sane(
                &answer,
                &format!("{} {path}?{query} {}", operation.id, String::from_utf8_lossy(&body)),
            );
        }
    }
}

async fn no_random_request_breaks_the_other_addresses(database: TestDatabase) {
    let world = World::new(database).await;
    let url: url::Url =
        world.deploy("hello").await["trigger_url"].as_str().unwrap().parse().unwrap();
    let (_, link) = world.session(serde_json::json!({})).await;
    let routes = [
        (Method::POST, url.path().to_owned()),
        (Method::GET, "/t".into()),
        (Method::GET, "/resume".into()),
        (Method::POST, "/cancel".into()),
        (Method::GET, "/connect".into()),
        (Method::GET, "/connect/callback".into()),
        (Method::POST, format!("{link}/key")),
        (Method::GET, link),
        (Method::GET, String::new()),
    ];
    let cases = (part(), pairs(), body(), header_bytes(), prop::sample::select(&KINDS[..]));
    let mut runner = TestRunner::deterministic();
    for (method, base) in routes {
        for round in 0..EACH * 2 {
            let (tail, query, body, odd, kind) = cases.new_tree(&mut runner).unwrap().current();
            let path = if round % 2 == 0 { base.clone() } else { format!("{base}/{tail}") };
            let Ok(uri) = format!("{path}?{query}").parse::<axum::http::Uri>() else { continue };
            let mut request = Request::new(Body::from(body));
            *request.method_mut() = method.clone();
            *request.uri_mut() = uri;
            request.headers_mut().insert(header::CONTENT_TYPE, value(kind));
            if let Some(odd) = odd {
                for name in ["cookie", "webhook-id", "x-odd"] {
                    request.headers_mut().append(name, odd.clone());
                }
            }
            sane(&world.send(request).await, &format!("{method} {path}?{query}"));
        }
    }
}
