//! Calls to apps in the contract's form.

use super::client::{Client, ask};
use super::upstream::{KEY, Upstream};
use crate::kit::{Answer, World, value};
use axum::body::Body;
use axum::http::HeaderName;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    targets_are_read_in_every_form,
    headers_pass_by_the_rules,
    what_an_app_answers_is_handed_on_as_it_is,
    what_is_not_called_is_said,
);

/// The path of a call to an app, with a target as it stands there.
struct Calls<'a> {
    client: Client<'a>,
    account: String,
}

impl<'a> Calls<'a> {
    async fn new(world: &'a World) -> Self {
        let client = Client::new(world).await;
        let body = json!({
            "app_slug": "echo_app", "cfmap_json": json!({ "api_key": KEY }).to_string(),
        });
        let query = ask().query("external_user_id", "ada").body(body);
        let account = client.create_account(query).await.unwrap().id;
        Self { client, account }
    }

    /// Sends a request whose target stands in the path as it is given here.
    async fn send(&self, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = self.client.request("POST", "P/accounts", &ask());
        let project = self.client.project.as_ref().unwrap();
        let path = format!(
            "/v1/connect/{project}/proxy/{target}?external_user_id=ada&account_id={}",
            self.account
        );
        *request.uri_mut() = path.parse().unwrap();
        *request.body_mut() = Body::from(body.to_owned());
        for (name, text) in headers {
            request.headers_mut().append(HeaderName::try_from(*name).unwrap(), value(text));
        }
        Answer::read(self.client.world.open(request).await).await
    }

    async fn seen(&self, target: &str) -> Value {
        self.send(target, &[], "").await.ok()
    }
}

async fn targets_are_read_in_every_form(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let calls = Calls::new(&world).await;
    // Base64 of this has `+`, `/` and padding.
    let url = format!("{}/base/x?q=>>>???~~~&y=%2F", upstream.url);
    let bytes = url.as_bytes();
    assert!(BASE64.encode(bytes).contains('/') && BASE64.encode(bytes).ends_with('='));
    let escaped = |text: String| text.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    for target in [
        escaped(BASE64.encode(bytes)),
        escaped(BASE64_NOPAD.encode(bytes)),
        BASE64URL.encode(bytes),
        BASE64URL_NOPAD.encode(bytes),
        // As servers on the way may have decoded it.
        BASE64.encode(bytes),
    ] {
        let seen = calls.seen(&target).await;
        assert_eq!(
            (&seen["path"], &seen["query"]),
            // As the URL standard writes it.
            (&json!("/base/x"), &json!("q=%3E%3E%3E???~~~&y=%2F"))
        );
    }
    for (target, path) in [("things/1", "/base/things/1"), ("/things/1?a=b", "/base/things/1")] {
        let seen = calls.seen(&BASE64URL_NOPAD.encode(target.as_bytes())).await;
        assert_eq!(seen["path"], path);
    }
    world.stop().await;
}

async fn headers_pass_by_the_rules(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let calls = Calls::new(&world).await;
    let target = BASE64URL_NOPAD.encode(b"/x");
    let headers = [
        ("content-type", "text/csv"),
        ("x-pd-proxy-accept", "text/plain"),
        ("x-pd-proxy-x-request-tag", "7"),
        ("x-pd-proxy-x-pd-proxy-deep", "8"),
        ("x-pd-proxy-x-api-key", "stolen"),
        ("x-other", "canary"),
        ("cookie", "a=canary"),
        ("accept-encoding", "gzip"),
    ];
    let sent = calls.send(&target, &headers, "a,b").await.ok();
    assert_eq!(sent["body"], "a,b");
    let seen = &sent["headers"];
    for (name, text) in [
        ("content-type", "text/csv"),
        ("accept", "text/plain"),
        ("x-request-tag", "7"),
        ("x-pd-proxy-deep", "8"),
        // The credential is the account's own, whatever the caller says.
        ("x-api-key", KEY),
    ] {
        assert_eq!(seen[name], text, "{name}");
    }
    assert!(!sent.to_string().replace(KEY, "").contains("canary"), "{sent}");
    assert!(seen.get("authorization").is_none() && seen.get("x-pd-environment").is_none());
    for name in [
        "accept-encoding",
        "access-control-request-method",
        "connection",
        "content-length",
        "cookie",
        "host",
        "origin",
        "proxy-authorization",
        "sec-fetch-site",
        "user-agent",
        "via",
    ] {
        let refused = calls.send(&target, &[(&format!("x-pd-proxy-{name}"), "1")], "").await;
        assert_eq!(refused.status, 400, "{name}");
        assert!(refused.json()["error"].as_str().unwrap().contains("Unsupported header"));
    }
    world.stop().await;
}

