//! Eight mistakes of others that concern connections. Each test is the attack that succeeds on the
//! design with the mistake, made on the real server, and it has to fail here.
//!
//! | Mistake | Whose it was | Test |
//! | --- | --- | --- |
//! | forged state: the state of a flow was JSON that nobody had signed, bound to no browser | Supaglue, `/oauth/connect` and `/oauth/callback` | [`a_forged_state_connects_nothing`], [`an_answer_in_another_browser_connects_nothing`] |
//! | token host in the state: `loginUrl` in it became the host that got the client's secret | Supaglue, `/oauth/callback` | [`no_parameter_moves_the_token_endpoint`] |
//! | open redirect: `returnUrl` came with the address and was followed | Supaglue, `/oauth/connect` | [`nobody_is_sent_where_the_company_did_not_say`] |
//! | absolute proxy path: axios ignores its base URL for one, so the token went to any host | Supaglue, passthrough | [`a_proxied_path_leads_to_the_app_alone`] |
//! | missing lock: callers at once, or processes at once, spent one refresh token twice | Nango #1005 and #1016, n8n #30345 | [`a_hundred_callers_cause_one_exchange`] |
//! | secret in a GET: `GET /providers` and the export answered with secrets in clear | Supaglue; Airbyte #13210 | [`secrets::no_get_answers_with_a_secret`] |
//! | unsigned webhook: connections were told of by a POST without a signature, credentials in it | Supaglue, connection webhook | [`secrets::a_webhook_is_signed_and_holds_no_secret`] |
//! | retries of POST: a client that repeats what failed repeats writes that had happened | Supaglue's clients of apps: HubSpot's repeated twice inside three repeats of its own | [`a_write_reaches_the_app_once`] |
//!
//! Supaglue's are in its public source as it stood when the service ended; the numbers are issues
//! of the projects named.

mod secrets;

use crate::kit::{APP_KEY, APP_TOKEN, Browser, Home, PUBLIC_URL, Server, ThirdParty, eventually};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_types::{Clock as _, SystemClock};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::header::{AUTHORIZATION, LOCATION};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use url::Url;

on_both!(
    a_forged_state_connects_nothing,
    an_answer_in_another_browser_connects_nothing,
    no_parameter_moves_the_token_endpoint,
    nobody_is_sent_where_the_company_did_not_say,
    a_proxied_path_leads_to_the_app_alone,
    a_hundred_callers_cause_one_exchange,
    a_write_reaches_the_app_once,
);

/// An installation whose company has a client at the app.
async fn installed(database: TestDatabase, app: &ThirdParty) -> (Home, Server) {
    let mut home = Home::new(database);
    app.add_to(&mut home);
    let server = home.serve();
    app.set_client(&server).await;
    (home, server)
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no `{name}` in {url}")).1.into_owned()
}

/// The address that the app would send a browser back to.
fn way_back(asked: &Url, state: &str, more: &[(&str, &str)]) -> String {
    let mut back: Url = parameter(asked, "redirect_uri").parse().unwrap();
    back.query_pairs_mut()
        .append_pair("code", "canary-code-1")
        .append_pair("state", state)
        .extend_pairs(more);
    back.into()
}

async fn connections(server: &Server) -> Vec<Value> {
    server.get("connections").await["data"].as_array().unwrap().clone()
}

/// The state that Supaglue made and believed: what everybody knows of an application.
fn unsigned_state(home: &Home, login_url: &str) -> String {
    json!({
        "applicationId": home.made["project_id"], "customerId": "ada", "providerName": "thing",
        "scope": "a", "returnUrl": "https://evil.example/", "loginUrl": login_url,
    })
    .to_string()
}

async fn a_forged_state_connects_nothing(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (home, server) = installed(database, &app).await;
    let link = app.link(&server, "crm").await;
    let mut browser = Browser::new(&server);
    let asked = browser.press(&format!("{link}/authorize")).await;
    let real = parameter(&asked, "state");
    let (said, signature) = real.rsplit_once('.').unwrap();
    let unsigned = unsigned_state(&home, &app.url());
    for forged in [
        String::new(),
        unsigned.clone(),
        BASE64.encode(unsigned.as_bytes()),
        BASE64URL_NOPAD.encode(unsigned.as_bytes()),
        format!("{}.{signature}", BASE64URL_NOPAD.encode(unsigned.as_bytes())),
        said.to_owned(),
        format!("{said}."),
        format!("{said}.{}", "A".repeat(signature.len())),
        format!("x{real}"),
    ] {
        let (at, page) = browser.open(&way_back(&asked, &forged, &[])).await;
        assert_eq!(page.status, 400, "{forged}: {}", page.text());
        assert!(at.starts_with(PUBLIC_URL), "{forged}: {at}");
        assert!(page.text().contains("does not belong to a connection"), "{}", page.text());
    }
    assert!(app.received("POST /token").is_empty(), "no code was exchanged");
    assert!(connections(&server).await.is_empty());
    // All that was missing is the state.
    let (_, page) = browser.open(&way_back(&asked, &real, &[])).await;
    assert!(page.text().contains("Thing is connected"), "{}", page.text());
}

