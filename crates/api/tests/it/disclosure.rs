//! Reports of vulnerabilities: from anybody, to the staff alone. That GnuPG reads them is shown by
//! the tests of `crates/disclosure`.

use crate::kit::{Json as _, Setup, World, request_as};
use crate::people::Named;
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_api::{Quota, RateLimitConfig};
use causeway_disclosure::{DisclosureConfig, MAX_REPORT, Recipient};
use causeway_identity::Scopes;
use causeway_identity::action::ActionName;
use causeway_store::testing::TestDatabase;
use causeway_store::{db, on_both};
use causeway_types::entity::Role;
use causeway_types::{Clock as _, INSTALLATION, ReportId, SystemClock};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    a_report_reaches_the_staff_encrypted,
    what_is_no_report_is_refused,
    without_a_key_nothing_is_kept,
    no_right_in_a_workspace_opens_a_report,
);

fn taking_reports() -> Setup {
    let file = include_bytes!("../fixtures/operator.asc");
    let recipient = Recipient::read(file, SystemClock.now()).ok().unwrap();
    Setup {
        disclosure: DisclosureConfig {
            contacts: vec!["mailto:security@example.com".parse().unwrap()],
            recipient: Some(recipient),
            policy: Some("https://example.com/policy".parse().unwrap()),
            ..DisclosureConfig::default()
        },
        public_url: "https://causeway.test",
        ..Setup::default()
    }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, kind: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(header::CONTENT_TYPE, kind).body(body.into()).unwrap()
}

fn report(body: &Value) -> Request<Body> {
    post("/security/reports", "application/json", body.to_string())
}

fn form(body: &str) -> Request<Body> {
    post("/security/report", "application/x-www-form-urlencoded", body.to_owned())
}

async fn kept(world: &World) -> usize {
    let mut conn = world.store().read().await.unwrap();
    db!(conn, report::page(ReportId::highest(), 100)).unwrap().len()
}

async fn a_report_reaches_the_staff_encrypted(database: TestDatabase) {
    let mut setup = taking_reports();
    setup.public_url = "http://127.0.0.1:8400";
    let world = World::with(database, setup).await;
    let told = json!({ "text": "canary-7c1e in the API", "reply_to": "canary@example.org" });
    let made = world.send(report(&told)).await;
    assert_eq!(made.status, 201);
    let first = made.json().text("id");
    world.clock.advance(Duration::from_secs(1));
    let thanks = world.send(form("text=canary-7c1e+in+the+form&reply_to=")).await;
    assert_eq!(thanks.status, 201);
    assert!(thanks.html().contains("vr_") && !thanks.html().contains("canary"));

    let staff = world.member(INSTALLATION, Role::Operator, None).await;
    let here = Some(Named::Workspace(INSTALLATION));
    let ask = async |method: Method, path: &str| {
        world.send(staff.request(here, method, path, None)).await
    };
    let listed = ask(Method::GET, "/api/v1/security-reports").await.ok();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    assert_eq!(listed["data"][1]["id"], first);
    assert_eq!(listed["data"][1]["mailed_at"], Value::Null);
    let page = ask(Method::GET, "/api/v1/security-reports?limit=1").await.ok();
    let next = format!("/api/v1/security-reports?cursor={}", page.text("next_cursor"));
    assert_eq!(ask(Method::GET, &next).await.ok()["data"][0]["id"], first);

    let path = format!("/api/v1/security-reports/{first}");
    let shown = ask(Method::GET, &path).await.ok();
    assert!(shown.text("message").starts_with("-----BEGIN PGP MESSAGE-----\n"));
    assert!(!shown.to_string().contains("canary"));
    assert_eq!(ask(Method::DELETE, &path).await.status, 204);
    ask(Method::GET, &path).await.problem(404, "not_found");
    ask(Method::DELETE, &path).await.problem(404, "not_found");
    assert_eq!(kept(&world).await, 1);

    let mut conn = world.store().read().await.unwrap();
    let rows = db!(conn, audit::page(INSTALLATION, 0, 500)).unwrap();
    let of = |action: &str| rows.iter().filter(|row| row.action == action).collect::<Vec<_>>();
    assert_eq!(of("report_received").len(), 2);
    assert_eq!(of("report_received")[0].actor, "anonymous");
    assert!(of("report_received")[0].detail.contains("192.0.2.7"), "from where it came");
    assert_eq!(of("report_deleted")[0].actor, staff.user.to_string());
}

