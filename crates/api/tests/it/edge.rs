//! The outside of the interfaces: headers for browsers, rate limits, who is believed about where
//! a request comes from, and what each listener answers.

use crate::kit::{Answer, Setup, World, request_as, value};
use crate::schema::operations;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, header};
use causeway_api::{ForwardedBy, Quota, RateLimitConfig, Split, TrustedProxies};
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::Code;
use http_body_util::BodyExt as _;
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt as _;

on_both!(a_client_behind_a_proxy_is_named_in_events_and_in_the_audit);

/// Pages and files that have no operation in the document.
const PAGES: &[&str] = &[
    "/",
    "/nothing/here",
    "/healthz",
    "/readyz",
    "/metrics",
    "/problems",
    "/problems/denied",
    "/problems/none",
    "/.well-known/security.txt",
    "/.well-known/jwks.json",
    "/security/pgp-key",
    "/security/report",
    "/resume/none",
    "/cancel/none",
    "/connect/callback",
    "/connect/cwl_none",
    "/auth/sign-in",
    "/auth/callback",
    "/auth/step-up",
    "/auth/claim/cwc_none",
    "/auth/invitations/cwi_none",
    "/account",
    "/api/v1/openapi.json",
    "/schemas/workflow.json",
];

/// What every answer has but those of workflows. The kit looks at each that any test gets.
pub(crate) fn check_headers(path: &str, answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    if path.starts_with("/t/") {
        return;
    }
    // The connect page may be embedded where its session says so, opens windows, and shows the
    // company's picture; `connect_shell.rs` looks at what exactly it may.
    let shell =
        path == "/connect.js" || (path.starts_with("/connect/") && path != "/connect/callback");
    let (opener, resource, embedder): (&[&str], &[&str], &[&str]) = if shell {
        (
            &["same-origin", "unsafe-none"],
            &["same-origin", "cross-origin"],
            &["require-corp", "credentialless"],
        )
    } else {
        (&["same-origin"], &["same-origin"], &["require-corp"])
    };
    for (name, expected) in [
        ("referrer-policy", ["no-referrer", "same-origin", "strict-origin"].as_slice()),
        ("x-frame-options", &["DENY"]),
        ("cross-origin-opener-policy", opener),
        ("cross-origin-resource-policy", resource),
        ("cross-origin-embedder-policy", embedder),
    ] {
        let found = answer.header(name);
        assert!(expected.contains(&found), "{path}: {name}: {found}");
    }
    assert!(!answer.header("cache-control").is_empty(), "{path}");
    assert!(answer.header("permissions-policy").contains("camera=()"), "{path}");
    for policy in answer.headers.get_all("content-security-policy") {
        let policy = policy.to_str().unwrap();
        // What is wrong with the address of the contract can be read where the page would be shown.
        let framed = shell || path.starts_with("/_static/connect.html");
        let ancestors = if framed { "frame-ancestors " } else { "frame-ancestors 'none'" };
        for part in ["default-src 'none'", "base-uri 'none'", ancestors] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        // The connect page names its own server, which is plain HTTP here.
        let words = ["unsafe", "*", "data:"].into_iter().chain((!shell).then_some("http:"));
        for word in words {
            assert!(!policy.contains(word), "{path}: {policy}");
        }
    }
    assert!(answer.headers.contains_key("content-security-policy"), "{path}");
}

