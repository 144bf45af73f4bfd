//! Customers with a connect token: what is their own, from which pages, and for how long.

use super::client::{Client, ask};
use super::upstream::{KEY, Upstream};
use crate::kit::{Answer, World, value};
use axum::body::Body;
use axum::http::{Method, Request, header};
use causeway_api::Split;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

on_both!(
    a_customer_sees_and_touches_his_own,
    a_token_is_good_once_and_for_a_time,
    a_scope_narrows_a_token,
    pages_of_named_origins_call,
    the_listener_for_customers_answers_no_program,
    the_address_of_the_connect_page_leads_there,
);

fn echo() -> Value {
    json!({ "app_slug": "echo_app", "cfmap_json": json!({ "api_key": KEY }).to_string() })
}

impl Client<'_> {
    async fn token(&self, user: &str, more: Value) -> String {
        let mut body = json!({ "external_user_id": user });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.create_token(ask().body(body)).await.unwrap().token
    }

    async fn account(&self, user: &str) -> String {
        let query = ask().query("external_user_id", user).body(echo());
        self.create_account(query).await.unwrap().id
    }
}

async fn a_customer_sees_and_touches_his_own(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let (own, others) = (client.account("ada").await, client.account("bob").await);
    let token = client.token("ada", json!({})).await;
    let mut named = Client::browser(&world, &token);
    named.project = Some(world.tenant.project.to_string());
    for browser in [Client::browser(&world, &token), named] {
        let seen = browser.list_accounts(ask()).await.unwrap();
        assert_eq!((seen.data.len(), seen.page_info.total_count), (1, 1));
        assert_eq!((&seen.data[0].id, seen.data[0].external_id.as_str()), (&own, "ada"));
        browser.show_account(ask().at("id", &own)).await.unwrap();
        assert_eq!(browser.accounts_of_user(ask().at("ext_id", "ada")).await.unwrap().len(), 1);
        assert!(browser.accounts_of_user(ask().at("ext_id", "bob")).await.unwrap().is_empty());
        let none = browser.list_accounts(ask().query("external_user_id", "bob")).await.unwrap();
        assert_eq!((none.data.len(), none.page_info.total_count), (0, 0));
        for refused in [
            browser.show_account(ask().at("id", &others)).await.err(),
            browser.delete_account(ask().at("id", &others)).await.err(),
        ] {
            assert_eq!(refused.unwrap().is(), (404, "not_found"));
        }
        assert_eq!(browser.project_info(ask()).await.unwrap().apps[0].name_slug, "echo_app");
        browser.list_apps(ask()).await.unwrap();
        browser.list_categories(ask()).await.unwrap();
        let call = |account: &str| {
            let target = BASE64URL_NOPAD.encode(b"/x");
            ask().query("account_id", account).at("url", target)
        };
        let got = browser.proxy_get(call(&own)).await.unwrap();
        assert_eq!(got["headers"]["x-api-key"], KEY);
        assert_eq!(browser.proxy_get(call(&others)).await.unwrap_err().is(), (404, "not_found"));
        let as_other = call(&own).query("external_user_id", "bob");
        assert_eq!(browser.proxy_get(as_other).await.unwrap_err().is(), (404, "not_found"));
    }
    let browser = Client::browser(&world, &token);
    let mut elsewhere = browser.clone();
    elsewhere.project = Some(world.project_beside().await.project.to_string());
    assert_eq!(elsewhere.list_accounts(ask()).await.unwrap_err().is(), (404, "not_found"));
    // What he is called in a query counts for nothing against who he is.
    let as_other = ask().query("external_user_id", "bob").body(echo());
    let refused = browser.create_account(as_other).await.unwrap_err();
    assert_eq!(refused.is(), (404, "connect_link_spent"));
    browser.delete_account(ask().at("id", &own)).await.unwrap();
    assert_eq!(client.list_accounts(ask()).await.unwrap().page_info.total_count, 1);
    world.stop().await;
}