async fn an_answer_in_another_browser_connects_nothing(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (_home, server) = installed(database, &app).await;
    let (mut victim, mut attacker) = (Browser::new(&server), Browser::new(&server));
    let link = app.link(&server, "victims").await;
    let victims = victim.press(&format!("{link}/authorize")).await;
    let link = app.link(&server, "attackers").await;
    let attackers = attacker.press(&format!("{link}/authorize")).await;
    let back = |asked: &Url| way_back(asked, &parameter(asked, "state"), &[]);
    // The attacker's account into the victim's hands, and a code that was seen on its way.
    for (browser, answer) in [(&mut victim, &attackers), (&mut attacker, &victims)] {
        let (_, page) = browser.open(&back(answer)).await;
        assert_eq!(page.status, 400, "{}", page.text());
    }
    // A link that lies about whom it is for starts nothing from another site's page.
    let link = app.link(&server, "lured").await;
    let request =
        http::Request::post(server.url(link.strip_prefix(PUBLIC_URL).unwrap()) + "/authorize")
            .header("origin", "https://evil.example")
            .header("content-type", "application/x-www-form-urlencoded");
    let lured = server.send(request, "scheme=oauth2").await;
    assert_eq!((lured.status, lured.headers.get(LOCATION)), (403, None), "{}", lured.text());
    assert!(app.received("POST /token").is_empty());
    assert!(connections(&server).await.is_empty());
}

async fn no_parameter_moves_the_token_endpoint(database: TestDatabase) {
    let (app, evil) = (ThirdParty::start().await, ThirdParty::start().await);
    let (home, server) = installed(database, &app).await;
    let link = app.link(&server, "crm").await;
    let mut browser = Browser::new(&server);
    let (host, url) = (evil.host(), evil.url());
    // Every name by which apps or this design's ancestors say where to go on.
    let names = [
        "loginUrl",
        "login_url",
        "token_url",
        "token_endpoint",
        "redirect_uri",
        "api_domain",
        "accounts-server",
        "location",
        "instance_url",
        "shop",
        "domain",
        "subdomain",
        "host",
    ];
    let more: Vec<(&str, &str)> = names
        .iter()
        .flat_map(|name| [(*name, url.as_str())])
        .chain([("base", host.as_str())])
        .collect();
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&more).finish();
    let asked = browser.press(&format!("{link}/authorize?{query}")).await;
    assert!(asked.as_str().starts_with(&app.url()), "{asked}");
    assert!(!asked.as_str().contains(&host), "{asked}");

    let unsigned = unsigned_state(&home, &evil.url());
    for state in [unsigned.clone(), BASE64URL_NOPAD.encode(unsigned.as_bytes())] {
        assert_eq!(browser.open(&way_back(&asked, &state, &more)).await.1.status, 400);
    }
    let (_, page) = browser.open(&way_back(&asked, &parameter(&asked, "state"), &more)).await;
    assert!(page.text().contains("Thing is connected"), "{}", page.text());
    let exchanges = app.received("POST /token");
    assert_eq!(exchanges.len(), 1);
    assert!(exchanges[0].body.contains("client_secret=canary-"), "it went to the row's host");
    assert!(evil.received("").is_empty(), "{:?}", evil.received(""));
}

