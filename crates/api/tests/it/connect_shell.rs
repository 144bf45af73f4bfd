//! The connect page with a script: who may show it, what it may do, and how it proves that it is the
//! same browser where it has no cookie. What customers see of it is tried in a browser, by
//! `crates/causeway/tests/it/connect_page.rs`.

use crate::kit::{Answer, Setup, World};
use axum::body::Body;
use axum::http::{Request, header};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};

on_both!(
    the_policy_names_the_origins_of_the_session,
    a_page_without_cookies_proves_itself_by_a_header,
    a_window_gets_the_proof_of_the_page_that_opened_it,
    files_are_kept_for_good_and_the_script_is_compared,
);

const ORIGIN: &str = "http://127.0.0.1:8400";

pub(crate) async fn get(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn post(
    world: &World,
    path: &str,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body)).unwrap()).await
}

/// A directive of a page's policy.
#[track_caller]
fn directive(answer: &Answer, name: &str) -> String {
    let policy = answer.header("content-security-policy");
    let found = policy.split("; ").find_map(|one| one.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {name}: {policy}")).to_owned()
}

async fn the_policy_names_the_origins_of_the_session(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, alone) = world.session(json!({})).await;
    let page = get(&world, &alone, &[]).await;
    assert_eq!(page.status, 200, "run `make deps`: {}", page.html());
    assert!(page.html().contains("<div id=\"root\">"), "no console: run `make deps`");
    assert!(!page.html().contains("style=") && !page.html().contains("<style"));
    assert_eq!(directive(&page, "default-src"), "'none'");
    assert_eq!(directive(&page, "script-src"), format!("{ORIGIN}/connect/assets/"));
    assert_eq!(directive(&page, "style-src"), format!("{ORIGIN}/connect/assets/"));
    assert_eq!(directive(&page, "connect-src"), format!("{ORIGIN}/connect/"));
    assert_eq!(directive(&page, "frame-ancestors"), "'none'");
    assert_eq!(directive(&page, "img-src"), "'none'");
    assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(page.header("cache-control"), "no-store");

    let origins = json!({ "allowed_origins": ["https://app.example", "http://localhost:3000"] });
    let (_, framed) = world.session(origins).await;
    for _ in 0..2 {
        let page = get(&world, &framed, &[]).await;
        let ancestors = directive(&page, "frame-ancestors");
        assert_eq!(ancestors, "https://app.example http://localhost:3000");
        assert_eq!(page.header("cross-origin-opener-policy"), "unsafe-none");
        // Also when the link is over: the page says so where it was opened.
        world.clock.advance(std::time::Duration::from_hours(1));
    }
    let unknown = get(&world, "/connect/cwl_none", &[]).await;
    assert_eq!((unknown.status, directive(&unknown, "frame-ancestors").as_str()), (404, "'none'"));
    for origin in
        ["*", "https://app.example/", "https://*.example", "https://a;b", "null", "'self'"]
    {
        let body = json!({ "customer": "ada", "app": "demo", "allowed_origins": [origin] });
        let refused = world.post("/api/v1/connect-sessions", &body).await;
        refused.problem(400, "invalid_request");
    }
}

async fn a_page_without_cookies_proves_itself_by_a_header(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, link) = world.session(json!({})).await;
    let first = get(&world, &format!("{link}/session"), &[("causeway-browser", "new")]).await;
    assert_eq!((first.status, first.header("set-cookie")), (200, ""));
    let proof = first.header("causeway-browser").to_owned();
    assert!(proof.starts_with("cwb_"), "{proof}");
    let submit = format!("{link}/submit");
    let key = |key: &str| {
        json!({ "app": "demo", "scheme": "api_key", "fields": { "api_key": key } }).to_string()
    };
    let own = [
        ("causeway-browser", proof.as_str()),
        ("origin", ORIGIN),
        ("content-type", "application/json"),
    ];
    let wrong = post(&world, &submit, &own, key("wrong")).await;
    assert_eq!(wrong.status, 400);
    // From now on the link is this page's: neither a new page nor one with a cookie can go on.
    for headers in [
        &[("causeway-browser", "new"), own[1], own[2]][..],
        &[("causeway-browser", "cwb_made_up"), own[1], own[2]],
        &own[1..],
    ] {
        post(&world, &submit, headers, key(&world.demo.api_key()))
            .await
            .problem(404, "connect_link_spent");
    }
    // Other sites' scripts cannot send the header, and their origin is not believed.
    let foreign = [own[0], ("origin", "https://evil.example"), own[2]];
    post(&world, &submit, &foreign, key(&world.demo.api_key())).await.problem(403, "cross_site");
    let done = post(&world, &submit, &own, key(&world.demo.api_key())).await;
    assert_eq!(done.status, 200);
    let progress = get(&world, &format!("{link}/progress"), &own[..1]).await;
    let body: Value = serde_json::from_str(progress.html()).unwrap();
    assert_eq!(body["state"], "connected");
}

async fn a_window_gets_the_proof_of_the_page_that_opened_it(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, link) = world.session(json!({})).await;
    let first = get(&world, &format!("{link}/session"), &[("causeway-browser", "new")]).await;
    let proof = first.header("causeway-browser").to_owned();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let window = format!("{link}/window");
    let body = format!("browser={proof}");
    let opened = post(&world, &window, &[form, ("origin", ORIGIN)], body.clone()).await;
    assert_eq!(opened.status, 200);
    let cookie = opened.header("set-cookie");
    assert!(cookie.starts_with(&format!("causeway_connect_8400={proof};")), "{cookie}");
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    assert_eq!(opened.header("cross-origin-opener-policy"), "unsafe-none");
    // Another site cannot make a browser take a cookie that it knows.
    for origin in ["https://evil.example", "null"] {
        let refused = post(&world, &window, &[form, ("origin", origin)], body.clone()).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (403, ""));
    }
    for wrong in ["", "browser=", "browser=new", "browser=cwb_x%0d%0aset-cookie: a=b"] {
        let refused = post(&world, &window, &[form, ("origin", ORIGIN)], wrong.into()).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (400, ""), "{wrong}");
    }
}

async fn files_are_kept_for_good_and_the_script_is_compared(database: TestDatabase) {
    let world = World::with(database, Setup::default()).await;
    let (_, link) = world.session(json!({})).await;
    let page = get(&world, &link, &[]).await;
    let names = page.html().split("./assets/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 2, "{}", page.html());
    for name in names {
        let path = format!("/connect/assets/{name}");
        let plain = get(&world, &path, &[]).await;
        assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""));
        assert_eq!(plain.header("x-content-type-options"), "nosniff");
        let packed = get(&world, &path, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
    }
    for none in ["x.js", "../connect.html", "%2e%2e%2fconnect.html", "connect.js.gz"] {
        assert_eq!(
            get(&world, &format!("/connect/assets/{none}"), &[]).await.status,
            404,
            "{none}"
        );
    }
    let script = get(&world, "/connect.js", &[]).await;
    assert_eq!((script.status, script.header("access-control-allow-origin")), (200, "*"));
    assert_eq!(script.header("cross-origin-resource-policy"), "cross-origin");
    assert!(script.html().len() < 6_000, "{} bytes", script.html().len());
    let tag = script.header(header::ETAG.as_str()).to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let kept = get(&world, "/connect.js", &[("if-none-match", &known)]).await;
        assert_eq!((kept.status, kept.html()), (304, ""), "{known}");
    }
}