async fn what_is_no_report_is_refused(database: TestDatabase) {
    let world = World::with(database, taking_reports()).await;
    for (body, status, code) in [
        (json!({ "text": "" }), 400, "invalid_request"),
        (json!({ "text": " \n" }), 400, "invalid_request"),
        (json!({}), 400, "invalid_request"),
        (json!({ "text": 1 }), 400, "invalid_request"),
        (json!({ "text": "x", "more": 1 }), 400, "invalid_request"),
        (json!({ "text": "x".repeat(MAX_REPORT + 1) }), 413, "body_too_large"),
        (json!({ "text": "x".repeat(4 * MAX_REPORT) }), 413, "body_too_large"),
    ] {
        world.send(report(&body)).await.problem(status, code);
    }
    world.send(post("/security/reports", "text/plain", "x")).await.problem(400, "invalid_request");
    world
        .send(post("/security/reports", "application/json", "{"))
        .await
        .problem(400, "invalid_json");

    let long = format!("text={}", "%C3%A9".repeat(MAX_REPORT / 2 + 1));
    for (body, status) in [("", 400), ("text=", 400), ("text=%FF%FE", 201), (long.as_str(), 413)] {
        let answer = world.send(form(body)).await;
        assert_eq!(answer.status, status, "{body}");
        assert!(answer.header("content-type").starts_with("text/html"));
    }
    let huge = world.send(form(&format!("text={}", "x".repeat(8 * MAX_REPORT)))).await;
    assert_eq!(huge.status, 413);
    // What was typed is not lost, and cannot become markup.
    let typed = format!("text={}", "%3C%2Ftextarea%3E%3Cscript%3E".repeat(4_000));
    let again = world.send(form(&typed)).await;
    assert_eq!(again.status, 413);
    assert!(again.html().contains("&lt;/textarea&gt;&lt;script&gt;"));
    assert!(!again.html().contains("<script>"));
    assert_eq!(kept(&world).await, 1, "the odd one alone");
    let exact = world.send(report(&json!({ "text": "x".repeat(MAX_REPORT) }))).await;
    assert_eq!(exact.status, 201);
}

async fn without_a_key_nothing_is_kept(database: TestDatabase) {
    let contacts = vec!["mailto:security@example.com".parse().unwrap()];
    let disclosure = DisclosureConfig { contacts, ..DisclosureConfig::default() };
    let setup = Setup { disclosure, public_url: "https://causeway.test", ..Setup::default() };
    let world = World::with(database, setup).await;
    let page = world.send(get("/security/report")).await;
    assert_eq!(page.status, 200);
    assert!(page.html().contains("mailto:security@example.com"));
    assert!(!page.html().contains("<form") && !page.html().contains("<textarea"));
    world.send(report(&json!({ "text": "x" }))).await.problem(404, "not_found");
    assert_eq!(world.send(form("text=x")).await.status, 404);
    world.send(get("/security/pgp-key")).await.problem(404, "not_found");
    let text = world.send(get("/.well-known/security.txt")).await;
    assert!(text.html().starts_with("Contact: mailto:security@example.com\n"));
    assert!(!text.html().contains("Encryption:"));
    assert_eq!(kept(&world).await, 0);

    // Nothing at all is set up.
    let world = World::new(TestDatabase::sqlite().await).await;
    world.send(get("/.well-known/security.txt")).await.problem(404, "not_found");
    assert!(world.send(get("/security/report")).await.html().contains("whoever operates it"));
}

async fn no_right_in_a_workspace_opens_a_report(database: TestDatabase) {
    let world = World::with(database, taking_reports()).await;
    let made = world.send(report(&json!({ "text": "x" }))).await;
    let path = format!("/api/v1/security-reports/{}", made.json().text("id"));
    // Nobody may give a program this scope; to one that has it all the same it says nothing.
    let only = Scopes::only(ActionName::ReadReports);
    let scoped = world.scoped_key(world.tenant, &only, None, None).await;
    for key in [&scoped, &world.key] {
        for method in [Method::GET, Method::DELETE] {
            world.send(request_as(key, method, &path, None)).await.problem(403, "denied");
        }
        let list = request_as(key, Method::GET, "/api/v1/security-reports", None);
        world.send(list).await.problem(403, "denied");
    }
    assert_eq!(kept(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn finders_learn_where_to_turn() {
    let world = World::with(TestDatabase::sqlite().await, taking_reports()).await;
    let text = world.send(get("/.well-known/security.txt")).await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    for line in [
        "Contact: mailto:security@example.com",
        "Contact: https://causeway.test/security/report",
        "Encryption: https://causeway.test/security/pgp-key",
        "Policy: https://example.com/policy",
        "Canonical: https://causeway.test/.well-known/security.txt",
    ] {
        assert!(text.html().lines().any(|one| one == line), "{}", text.html());
    }
    let key = world.send(get("/security/pgp-key")).await;
    assert_eq!(key.header("content-type"), "application/pgp-keys");
    assert!(key.html().starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"));
    let page = world.send(get("/security/report")).await;
    assert!(page.html().contains("<textarea") && page.html().contains("Other ways"));
    assert!(!page.html().contains("<script") && !page.html().contains(" style="));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_have_a_quota_of_their_own() {
    let mut setup = taking_reports();
    setup.limits = RateLimitConfig { reports: Quota::per_hour(2), ..RateLimitConfig::unlimited() };
    let world = World::with(TestDatabase::sqlite().await, setup).await;
    assert_eq!(world.send(report(&json!({ "text": "one" }))).await.status, 201);
    assert_eq!(world.send(form("text=two")).await.status, 201);
    let refused = world.send(report(&json!({ "text": "three" }))).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "1800");
    let page = world.send(form("text=four")).await;
    assert_eq!(page.status, 429);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(world.send(get("/security/report")).await.status, 200);
    assert_eq!(kept(&world).await, 2);
}