async fn a_token_is_good_once_and_for_a_time(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let browser = Client::browser(&world, &client.token("ada", json!({})).await);
    let made = browser.create_account(ask().body(echo())).await.unwrap();
    assert_eq!(made.external_id, "ada");
    // It is used up, for everything.
    assert_eq!(browser.list_accounts(ask()).await.unwrap_err().is(), (401, "unauthenticated"));
    let again = browser.create_account(ask().body(echo())).await.unwrap_err();
    assert_eq!(again.is(), (401, "unauthenticated"));

    let short = Client::browser(&world, &client.token("ada", json!({ "expires_in": 60 })).await);
    let usual = Client::browser(&world, &client.token("ada", json!({})).await);
    short.list_accounts(ask()).await.unwrap();
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(short.list_accounts(ask()).await.unwrap_err().is(), (401, "unauthenticated"));
    usual.list_accounts(ask()).await.unwrap();
    world.clock.advance(Duration::from_hours(4));
    assert_eq!(usual.list_accounts(ask()).await.unwrap_err().is(), (401, "unauthenticated"));

    // A link of the native API is a link and nothing else.
    let (_, path) = world.session(json!({ "app": "echo-app" })).await;
    let link = path.rsplit('/').next().unwrap().replacen("cwl_", "ctok_", 1);
    let refused = Client::browser(&world, &link).list_accounts(ask()).await.unwrap_err();
    assert_eq!(refused.is(), (401, "unauthenticated"));
    for wrong in ["ctok_", "ctok_x", &format!("ctok_{}", "a".repeat(60))] {
        let refused = Client::browser(&world, wrong).list_accounts(ask()).await.unwrap_err();
        assert_eq!(refused.is(), (401, "unauthenticated"), "{wrong}");
    }
    world.stop().await;
}

async fn a_scope_narrows_a_token(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let own = client.account("ada").await;
    let token = client.token("ada", json!({ "scope": "connect:accounts:read connect:x" })).await;
    let reader = Client::browser(&world, &token);
    reader.list_accounts(ask()).await.unwrap();
    let call = ask().query("account_id", &own).at("url", BASE64URL_NOPAD.encode(b"/x"));
    for refused in [
        reader.delete_account(ask().at("id", &own)).await.err(),
        reader.create_account(ask().body(echo())).await.err(),
        reader.proxy_get(call).await.err(),
    ] {
        assert_eq!(refused.unwrap().is(), (403, "denied"));
    }
    world.stop().await;
}

fn from(client: &Client<'_>, origin: &str) -> Request<Body> {
    let mut request = client.request("GET", "P/accounts", &ask());
    request.headers_mut().insert(header::ORIGIN, value(origin));
    request
}

async fn pages_of_named_origins_call(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    let origins = json!({ "allowed_origins": ["https://acme.example"] });
    let browser = Client::browser(&world, &client.token("ada", origins).await);
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").to_owned();

    let answer = world.send(from(&browser, "https://acme.example")).await;
    assert_eq!((answer.status, allowed(&answer)), (200, "https://acme.example".into()));
    assert!(answer.header("vary").contains("Origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    for origin in ["https://evil.example", "https://acme.example.evil.example", "null"] {
        let answer = world.send(from(&browser, origin)).await;
        assert_eq!((answer.status, allowed(&answer)), (403, String::new()), "{origin}");
    }
    // An error to an allowed page can be read there.
    let mut wrong = browser.request("GET", "P/accounts/apn_x", &ask());
    wrong.headers_mut().insert(header::ORIGIN, value("https://acme.example"));
    let answer = world.send(wrong).await;
    assert_eq!((answer.status, allowed(&answer)), (404, "https://acme.example".into()));
    // A program's credential in a page is nobody's idea, so no page gets its answer.
    let mut program = client.request("GET", "P/accounts", &ask());
    program.headers_mut().insert(header::ORIGIN, value("https://acme.example"));
    assert_eq!(allowed(&world.send(program).await), "");

    let question = Request::builder()
        .method(Method::OPTIONS)
        .uri("/v1/connect/proxy/L3g")
        .header(header::ORIGIN, "https://acme.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization, x-pd-proxy-accept")
        .body(Body::empty())
        .unwrap();
    let answer = world.send(question).await;
    assert_eq!((answer.status, allowed(&answer)), (204, "https://acme.example".into()));
    assert!(answer.header("access-control-allow-headers").contains("x-pd-proxy-accept"));
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(answer.header("access-control-allow-credentials"), "");
    world.stop().await;
}

async fn the_listener_for_customers_answers_no_program(database: TestDatabase) {
    let world = World::new(database).await;
    let client = Client::new(&world).await;
    let browser = Client::browser(&world, &client.token("ada", json!({})).await);
    let routers = world.api.clone().routers(Split { api: true, metrics: false });
    let (public, private) = (routers.public, routers.api.unwrap());
    let mut bare = client.clone();
    bare.project = None;
    for (router, client, path, status) in [
        (&public, &browser, "P/accounts", 200),
        (&public, &bare, "P/apps", 401),
        (&public, &client, "P/accounts", 404),
        (&public, &client, "/v1/connect/projects", 404),
        (&private, &client, "P/accounts", 200),
        (&private, &browser, "P/accounts", 200),
        (&private, &bare, "P/apps", 200),
    ] {
        let mut request = client.request("GET", path, &ask());
        let from: std::net::SocketAddr = "192.0.2.7:4711".parse().unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(from));
        let answer = Answer::read(router.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.html());
    }
    world.stop().await;
}

