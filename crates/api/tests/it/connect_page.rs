//! The page on which a customer adds a connection.

use crate::kit::{Answer, Json, Setup, World, value};
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use causeway_api::FORM_BODY_LIMIT;
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use serde_json::{Value, json};
use std::time::Duration;
use url::form_urlencoded::byte_serialize;

on_both!(
    the_page_offers_the_ways_to_connect,
    a_customer_types_a_key,
    a_customer_goes_to_the_app_and_back,
    a_link_is_for_one_browser_and_one_time,
    what_an_app_says_cannot_become_markup,
    broken_requests_are_answered_with_a_page,
    the_cookie_demands_tls_where_there_is_tls,
    other_sites_send_nothing,
    the_customer_may_choose_the_app,
    a_page_with_a_script_asks_for_the_same,
    failures_lead_where_the_company_says,
    settings_are_shown_and_set,
    the_clients_document_stands_at_its_id,
);

/// A browser: it keeps one cookie, and says which page its forms come from.
struct Browser {
    cookie: Option<String>,
    origin: &'static str,
}

impl Default for Browser {
    fn default() -> Self {
        Self { cookie: None, origin: "http://127.0.0.1:8400" }
    }
}

impl Browser {
    async fn send(&mut self, world: &World, mut request: Request<Body>) -> Answer {
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert(header::COOKIE, value(&format!("theme=dark; {cookie}")));
        }
        let answer = world.send(request).await;
        if let Some(set) = answer.headers.get(header::SET_COOKIE) {
            self.cookie = Some(set.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    /// A link's page is the plain one, as it is where the console was not built in.
    async fn get(&mut self, world: &World, path: &str) -> Answer {
        let is_link = path.matches('/').count() == 2 && !path.contains(['?', ' ']);
        let plain = if is_link { "?plain" } else { "" };
        self.send(world, Request::get(format!("{path}{plain}")).body(Body::empty()).unwrap()).await
    }

    async fn post(&mut self, world: &World, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ORIGIN, self.origin)
            .body(Body::from(form.to_owned()));
        self.send(world, request.unwrap()).await
    }

    /// A question of a page with a script.
    async fn ask(&mut self, world: &World, path: &str) -> Answer {
        self.send(world, Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// What such a page sends.
    async fn tell(&mut self, world: &World, path: &str, body: &Value) -> Answer {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ORIGIN, self.origin)
            .body(Body::from(body.to_string()));
        self.send(world, request.unwrap()).await
    }
}

/// A page of ours: its style and nothing else, framed by nobody, kept by nobody.
#[track_caller]
fn page(answer: &Answer, status: u16) -> &str {
    assert_eq!(answer.status, status, "{}", answer.html());
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let policy = answer.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("; base-uri 'none'; frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.html().contains("<script"), "{}", answer.html());
    answer.html()
}

/// A page without what differs from run to run.
fn golden(world: &World, html: &str) -> String {
    let style = html.find("<style>").unwrap()..html.find("</style>").unwrap();
    let mut html = html.to_owned();
    html.replace_range(style, "<style>…");
    while let Some(token) = html.find("cwl_") {
        html.replace_range(token..token + 64, "TOKEN");
    }
    html.replace(&world.demo.address().to_string(), "demo.test").replace("><", ">\n<")
}

async fn the_page_offers_the_ways_to_connect(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, link) = world.session(json!({ "customer": "<ada> & \"bob\"" })).await;
    let without_client = Browser::default().get(&world, &link).await;
    insta::assert_snapshot!("key_and_password", golden(&world, page(&without_client, 200)));
    world.oauth_client().await;
    let (_, link) = world.session(json!({})).await;
    let all = Browser::default().get(&world, &link).await;
    insta::assert_snapshot!("all_ways", golden(&world, page(&all, 200)));
    let connection = world.connection("crm").await.text("id");
    let (_, link) = world.session(json!({ "reconnect_id": connection })).await;
    let renewal = Browser::default().get(&world, &link).await;
    assert!(page(&renewal, 200).contains("Renew the connection of <strong>ada@acme</strong>"));
}

async fn a_customer_types_a_key(database: TestDatabase) {
    let world = World::new(database).await;
    let (session, link) = world.session(json!({ "name": "crm" })).await;
    let mut browser = Browser::default();
    browser.get(&world, &link).await;
    let form = format!("{link}/key");
    for wrong in ["scheme=api_key&api_key=wrong", "scheme=basic&username=x&password=wrong"] {
        let answer = browser.post(&world, &form, wrong).await;
        assert!(page(&answer, 400).contains("role=\"alert\""));
        assert!(!answer.html().contains("wrong"), "what was typed is not shown again");
    }
    let key = format!("scheme=api_key&api_key={}", world.demo.api_key());
    let done = browser.post(&world, &form, &key).await;
    insta::assert_snapshot!("connected", golden(&world, page(&done, 200)));
    let state = world.get(&format!("/api/v1/connect-sessions/{session}")).await.ok();
    let connection = format!("/api/v1/connections/{}", state.text("connection_id"));
    assert_eq!(world.get(&connection).await.ok()["state"], "healthy");
    let spent = browser.post(&world, &form, &key).await;
    insta::assert_snapshot!("spent", golden(&world, page(&spent, 404)));
    page(&browser.get(&world, &link).await, 404);

    // With a place to go to afterwards.
    let back = "https://app.example/done?x=ä";
    let (_, link) = world.session(json!({ "return_url": back })).await;
    let done = browser.post(&world, &format!("{link}/key"), &key).await;
    assert_eq!((done.status, done.header("location")), (303, "https://app.example/done?x=%C3%A4"));
}

async fn a_customer_goes_to_the_app_and_back(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let (_, link) = world.session(json!({})).await;
    let mut browser = Browser::default();
    browser.get(&world, &link).await;
    let gone = browser.post(&world, &format!("{link}/authorize"), "scheme=oauth2").await;
    assert_eq!(gone.status, 303);
    let url: url::Url = gone.header("location").parse().unwrap();
    assert_eq!(url.origin().ascii_serialization(), world.demo.url());
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();

    // The app says no.
    let denied = format!("/connect/callback?state={state}&error=access_denied");
    let answer = browser.get(&world, &denied).await;
    insta::assert_snapshot!("denied", golden(&world, page(&answer, 400)));
    // Without a state, with a wrong one, with one that is used up.
    for query in ["", "?state=", "?state=x.y.z", "?code=abc", &format!("?state={state}&code=x")] {
        let answer = browser.get(&world, &format!("/connect/callback{query}")).await;
        assert!(page(&answer, 400).contains("does not belong to a connection"), "{query}");
    }
}

async fn a_link_is_for_one_browser_and_one_time(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, link) = world.session(json!({})).await;
    let (mut first, mut second) = (Browser::default(), Browser::default());
    let opened = first.get(&world, &link).await;
    let set = opened.header("set-cookie");
    assert!(set.starts_with("causeway_connect_8400=cwb_"), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"), "{set}");
    let again = first.get(&world, &link).await;
    assert_eq!(again.header("set-cookie"), "", "the cookie is known already");

    // Whoever only looks, such as a preview in a mailbox, shuts nobody out. Who goes on does.
    page(&second.get(&world, &link).await, 200);
    page(&first.post(&world, &format!("{link}/key"), "scheme=api_key&api_key=wrong").await, 400);
    let key = format!("scheme=api_key&api_key={}", world.demo.api_key());
    for (method, path) in [("GET", ""), ("POST", "/authorize"), ("POST", "/key")] {
        let path = format!("{link}{path}");
        let answer = match method {
            "GET" => second.get(&world, &path).await,
            _ => second.post(&world, &path, &key).await,
        };
        assert!(page(&answer, 404).contains("another browser"), "{path}");
    }
    // A cookie that is not ours is as good as none.
    let mut stolen =
        Browser { cookie: Some("causeway_connect_8400=cwb_made_up".into()), ..Browser::default() };
    page(&stolen.get(&world, &link).await, 404);

    world.clock.advance(Duration::from_hours(1));
    assert!(page(&first.get(&world, &link).await, 404).contains("expired"));
    for link in ["/connect/cwl_x", "/connect/x", "/connect/%ff", "/connect/%00", "/connect/%3Cb%3E"]
    {
        page(&first.get(&world, link).await, 404);
        page(&first.post(&world, &format!("{link}/authorize"), "scheme=oauth2").await, 404);
        page(&first.post(&world, &format!("{link}/key"), &key).await, 404);
    }
}

async fn what_an_app_says_cannot_become_markup(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'onmouseover='alert(1)",
        "&lt;b&gt;<!--",
        "\u{202e}evil\u{2066}\0\r\nset-cookie: a=b",
        &"<b>".repeat(2000),
    ] {
        let (_, link) = world.session(json!({})).await;
        let mut browser = Browser::default();
        browser.get(&world, &link).await;
        let gone = browser.post(&world, &format!("{link}/authorize"), "scheme=oauth2").await;
        let url: url::Url = gone.header("location").parse().unwrap();
        let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let text: String = byte_serialize(hostile.as_bytes()).collect();
        let answer = browser
            .get(
                &world,
                &format!("/connect/callback?state={state}&error={text}&error_description={text}"),
            )
            .await;
        let html = page(&answer, 400);
        let alert = html.split("role=\"alert\">").nth(1).unwrap().split("</p>").next().unwrap();
        assert!(!alert.contains(['<', '>', '"', '\'', '\u{202e}', '\0']), "{alert}");
        assert!(html.len() < 10_000, "{} bytes", html.len());
        assert_eq!(answer.header("set-cookie"), "");
    }
}

async fn broken_requests_are_answered_with_a_page(database: TestDatabase) {
    let world = World::new(database).await;
    let (_, link) = world.session(json!({})).await;
    let mut browser = Browser::default();
    browser.get(&world, &link).await;
    let key = format!("{link}/key");
    for form in [
        "",
        "scheme=api_key",
        "api_key=x",
        "scheme=oauth2",
        "scheme=magic&api_key=x",
        "%ff=%ff",
        "scheme=api_key&scheme=basic",
        "scheme=api_key&api_key=a%00b",
        "scheme=api_key&api_key=x&y=z",
        "scheme=api_key&api_key=",
        "scheme=basic&username=a%3Ab&password=x",
    ] {
        let answer = browser.post(&world, &key, form).await;
        assert!(page(&answer, 400).contains("role=\"alert\""), "{form}");
    }
    let large = format!("scheme=api_key&api_key={}", "x".repeat(FORM_BODY_LIMIT));
    page(&browser.post(&world, &key, &large).await, 413);
    let json = browser.tell(&world, &key, &json!({ "scheme": "api_key" })).await;
    page(&json, 400);
    let none = Request::post(&key).header(header::ORIGIN, browser.origin);
    let none = none.body(Body::from("scheme=api_key")).unwrap();
    page(&browser.send(&world, none).await, 400);
    for query in ["state=a&state=b", "%ff", "error=%ff&error=x"] {
        page(&browser.get(&world, &format!("/connect/callback?{query}")).await, 400);
    }
    let mut request = Request::get(format!("{link}?plain")).body(Body::empty()).unwrap();
    request
        .headers_mut()
        .insert(header::COOKIE, HeaderValue::from_bytes(b"\xff=\xfe; ;=;").unwrap());
    page(&world.send(request).await, 404);
    // The first that a browser sends may be the form itself: it gets its cookie with the answer.
    let (_, link) = world.session(json!({})).await;
    let mut browser = Browser::default();
    let wrong = "scheme=api_key&api_key=wrong";
    page(&browser.post(&world, &format!("{link}/key"), wrong).await, 400);
    page(&browser.post(&world, &format!("{link}/key"), wrong).await, 400);
}

async fn the_cookie_demands_tls_where_there_is_tls(database: TestDatabase) {
    let setup = Setup { public_url: "https://connect.example/causeway", ..Setup::default() };
    let world = World::with(database, setup).await;
    let body = json!({ "customer": "ada", "app": "demo" });
    let made = world.post("/api/v1/connect-sessions", &body).await.ok();
    let url = made.text("connect_url");
    let link = url.strip_prefix("https://connect.example/causeway").unwrap();
    let mut browser = Browser { origin: "https://connect.example", ..Browser::default() };
    let opened = browser.get(&world, link).await;
    let set = opened.header("set-cookie");
    assert!(set.starts_with("__Host-causeway_connect=cwb_"), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax; Secure"), "{set}");
    // The forms' addresses hold under the public URL's own path too.
    let html = page(&opened, 200);
    let action = html.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
    let posted = url::Url::parse(&url).unwrap().join(action).unwrap();
    assert_eq!(posted.as_str(), format!("{url}/key"));
    // The cookie's other name, which any host could set, is not believed.
    page(&browser.post(&world, &format!("{link}/key"), "scheme=api_key&api_key=wrong").await, 400);
    let plain = browser.cookie.as_ref().unwrap().replace("__Host-", "");
    page(&Browser { cookie: Some(plain), ..Browser::default() }.get(&world, link).await, 404);
}

async fn other_sites_send_nothing(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let (_, link) = world.session(json!({})).await;
    let key = format!("scheme=api_key&api_key={}", world.demo.api_key());
    let body = json!({ "scheme": "api_key", "fields": { "api_key": world.demo.api_key() } });
    for origin in ["https://evil.example", "null", "http://127.0.0.1:8401"] {
        // A browser that has a cookie already, and one whose first request this is.
        for mut browser in [Browser { origin, ..Browser::default() }, {
            let mut known = Browser { origin, ..Browser::default() };
            known.get(&world, &link).await;
            known
        }] {
            for (path, form) in [("authorize", "scheme=oauth2"), ("key", key.as_str())] {
                let answer = browser.post(&world, &format!("{link}/{path}"), form).await;
                assert!(page(&answer, 403).contains("Open your link again"), "{path}");
            }
            for path in ["start", "submit"] {
                let answer = browser.tell(&world, &format!("{link}/{path}"), &body).await;
                answer.problem(403, "cross_site");
            }
        }
    }
    // Nobody has gone on with the link by that.
    let mut browser = Browser::default();
    browser.get(&world, &link).await;
    page(&browser.post(&world, &format!("{link}/key"), &key).await, 200);
}

async fn the_customer_may_choose_the_app(database: TestDatabase) {
    let world = World::new(database).await;
    let body = json!({ "customer": "ada" });
    let made = world.post("/api/v1/connect-sessions", &body).await.ok();
    let url: url::Url = made.text("connect_url").parse().unwrap();
    let link = url.path();
    let shown = world.get(&format!("/api/v1/connect-sessions/{}", made.text("id"))).await.ok();
    assert_eq!((&shown["app"], &shown["name"]), (&Value::Null, &Value::Null));
    let mut browser = Browser::default();
    let all = browser.get(&world, link).await;
    assert!(page(&all, 200).contains("href=\"?plain&amp;app=demo\""), "{}", all.html());
    let chosen = browser.ask(&world, &format!("{link}?plain&app=demo")).await;
    assert!(page(&chosen, 200).contains("name=\"app\" value=\"demo\""));
    let unknown = browser.ask(&world, &format!("{link}?plain&app=%3Cscript%3E")).await;
    assert!(!page(&unknown, 400).contains("<script"));
    let form = format!("app=demo&scheme=api_key&api_key={}", world.demo.api_key());
    let to = format!("{link}/key");
    let none = browser.post(&world, &to, form.trim_start_matches("app=demo&")).await;
    assert!(page(&none, 400).contains("Choose the app"));
    page(&browser.post(&world, &to, &form).await, 200);
}

async fn a_page_with_a_script_asks_for_the_same(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let (_, link) = world.session(json!({ "name": "crm" })).await;
    let mut browser = Browser::default();
    let view = browser.ask(&world, &format!("{link}/session")).await;
    assert!(view.header("set-cookie").starts_with("causeway_connect_8400=cwb_"));
    let view = view.ok();
    assert_eq!((&view["customer"], &view["reconnect"]), (&json!("ada@acme"), &Value::Null));
    let schemes: Vec<(String, String)> = view["app"]["schemes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| (way.text("scheme"), way.text("how")))
        .collect();
    let wanted = [("oauth2", "browser"), ("api_key", "keys"), ("basic", "keys")];
    assert_eq!(schemes, wanted.map(|(scheme, how)| (scheme.to_owned(), how.to_owned())));
    let field = &view["app"]["schemes"][1]["fields"][0];
    assert_eq!((field.text("name"), &field["secret"]), ("api_key".into(), &json!(true)));

    let progress = format!("{link}/progress");
    assert_eq!(browser.ask(&world, &progress).await.ok(), json!({ "state": "open" }));
    let started =
        browser.tell(&world, &format!("{link}/start"), &json!({ "scheme": "oauth2" })).await.ok();
    assert_eq!(started.text("kind"), "redirect");
    assert!(started.text("url").starts_with(world.demo.url()), "{started}");
    let waiting = browser.ask(&world, &progress).await.ok();
    assert_eq!(waiting, json!({ "state": "waiting", "device": null }));
    // From now on it is this browser's alone.
    let mut other = Browser::default();
    for answer in [
        other.ask(&world, &format!("{link}/session")).await,
        other.ask(&world, &progress).await,
        other.tell(&world, &format!("{link}/start"), &json!({ "scheme": "oauth2" })).await,
    ] {
        assert!(answer.problem(404, "connect_link_spent").contains("another browser"));
    }
    let url: url::Url = started.text("url").parse().unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let denied = format!("/connect/callback?state={state}&error=access_denied");
    page(&browser.ask(&world, &denied).await, 400);
    let failed = browser.ask(&world, &progress).await.ok();
    assert_eq!(
        (failed.text("state"), failed.text("code")),
        ("failed".into(), "authorization_refused".into())
    );
    assert!(failed.text("detail").contains("Demo CRM did not grant access"), "{failed}");

    let submit = format!("{link}/submit");
    for (body, code, field) in [
        (json!({ "scheme": "api_key", "fields": {} }), "invalid_request", json!("api_key")),
        (
            json!({ "scheme": "api_key", "fields": { "x": "y", "api_key": "a" } }),
            "invalid_request",
            json!("fields"),
        ),
        (
            json!({ "scheme": "api_key", "fields": { "api_key": "wrong" } }),
            "credential_refused",
            Value::Null,
        ),
        (json!({ "scheme": "mcp" }), "unsupported_scheme", Value::Null),
        (json!({ "scheme": "magic" }), "invalid_request", Value::Null),
        (json!({ "scheme": "api_key", "more": 1 }), "invalid_request", Value::Null),
        (json!({}), "invalid_request", Value::Null),
    ] {
        let answer = browser.tell(&world, &submit, &body).await;
        answer.problem(400, code);
        assert_eq!(answer.json()["field"], field, "{body}");
    }
    let good = json!({ "scheme": "api_key", "fields": { "api_key": world.demo.api_key() } });
    let done = browser.tell(&world, &submit, &good).await.ok();
    assert_eq!((done.text("name"), done.text("app_name")), ("crm".into(), "Demo CRM".into()));
    let connected = browser.ask(&world, &progress).await.ok();
    assert_eq!(connected["connection"]["id"], done["id"]);
    other.ask(&world, &progress).await.problem(404, "connect_link_spent");
    browser.tell(&world, &submit, &good).await.problem(404, "connect_link_spent");
    for path in ["session", "progress"] {
        let unknown = browser.ask(&world, &format!("/connect/cwl_x/{path}")).await;
        unknown.problem(404, "connect_link_spent");
    }
}

async fn failures_lead_where_the_company_says(database: TestDatabase) {
    let world = World::new(database).await;
    world.oauth_client().await;
    let urls = json!({
        "return_url": "https://app.example/done", "error_url": "https://app.example/failed?x=1",
    });
    let (_, link) = world.session(urls).await;
    let mut browser = Browser::default();
    browser.get(&world, &link).await;
    let state = async |browser: &mut Browser, popup: bool| {
        let start = json!({ "scheme": "oauth2", "popup": popup });
        let started = browser.tell(&world, &format!("{link}/start"), &start).await.ok();
        let url: url::Url = started.text("url").parse().unwrap();
        url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned()
    };
    let own = state(&mut browser, false).await;
    let denied = format!("/connect/callback?state={own}&error=access_denied");
    let answer = browser.ask(&world, &denied).await;
    let to = "https://app.example/failed?x=1&error=authorization_refused";
    assert_eq!((answer.status, answer.header("location")), (303, to));
    // Nothing of a query leads anywhere: another state, another browser, a page of one's own.
    for query in ["state=x&error=e", "error_url=https://evil.example/&error=e"] {
        let answer = browser.ask(&world, &format!("/connect/callback?{query}")).await;
        page(&answer, 400);
        assert_eq!(answer.header("location"), "");
    }
    page(&Browser::default().ask(&world, &denied).await, 400);
    // A window of its own ends with a page.
    let own = state(&mut browser, true).await;
    let denied = format!("/connect/callback?state={own}&error=access_denied");
    page(&browser.ask(&world, &denied).await, 400);
}

async fn settings_are_shown_and_set(database: TestDatabase) {
    let world = World::new(database).await;
    let path = "/api/v1/connect-settings";
    let usual = world.get(path).await.ok();
    assert_eq!((usual.text("company"), &usual["return_origins"]), (String::new(), &json!([])));
    let new = json!({
        "company": "Acme & <Co>", "support_email": "help@acme.example",
        "theme": { "accent": "#2f5af5", "appearance": "dark" },
        "return_origins": ["https://app.acme.example"],
    });
    let set = world.put(path, &new).await.ok();
    assert_eq!(
        (&set["credential_export"], &set["theme"]["appearance"]),
        (&json!(false), &json!("dark"))
    );
    assert_eq!(world.get(path).await.ok(), set);
    for bad in [
        json!({ "company": 1 }),
        json!({ "nope": 1 }),
        json!({ "theme": { "accent": "red" } }),
        json!({ "theme": { "logo_url": "http://a.example/" } }),
        json!({ "return_origins": ["https://app.acme.example/"] }),
    ] {
        world.put(path, &bad).await.problem(400, "invalid_request");
    }
    let (_, link) = world.session(json!({})).await;
    let mut browser = Browser::default();
    let html = browser.get(&world, &link).await;
    assert!(page(&html, 200).contains("For Acme &amp; &lt;Co&gt;."), "{}", html.html());
    assert!(html.html().contains("mailto:help@acme.example"));
    let view = browser.ask(&world, &format!("{link}/session")).await.ok();
    assert_eq!(
        (view.text("company"), view["theme"].text("accent")),
        ("Acme & <Co>".into(), "#2f5af5".into())
    );
    let body = json!({ "customer": "ada", "app": "demo", "return_url": "https://evil.example/" });
    let refused = world.post("/api/v1/connect-sessions", &body).await;
    assert!(refused.problem(400, "invalid_request").contains("return_origins"));
}

async fn the_clients_document_stands_at_its_id(database: TestDatabase) {
    let setup = Setup { public_url: "https://connect.example/causeway", ..Setup::default() };
    let world = World::with(database, setup).await;
    let path = format!("/oauth/client-metadata/{}", world.tenant.environment);
    let anybody = || Request::get(&path).body(Body::empty()).unwrap();
    let document = world.send(anybody()).await;
    assert_eq!(document.header("cache-control"), "max-age=3600");
    let document = document.ok();
    assert_eq!(document.text("client_id"), format!("https://connect.example/causeway{path}"));
    assert_eq!(
        document["redirect_uris"],
        json!(["https://connect.example/causeway/connect/callback"])
    );
    assert_eq!(document.text("token_endpoint_auth_method"), "none");
    assert_eq!(document.text("client_name"), "connect.example");
    world.put("/api/v1/connect-settings", &json!({ "company": "Acme" })).await.ok();
    assert_eq!(world.send(anybody()).await.ok().text("client_name"), "Acme");
    let none = Request::get("/oauth/client-metadata/x").body(Body::empty()).unwrap();
    world.send(none).await.problem(404, "not_found");
}
