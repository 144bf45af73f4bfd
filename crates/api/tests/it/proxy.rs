//! Calls through the proxy, by its routes.

use crate::kit::{World, request_as};
use axum::http::Method;
use causeway_identity::{ProxyRule, Scopes};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::json;

on_both!(
    an_app_is_called_by_path_and_by_url,
    a_key_is_confined_to_its_rules,
    what_is_refused_is_named
);

async fn an_app_is_called_by_path_and_by_url(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("acme-crm").await["id"].as_str().unwrap().to_owned();
    for named in ["acme-crm", id.as_str()] {
        let answer = world.get(&format!("/api/v1/proxy/{named}/crm/me")).await;
        answer.ok();
        assert_eq!(answer.header("causeway-connection"), id);
        assert!(answer.header("content-security-policy").ends_with("; sandbox"));
    }
    let mut request = world.request(Method::GET, "/api/v1/proxy/acme-crm", None);
    let url = format!("{}/crm/me", world.demo.url());
    request.headers_mut().insert("causeway-proxy-url", url.parse().unwrap());
    world.send(request).await.ok();
    let head = world.request(Method::HEAD, "/api/v1/proxy/acme-crm/crm/me", None);
    assert_eq!(world.send(head).await.status, 200);
    // The app's own word on what it does not know.
    assert_eq!(world.get("/api/v1/proxy/acme-crm/nowhere").await.status, 404);
    world.stop().await;
}

async fn a_key_is_confined_to_its_rules(database: TestDatabase) {
    let world = World::new(database).await;
    world.connection("acme-crm").await;
    let rule = ProxyRule { methods: vec!["GET".into()], paths: vec!["/crm/me".into()] };
    let scopes = Scopes { proxy: Some(vec![rule]), ..Scopes::default() };
    let key = world.scoped_key(world.tenant, &scopes, None, None).await;
    let ask = |method, path: &str| request_as(&key, method, path, None);
    world.send(ask(Method::GET, "/api/v1/proxy/acme-crm/crm/me")).await.ok();
    for (method, path) in [
        (Method::GET, "/api/v1/proxy/acme-crm/crm/contacts"),
        (Method::DELETE, "/api/v1/proxy/acme-crm/crm/me"),
    ] {
        world.send(ask(method, path)).await.problem(403, "denied");
    }
    world.stop().await;
}

async fn what_is_refused_is_named(database: TestDatabase) {
    let world = World::new(database).await;
    let id = world.connection("acme-crm").await["id"].as_str().unwrap().to_owned();
    for (path, status, code) in [
        ("/api/v1/proxy/nobody/x", 404, "not_found"),
        ("/api/v1/proxy/acme-crm//evil.example/x", 400, "invalid_request"),
        ("/api/v1/proxy/acme-crm/a/%2e%2e/x", 400, "invalid_request"),
    ] {
        world.get(path).await.problem(status, code);
    }
    let mut request = world.request(Method::GET, "/api/v1/proxy/acme-crm", None);
    let url = "https://evil.example/".parse().unwrap();
    request.headers_mut().insert("causeway-proxy-url", url);
    world.send(request).await.problem(403, "host_not_allowed");
    let mut request = world.request(Method::GET, "/api/v1/proxy/acme-crm/x", None);
    request.headers_mut().insert("causeway-proxy-url", "https://a.example/".parse().unwrap());
    world.send(request).await.problem(400, "invalid_request");
    let policy = json!({ "rules": [{ "methods": ["GET"], "paths": ["/crm/me"] }] });
    let path = format!("/api/v1/connections/{id}/policy");
    assert_eq!(world.put(&path, &policy).await.status, 204);
    assert_eq!(world.get(&path).await.ok(), policy);
    world.get("/api/v1/proxy/acme-crm/crm/me").await.ok();
    world.get("/api/v1/proxy/acme-crm/crm/contacts").await.problem(403, "call_not_allowed");
    let odd = json!({ "rate": { "calls": 0, "seconds": 1 } });
    world.put(&path, &odd).await.problem(400, "invalid_request");
    assert_eq!(world.put(&path, &json!({})).await.status, 204);
    assert_eq!(world.get(&path).await.ok(), json!({}));
    world.stop().await;
}