async fn the_address_of_the_connect_page_leads_there(database: TestDatabase) {
    let upstream = Upstream::start().await;
    let world = World::with(database, upstream.setup()).await;
    let client = Client::new(&world).await;
    let (own, others) = (client.account("ada").await, client.account("bob").await);
    let made = client.create_token(ask().body(json!({ "external_user_id": "ada" }))).await.unwrap();
    let url: url::Url = made.connect_link_url.parse().unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    let get = async |path: &str| world.send(Request::get(path).body(Body::empty()).unwrap()).await;
    let link = made.token.replacen("ctok_", "cwl_", 1);
    for (more, page) in [("", ""), ("&app=echo_app", "?app=echo-app")] {
        let answer = get(&format!("{path}{more}")).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, format!("/connect/{link}{page}").as_str())
        );
        assert_eq!(get(answer.header("location")).await.status, 200);
    }
    // An account is renewed only by its own customer, and a token goes on for one thing.
    for (more, status) in [
        (format!("&accountId={others}"), 404),
        ("&accountId=apn_x".to_owned(), 404),
        ("&app=nope".to_owned(), 404),
        ("&oauthAppId=oa_x".to_owned(), 404),
        (format!("&app=demo&accountId={own}"), 404),
        ("&app=echo_app&oauthScopeProfile=none".to_owned(), 404),
        (format!("&accountId={own}"), 303),
        (format!("&app=echo_app&accountId={own}"), 303),
        ("&app=demo".to_owned(), 404),
    ] {
        let answer = get(&format!("{path}{more}")).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.html());
    }
    let seen = client.validate_token(ask().at("ctok", &made.token)).await.unwrap();
    assert_eq!(seen.app.unwrap().name_slug, "echo_app");
    assert_eq!(get("/_static/connect.html?token=ctok_x").await.status, 401);
    let answer = get(&format!("{path}&hideClose=true")).await;
    let page = format!("/connect/{link}?app=echo-app&hideClose=true");
    assert_eq!((answer.status, answer.header("location")), (303, page.as_str()));
    // What is wrong can be read where the page would have been shown, and by nobody else.
    for (origins, ancestors) in [
        (json!([]), "frame-ancestors 'none'"),
        (json!(["https://app.example"]), "frame-ancestors https://app.example"),
    ] {
        let token = client.token("ada", json!({ "allowed_origins": origins })).await;
        let answer = get(&format!("/_static/connect.html?token={token}&app=nope")).await;
        assert_eq!(answer.status, 404);
        let policy = answer.header("content-security-policy");
        assert!(policy.split("; ").any(|one| one == ancestors), "{policy}");
    }
    // The page itself says that a link is used.
    let token = client.token("ada", json!({})).await;
    let body = json!({
        "app_slug": "echo_app", "connect_token": token,
        "cfmap_json": json!({ "api_key": KEY }).to_string(),
    });
    client.create_account(ask().body(body)).await.unwrap();
    let answer = get(&format!("/_static/connect.html?token={token}&app=echo_app")).await;
    assert_eq!(answer.status, 303);
    let page = answer.header("location").split('?').next().unwrap();
    get(&format!("{page}/session")).await.problem(404, "connect_link_spent");
    world.stop().await;
}