fn plain(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_browsers_what_they_may_do_with_it() {
    let world = World::new(TestDatabase::sqlite().await).await;
    // `send` looks at the headers of each.
    for page in PAGES {
        let answer = world.send(plain(page)).await;
        assert_eq!(answer.header("strict-transport-security"), "", "over plain HTTP: {page}");
    }
    for operation in operations() {
        let path = operation.path.replace(['{', '}'], "x");
        // With a key, some of them would not end.
        let request = request_as("cwk_none", operation.method.clone(), &path, None);
        world.send(request).await;
        world.send(Request::trace(&path).body(Body::empty()).unwrap()).await;
    }

    let setup = Setup { public_url: "https://causeway.test", ..Setup::default() };
    let world = World::with(TestDatabase::sqlite().await, setup).await;
    for page in PAGES.iter().chain(&["/t/none", "/api/v1/workflows"]) {
        let answer = world.send(plain(page)).await;
        let sent = answer.header("strict-transport-security");
        assert!(sent.starts_with("max-age=") && !sent.contains("max-age=0"), "{page}: {sent}");
    }
}

/// A request from an address, with or without headers.
async fn from(router: &Router, peer: &str, headers: &[(&str, &str)], path: &str) -> Answer {
    let mut request = plain(path);
    for (name, text) in headers {
        let name = axum::http::HeaderName::try_from(*name).unwrap();
        request.headers_mut().append(name, value(text));
    }
    send(router, peer, request).await
}

async fn send(router: &Router, peer: &str, mut request: Request<Body>) -> Answer {
    let peer: SocketAddr = format!("{peer}:4711").parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

const PROXY: &str = "10.1.2.3";

fn proxies() -> TrustedProxies {
    TrustedProxies {
        networks: vec!["10.1.0.0/16".parse().unwrap()],
        header: ForwardedBy::XForwardedFor,
    }
}

async fn a_client_behind_a_proxy_is_named_in_events_and_in_the_audit(database: TestDatabase) {
    let world = World::with(database, Setup { proxies: proxies(), ..Setup::default() }).await;
    let deployed = world.deploy("hello").await;
    let url: url::Url = deployed["trigger_url"].as_str().unwrap().parse().unwrap();
    for (peer, forwarded, client) in [
        (PROXY, "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
        (PROXY, "198.51.100.1, unknown", PROXY),
    ] {
        let headers = [("x-forwarded-for", forwarded), ("forwarded", "for=203.0.113.9")];
        let answer = from(&world.router, peer, &headers, url.path()).await;
        assert_eq!(answer.status, 202, "{}", answer.html());
        let invocation = answer.json()["invocation_id"].as_str().unwrap().to_owned();
        let event = world.event_bytes(&invocation).await;
        let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event["client_ip"], client);
    }

    let body = json!({ "app": "demo", "client_id": "mine" });
    let mut request = world.request(Method::PUT, "/api/v1/oauth-clients", Some(&body));
    request.headers_mut().insert("x-forwarded-for", value("203.0.113.9, 198.51.100.1"));
    assert_eq!(send(&world.router, PROXY, request).await.status, 200);
    let mut conn = world.store().read().await.unwrap();
    let rows = db!(conn, audit::page(world.tenant.workspace, 0, 500)).unwrap();
    let row = rows.iter().find(|row| row.action == "oauth_client_set").unwrap();
    let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap();
    assert_eq!(detail["via"]["address"], "198.51.100.1");
    assert!(detail["via"]["request"].as_str().unwrap().starts_with("req_"));
}

fn limits(change: impl FnOnce(&mut RateLimitConfig)) -> Setup {
    let mut limits = RateLimitConfig::unlimited();
    change(&mut limits);
    Setup { limits, proxies: proxies(), ..Setup::default() }
}

/// The members of a list of parameterized strings: `"key";q=2;w=60`.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let value = headers.get(name).map_or("", |value| value.to_str().unwrap());
    value.split(", ").filter(|member| !member.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_its_workspace_have_their_quotas() {
    let world = World::with(
        TestDatabase::sqlite().await,
        limits(|limits| {
            limits.key = Quota::per_minute(3);
            limits.workspace = Quota::per_minute(5);
        }),
    )
    .await;
    let (path, mine) = ("/api/v1/workflows", world.key.clone());
    let ask = async |key: &str| world.send(request_as(key, Method::GET, path, None)).await;
    let first = ask(&mine).await;
    assert_eq!(first.status, 200);
    assert_eq!(
        list(&first.headers, "ratelimit-policy"),
        ["\"key\";q=3;w=60", "\"workspace\";q=5;w=60"]
    );
    assert_eq!(list(&first.headers, "ratelimit"), ["\"key\";r=2;t=20", "\"workspace\";r=4;t=12"]);
    ask(&mine).await.ok();
    ask(&mine).await.ok();
    let refused = ask(&mine).await;
    let detail = refused.problem(429, "rate_limited");
    assert!(detail.contains("3 requests in 60 s") && detail.contains("20 s"), "{detail}");
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(list(&refused.headers, "ratelimit"), ["\"key\";r=0;t=60"]);

    // Another key of the workspace has its own, and shares the workspace's.
    let other = world.new_key(world.tenant, None, None).await;
    ask(&other).await.ok();
    ask(&other).await.ok();
    let refused = ask(&other).await;
    assert!(refused.problem(429, "rate_limited").contains("in this workspace"));
    assert_eq!(refused.header("retry-after"), "12");
    // Another workspace is not concerned.
    let stranger = world.new_key(world.other_tenant().await, None, None).await;
    ask(&stranger).await.ok();

    world.clock.advance(Duration::from_secs(20));
    ask(&mine).await.ok();
    ask(&mine).await.problem(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_quota_whoever_calls_from_there() {
    let world = World::with(
        TestDatabase::sqlite().await,
        limits(|limits| limits.address = Quota::per_minute(4)),
    )
    .await;
    let sign_in = "/auth/sign-in";
    let at = async |peer: &str, headers: &[(&str, &str)]| {
        from(&world.router, peer, headers, sign_in).await.status
    };
    for _ in 0..4 {
        assert_eq!(at("192.0.2.1", &[]).await, 200);
    }
    assert_eq!(at("192.0.2.1", &[]).await, 429);
    // What it says of itself does not help, and hits nobody else.
    assert_eq!(at("192.0.2.1", &[("x-forwarded-for", "198.51.100.1")]).await, 429);
    assert_eq!(at(PROXY, &[("x-forwarded-for", "198.51.100.1")]).await, 200);
    assert_eq!(at(PROXY, &[("x-forwarded-for", "192.0.2.1")]).await, 429);
    // The addresses of one IPv6 network are one.
    for host in 1..=4 {
        assert_eq!(at(&format!("[2001:db8::{host}]"), &[]).await, 200);
    }
    assert_eq!(at("[2001:db8::ffff:1]", &[]).await, 429);
    assert_eq!(at("[2001:db8:0:1::1]", &[]).await, 200);

    // Triggers, and what operators ask for, are not counted.
    for path in ["/t/none", "/healthz", "/readyz", "/metrics"] {
        for _ in 0..6 {
            assert_ne!(from(&world.router, "192.0.2.1", &[], path).await.status, 429, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_keys_is_stopped_before_they_are_looked_at() {
    let world = World::with(
        TestDatabase::sqlite().await,
        limits(|limits| limits.refused = Quota::per_minute(3)),
    )
    .await;
    let ask = async |peer: &str, key: &str| {
        let request = request_as(key, Method::GET, "/api/v1/workflows", None);
        send(&world.router, peer, request).await
    };
    for _ in 0..10 {
        ask("192.0.2.1", &world.key).await.ok();
    }
    for _ in 0..3 {
        ask("192.0.2.1", "cwk_guess").await.problem(401, "unauthenticated");
    }
    let refused = ask("192.0.2.1", "cwk_guess").await;
    assert!(refused.problem(429, "rate_limited").contains("not known"));
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(list(&refused.headers, "ratelimit"), ["\"refused\";r=0;t=60"]);
    ask("192.0.2.2", "cwk_guess").await.problem(401, "unauthenticated");
    world.clock.advance(Duration::from_secs(20));
    ask("192.0.2.1", &world.key).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_answers_what_is_its_own() {
    let world = World::new(TestDatabase::sqlite().await).await;
    let api = "/api/v1/openapi.json";
    let (triggers, pages) = ("/t/none", "/connect/cwl_none");
    let both = ["/problems/denied"];
    let public = ["/healthz", "/security/report", triggers, pages];
    let private = [api, "/auth/sign-in", "/schemas/workflow.json", "/.well-known/jwks.json"];
    let operators = ["/readyz", "/metrics"];
    // Whether it is there at all: what is not there has its own code.
    let answers = async |router: &Router, path: &str| {
        let answer = from(router, "192.0.2.1", &[], path).await;
        let code = serde_json::from_slice::<serde_json::Value>(&answer.body);
        code.is_err() || code.unwrap()["code"] != "unknown_route"
    };
    for (split_api, split_metrics) in [(false, false), (true, false), (false, true), (true, true)] {
        let split = Split { api: split_api, metrics: split_metrics };
        let routers = world.api.clone().routers(split);
        assert_eq!((routers.api.is_some(), routers.metrics.is_some()), (split_api, split_metrics));
        for path in public.iter().chain(&both) {
            assert!(answers(&routers.public, path).await, "{split:?} {path}");
        }
        for path in private {
            assert_eq!(answers(&routers.public, path).await, !split_api, "{split:?} {path}");
        }
        for path in operators {
            assert_eq!(answers(&routers.public, path).await, !split_metrics, "{split:?} {path}");
        }
        if let Some(own) = &routers.api {
            for path in private.iter().chain(&both) {
                assert!(answers(own, path).await, "{path}");
            }
            for path in [triggers, pages, "/metrics", "/security/report"] {
                assert!(!answers(own, path).await, "{path}");
            }
        }
        if let Some(own) = &routers.metrics {
            for path in operators.iter().chain(&["/healthz"]) {
                assert!(answers(own, path).await, "{path}");
            }
            for path in [triggers, pages, api, "/auth/sign-in", "/problems/denied"] {
                assert!(!answers(own, path).await, "{path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_at_two_ports_of_a_host_have_cookies_of_their_own() {
    for (public_url, name) in [
        ("http://127.0.0.1:8400", "causeway_sign_in_8400="),
        ("http://127.0.0.1:8401", "causeway_sign_in_8401="),
        ("http://localhost:80", "causeway_sign_in="),
        ("https://causeway.test", "__Host-causeway_sign_in="),
        ("https://causeway.test:8443/causeway", "__Host-causeway_sign_in_8443="),
    ] {
        let setup = Setup { public_url, ..Setup::default() };
        let world = World::with(TestDatabase::sqlite().await, setup).await;
        let set = world.send(plain("/auth/sign-in")).await;
        let set = set.header("set-cookie");
        assert!(set.starts_with(name), "{public_url}: {set}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_is_explained_where_its_type_leads() {
    let world = World::new(TestDatabase::sqlite().await).await;
    let list = world.send(plain("/problems")).await;
    for code in Code::ALL {
        let path = format!("/problems/{code}");
        assert!(list.html().contains(&format!("href=\"{path}\"")), "{code}");
        let page = world.send(plain(&path)).await;
        assert_eq!(page.status, 200, "{code}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert!(page.html().contains("<strong>What to do.</strong>"), "{code}");
        let mut request = plain(&path);
        request.headers_mut().insert(header::ACCEPT, value("text/markdown, */*;q=0.1"));
        let text = world.send(request).await;
        assert_eq!(text.header("content-type"), "text/markdown; charset=utf-8");
        assert!(text.html().starts_with(&format!("# {code}\n")));
    }
    world.send(plain("/problems/none")).await.problem(404, "unknown_route");
}