async fn nobody_is_sent_where_the_company_did_not_say(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (_home, server) = installed(database, &app).await;
    let evil = "https%3A%2F%2Fevil.example%2F";
    let query =
        format!("returnUrl={evil}&return_url={evil}&redirect={evil}&next={evil}&error_url={evil}");
    let link = app.link(&server, "crm").await;
    let mut browser = Browser::new(&server);
    for path in ["", "/authorize", "/key", "/waiting"] {
        // The browser of the kit would fail on its way to that host; so the answer is looked at.
        let url = server.url(&format!("{}{path}?{query}", link.strip_prefix(PUBLIC_URL).unwrap()));
        for method in ["GET", "POST"] {
            let request =
                http::Request::builder().method(method).uri(&url).header("origin", PUBLIC_URL);
            let answer = server.send(request, "").await;
            let to = answer.headers.get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
            assert!(to.as_ref().is_none_or(|to| !to.contains("evil")), "{method} {path}: {to:?}");
            assert!(!answer.text().contains("evil.example"), "{method} {path}");
        }
    }
    let asked = browser.press(&format!("{link}/authorize?{query}")).await;
    let state = parameter(&asked, "state");
    let more: Vec<(&str, &str)> = ["returnUrl", "return_url", "redirect", "next", "error_url"]
        .map(|name| (name, "https://evil.example/"))
        .into();
    for state in ["forged", &state] {
        let (at, page) = browser.open(&way_back(&asked, state, &more)).await;
        assert!(at.starts_with(PUBLIC_URL), "{at}");
        assert!(!page.text().contains("evil.example"), "{}", page.text());
    }

    // Even the company's own program cannot be talked into it: where customers go is listed.
    let settings = json!({ "return_origins": ["https://app.acme.example"] });
    let set = server.send(server.api("PUT", "connect-settings"), settings.to_string()).await;
    assert_eq!(set.status, 200, "{set:?}");
    for (url, status) in [
        ("https://app.acme.example/done?x=1", 201),
        ("https://evil.example/", 400),
        ("https://app.acme.example.evil.example/", 400),
        ("https://app.acme.example@evil.example/", 400),
        ("https://app.acme.example:8443/", 400),
        ("http://app.acme.example/", 400),
        ("//evil.example/", 400),
        ("javascript:alert(1)", 400),
    ] {
        for field in ["return_url", "error_url"] {
            let made = app.session(&server, json!({ field: url })).await;
            assert_eq!(made.status, status, "{field} {url}: {made:?}");
        }
    }
}

async fn a_proxied_path_leads_to_the_app_alone(database: TestDatabase) {
    let (app, evil) = (ThirdParty::start().await, ThirdParty::start().await);
    let (home, server) = installed(database, &app).await;
    app.connect_key(&server, "crm").await;
    app.connect(&server, "oauth").await;
    let (host, url) = (evil.host(), evil.url());
    let before = app.received("").len();
    for name in ["crm", "oauth"] {
        for path in [
            format!("/{url}/x"),
            format!("//{host}/x"),
            format!("///{host}/x"),
            format!("/%2F%2F{host}/x"),
            format!("/%5C%5C{host}/x"),
            format!("/..//{host}/x"),
            format!("/a/%2e%2e/%2e%2e//{host}/x"),
            format!("/@{host}/x"),
            format!("@{host}/x"),
            format!(":80@{host}/x"),
        ] {
            let answer = server.send(server.api("GET", &format!("proxy/{name}{path}")), "").await;
            let text = answer.text();
            assert!(!text.contains("canary-"), "{path}: {text}");
        }
        for target in [
            url.clone(),
            format!("{url}/x"),
            format!("//{host}/x"),
            format!("{}@{host}/", app.url()),
        ] {
            let request =
                server.api("GET", &format!("proxy/{name}")).header("causeway-proxy-url", &target);
            let answer = server.send(request, "").await;
            assert!(matches!(answer.status, 400 | 403), "{target}: {answer:?}");
        }
    }
    // The same through the contract of Pipedream, whose target is a URL in base64.
    let (token, account) = pipedream(&home, &server).await;
    for target in [format!("{url}/x"), format!("//{host}/x"), format!("{}@{host}/", app.url())] {
        let target = BASE64URL_NOPAD.encode(target.as_bytes());
        let project = home.made["project_id"].as_str().unwrap();
        let path = format!(
            "/v1/connect/{project}/proxy/{target}?external_user_id=ada&account_id={account}"
        );
        let request = http::Request::get(server.url(&path))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .header("x-pd-environment", "production");
        let answer = server.send(request, "").await;
        assert!(matches!(answer.status, 400 | 403), "{target}: {answer:?}");
    }
    assert!(evil.received("").is_empty(), "{:?}", evil.received(""));
    // What the app itself was sent stayed on paths of the app.
    for one in app.received("").split_off(before) {
        assert!(one.line.starts_with("GET /"), "{}", one.line);
    }

    // A redirect is the caller's to follow, without the credential.
    let answer = server.send(server.api("GET", &format!("proxy/crm/away?{url}/x")), "").await;
    assert_eq!(
        (answer.status, answer.headers[LOCATION].to_str().unwrap()),
        (302, &*format!("{url}/x"))
    );
    assert!(evil.received("").is_empty());
    // And the right path works, with the credential.
    let answer = server.send(server.api("GET", "proxy/crm/things"), "").await;
    assert_eq!(answer.json()["saw"], "GET /things");
    assert!(app.received("GET /things")[0].text.contains(APP_KEY));
}