async fn what_an_app_answers_is_handed_on_as_it_is(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let calls = Calls::new(&world).await;
    let send =
        async |path: &str| calls.send(&BASE64URL_NOPAD.encode(path.as_bytes()), &[], "").await;
    let theirs = send("/problem").await;
    assert_eq!((theirs.status, theirs.html()), (409, "{\"title\":\"theirs\"}"));
    assert_eq!(theirs.header("content-type"), "application/problem+json");
    let away = send("/away").await;
    assert_eq!((away.status, away.header("location")), (302, "https://evil.example/"));
    let bytes = send("/bytes").await;
    assert_eq!((bytes.status, bytes.body.as_slice()), (200, [0_u8, 255, 1].as_slice()));
    assert!(bytes.header("content-security-policy").ends_with("; sandbox"));
    world.stop().await;
}

async fn what_is_not_called_is_said(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let calls = Calls::new(&world).await;
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    for (target, status, code) in [
        (encode("https://evil.example/"), 403, "host_not_allowed"),
        (encode("http://169.254.169.254/latest"), 403, "host_not_allowed"),
        (encode("http://127.0.0.1:1/"), 403, "host_not_allowed"),
        (encode("//evil.example/"), 400, "invalid_request"),
        (encode("/a/../b"), 400, "invalid_request"),
        (encode("ftp://a.example/"), 400, "invalid_request"),
        ("!!!".to_owned(), 400, "invalid_request"),
        (BASE64URL_NOPAD.encode(&[0xff, 0xfe, 0x00]), 400, "invalid_request"),
    ] {
        let refused = calls.send(&target, &[], "").await;
        assert_eq!(refused.status, status, "{target}: {}", refused.html());
        assert_eq!(refused.json()["code"], code, "{target}");
    }
    let (client, account) = (&calls.client, calls.account.as_str());
    let call = || ask().at("url", encode("/x"));
    for (query, status) in [
        (call(), 400),
        (call().query("account_id", account), 400),
        (call().query("external_user_id", "ada"), 400),
        (call().query("external_user_id", "bob").query("account_id", account), 404),
        (call().query("external_user_id", "ada").query("account_id", "apn_x"), 404),
    ] {
        assert_eq!(client.proxy_get(query).await.unwrap_err().status, status);
    }
    world.stop().await;
}

/// Time is stopped once the app has been asked, so that 30 seconds are over at once.
async fn an_app_that_does_not_answer(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let calls = Calls::new(&world).await;
    let target = BASE64URL_NOPAD.encode(b"/hang");
    let stopped = async {
        upstream.hangs.notified().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(30)).await;
        tokio::time::resume();
    };
    let (answer, ()) = tokio::join!(calls.send(&target, &[], ""), stopped);
    assert_eq!((answer.status, &answer.json()["code"]), (504, &json!("upstream_timeout")));
    world.stop().await;
}

#[tokio::test]
async fn an_app_that_does_not_answer_costs_30_seconds_on_sqlite() {
    an_app_that_does_not_answer(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn an_app_that_does_not_answer_costs_30_seconds_on_postgres() {
    an_app_that_does_not_answer(TestDatabase::postgres().await).await;
}
