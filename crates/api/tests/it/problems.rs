//! Problems: their codes, their one form, and what is not found at all.

use crate::kit::{Json, World, value};
use axum::body::Body;
use axum::http::{Method, Request};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::Code;
use std::fmt::Write;

on_both!(addresses_and_methods_that_do_not_exist, every_request_has_an_id_of_its_own);

#[test]
fn the_codes() {
    let codes = Code::ALL.iter().fold(String::new(), |mut all, code| {
        // HTTP has a status for this very case, which its kind does not.
        let status = if *code == Code::WrongMethod { 405 } else { code.kind().status() };
        let _ = writeln!(all, "{status} {code} {}", code.title());
        all
    });
    insta::assert_snapshot!(codes);
}

async fn addresses_and_methods_that_do_not_exist(database: TestDatabase) {
    let world = World::new(database).await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/workflows",
        "/api/v1/workflows/",
        "//",
        "/t",
        "/t/",
        "/connect",
        "/connect/a/b/c",
        "/api/v1/invocations/a/b/c",
        "/problems/no_such_code",
        "/api/v1/../../etc/passwd",
        "/%2e%2e/",
        "/api/v1/workflow%73",
    ] {
        let answer = world.get(path).await;
        answer.problem(404, "unknown_route");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/workflows", "GET,HEAD"),
        ("PATCH", "/api/v1/connections", "GET,HEAD,POST"),
        ("GET", "/api/v1/deployments", "POST"),
        ("PUT", "/healthz", "GET,HEAD"),
        ("OPTIONS", "/api/v1/workflows", "GET,HEAD"),
        ("GET", "/connect/x/key", "POST"),
        ("BREW", "/api/v1/keys", "GET,HEAD"),
    ] {
        let method = Method::try_from(method).unwrap();
        let answer = world.send(world.request(method, path, None)).await;
        answer.problem(405, "wrong_method");
        let mut given: Vec<&str> = answer.header("allow").split(',').collect();
        given.sort_unstable();
        assert_eq!(given.join(","), allow, "{path}");
    }
    let head = world.send(world.request(Method::HEAD, "/healthz", None)).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

async fn every_request_has_an_id_of_its_own(database: TestDatabase) {
    let world = World::new(database).await;
    let mut ids = std::collections::BTreeSet::new();
    for path in ["/api/v1/workflows", "/nothing", "/t/nothing", "/connect/nothing", "/healthz"] {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.headers_mut().insert("x-request-id", value("req_mine"));
        let answer = world.send(request).await;
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
        if answer.header("content-type") == "application/problem+json" {
            assert_eq!(answer.json().text("request_id"), answer.header("x-request-id"));
        }
    }
}