/// An access token for the contract of Pipedream, and the id of a connection there.
async fn pipedream(home: &Home, server: &Server) -> (String, String) {
    let body = json!({
        "grant_type": "client_credentials", "client_id": home.made["client_id"],
        "client_secret": home.made["client_secret"],
    });
    let request = http::Request::post(server.url("/v1/oauth/token"))
        .header("content-type", "application/json");
    let token = server.send(request, body.to_string()).await.json()["access_token"].clone();
    let token = token.as_str().unwrap().to_owned();
    let project = home.made["project_id"].as_str().unwrap();
    let request = http::Request::get(server.url(&format!("/v1/connect/{project}/accounts")))
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header("x-pd-environment", "production");
    let listed = server.send(request, "").await.json();
    (token, listed["data"][0]["id"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned())
}

async fn a_hundred_callers_cause_one_exchange(database: TestDatabase) {
    let app = ThirdParty::with_first_life(1).await;
    let (home, server) = installed(database, &app).await;
    // Two processes where the database allows it; one with its own memory only is the easier case.
    let is_shared = home.database.url.starts_with("postgres");
    let servers = if is_shared { vec![home.serve_another(), server] } else { vec![server] };
    app.connect(&servers[0], "crm").await;
    let listed = connections(&servers[0]).await;
    // Times are written in one form, so they compare as texts.
    let expires = listed[0]["expires_at"].as_str().unwrap();
    eventually("the token to expire", async || {
        (SystemClock.now().to_string().as_str() > expires).then_some(())
    })
    .await;

    let mut callers = JoinSet::new();
    for number in 0..100 {
        let server = &servers[number % servers.len()];
        callers.spawn(server.sending(server.api("GET", &format!("proxy/crm/things/{number}")), ""));
    }
    for answer in callers.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let exchanges: Vec<String> = app
        .received("POST /token")
        .into_iter()
        .filter(|one| one.body.contains("grant_type=refresh_token"))
        .map(|one| one.body)
        .collect();
    assert_eq!(exchanges.len(), 1, "{exchanges:#?}");
    assert!(exchanges[0].contains(&format!("refresh_token={APP_TOKEN}refresh-1")), "{exchanges:?}");
    let calls = app.received("GET /things/");
    assert_eq!(calls.len(), 100);
    let new = format!("{APP_TOKEN}access-2");
    assert!(calls.iter().all(|one| one.text.contains(&new)), "all called with the new token");
}

async fn a_write_reaches_the_app_once(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (_home, server) = installed(database, &app).await;
    app.connect(&server, "crm").await;
    // What is kept to be sent again after a 401, and what is passed on while it arrives.
    for (size, key) in [(16, None), (300 * 1024, None), (16, Some("order-7"))] {
        for method in ["POST", "PATCH", "PUT", "DELETE"] {
            let line = format!("{method} /break?{size}-{}", key.is_some());
            let path = line.split('/').nth(1).unwrap();
            let mut request = server.api(method, &format!("proxy/crm/{path}"));
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            let answer = server.send(request, vec![b' '; size]).await;
            assert_eq!(answer.status, 502, "{line}: {answer:?}");
            assert_eq!(answer.json()["type"], "/problems/upstream_failed", "{answer:?}");
            let seen = app.received(&line);
            assert_eq!(seen.len(), 1, "{line}: the app had it, and may have done it");
            assert_eq!(seen[0].body.matches(' ').count(), size, "{line}: all of it");
            let sent = seen[0].text.contains("order-7");
            assert_eq!(sent, key.is_some(), "the key is the app's to judge");
        }
    }
    // A read changes nothing, and may be tried again.
    let answer = server.send(server.api("GET", "proxy/crm/break"), "").await;
    assert_eq!((answer.status, app.received("GET /break").len()), (502, 2));
}
