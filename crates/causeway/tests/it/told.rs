//! What the company is told when its customers connect, by the built server: events, to an endpoint
//! that checks them with the official libraries, and reports of connect tokens.

use crate::kit::{Browser, Home, Needles, PUBLIC_URL, Server, eventually};
use causeway_simulators::{DemoApp, DemoOptions};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::webhook_receiver::WebhookReceiver;
use serde_json::{Value, json};

on_both!(
    the_company_hears_that_a_customer_connects_and_that_it_ends,
    a_kill_between_commit_and_delivery_loses_nothing,
    a_token_is_reported_to_its_address_and_to_the_project,
);

/// The demo app, and its row in a folder of its own.
async fn demo() -> (DemoApp, tempfile::TempDir) {
    let back = format!("{PUBLIC_URL}/connect/callback").parse().unwrap();
    let options = DemoOptions { redirect_uris: vec![back], ..DemoOptions::default() };
    let demo = DemoApp::start(([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let apps = tempfile::tempdir().unwrap();
    std::fs::create_dir(apps.path().join("demo")).unwrap();
    std::fs::write(apps.path().join("demo/app.yaml"), demo.app_yaml()).unwrap();
    (demo, apps)
}

/// An installation that may reach the demo app and these receivers.
fn home(
    database: TestDatabase,
    (demo, apps): &(DemoApp, tempfile::TempDir),
    receivers: &[&WebhookReceiver],
) -> Home {
    let apps = format!("--apps-dir={}", apps.path().display());
    let mut home = Home::with_flags(database, &[&apps]);
    home.add_flag(allow(demo.address().port()));
    for receiver in receivers {
        home.add_flag(allow(receiver.port()));
    }
    home
}

fn allow(port: u16) -> String {
    format!("--net-allow=127.0.0.1/32:{port}")
}

fn set_client(home: &Home, server: &Server, demo: &DemoApp) {
    let file = home.path("client-secret");
    std::fs::write(&file, demo.client_secret()).unwrap();
    let (id, secret) = (demo.client_id(), format!("@{}", file.display()));
    let set = ["oauth-clients", "set", "--json", "--app=demo", "--client-id", &id];
    home.cli(server, &[&set[..], &["--client-secret", &secret]].concat()).json();
}

/// A customer goes to the app with a link and decides there; the page that it ends on.
async fn decide(browser: &mut Browser<'_>, link: &str, decision: &str) -> String {
    let (at, page) = browser.submit(&format!("{link}/authorize")).await;
    assert_eq!(page.status, 200, "{at}: {}", page.text());
    let (url, query) = at.split_once('?').unwrap();
    let (_, page) = browser.send_form(url, &format!("{query}&decision={decision}")).await;
    page.text()
}

/// A customer connects the demo app; the connection's id.
async fn connect(home: &Home, server: &Server, name: &str) -> String {
    let name = format!("--name={name}");
    let args = ["connect", "--json", "--app=demo", "--customer=ada@acme", &name];
    let session = home.cli(server, &args).json();
    let link = session["connect_url"].as_str().unwrap();
    let page = decide(&mut Browser::new(server), link, "allow").await;
    assert!(page.contains("is connected"), "{page}");
    let state = server.get(&format!("connect-sessions/{}", session["id"].as_str().unwrap())).await;
    state["connection_id"].as_str().unwrap().to_owned()
}

fn add_endpoint(home: &Home, server: &Server, receiver: &mut WebhookReceiver) -> String {
    let url = format!("http://127.0.0.1:{}/hooks", receiver.port());
    let made = home.cli(server, &["webhooks", "add", "--to", &url, "--json"]).json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    receiver.expect_secret(&secret).unwrap();
    secret
}

/// The next request that a receiver got, whose signature must be good; and its body.
fn received(receiver: &mut WebhookReceiver) -> (Value, Value) {
    let got: Value = serde_json::from_str(&receiver.next_line().unwrap()).unwrap();
    let checks = got["checks"].as_array().unwrap();
    assert!(!checks.is_empty() && checks.iter().all(|one| one["verified"] == true), "{checks:#?}");
    let body = serde_json::from_str(got["body"].as_str().unwrap()).unwrap();
    (got, body)
}

async fn the_company_hears_that_a_customer_connects_and_that_it_ends(database: TestDatabase) {
    let world = demo().await;
    let mut receiver = WebhookReceiver::node().unwrap();
    let home = home(database, &world, &[&receiver]);
    let server = home.serve();
    set_client(&home, &server, &world.0);
    add_endpoint(&home, &server, &mut receiver);
    let id = connect(&home, &server, "crm").await;
    let (got, body) = received(&mut receiver);
    let names: Vec<_> =
        got["checks"].as_array().unwrap().iter().map(|one| &one["library"]).collect();
    assert_eq!(names[0], "standardwebhooks");
    assert_eq!(body["type"], "connection.created");
    let data = &body["data"];
    assert_eq!(data["environment_id"], home.tenant().environment.to_string());
    assert_eq!(data["project_id"], home.tenant().project.to_string());
    assert_eq!(data["connection"]["id"], id);
    assert_eq!(
        (&data["connection"]["name"], &data["connection"]["app"], &data["connection"]["customer"]),
        (&json!("crm"), &json!("demo"), &json!("ada@acme"))
    );

    home.cli(&server, &["connections", "delete", &id]);
    let (_, body) = received(&mut receiver);
    assert_eq!(
        (&body["type"], &body["data"]["connection"]["id"]),
        (&json!("connection.revoked"), &json!(id))
    );
    let again = home.cli(&server, &["connections", "delete", &id]);
    assert!(!again.refusal().is_empty());
    let messages = home.cli(&server, &["webhooks", "messages", "--json"]).json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 2, "each is told once");
    server.stop();
}

/// The first server must not reach the receiver, so that whatever it tells is undelivered when it
/// is killed.
async fn a_kill_between_commit_and_delivery_loses_nothing(database: TestDatabase) {
    let world = demo().await;
    let mut receiver = WebhookReceiver::node().unwrap();
    let mut home = home(database, &world, &[]);
    let server = home.serve();
    set_client(&home, &server, &world.0);
    add_endpoint(&home, &server, &mut receiver);
    let mut told = vec![connect(&home, &server, "one").await, connect(&home, &server, "two").await];
    server.kill_9();
    home.add_flag(allow(receiver.port()));
    let server = home.serve();
    let mut heard = Vec::new();
    for _ in &told {
        let (_, body) = received(&mut receiver);
        assert_eq!(body["type"], "connection.created");
        heard.push(body["data"]["connection"]["id"].as_str().unwrap().to_owned());
    }
    told.sort();
    heard.sort();
    assert_eq!(heard, told);
    server.stop();
}

/// An operation of the Pipedream contract.
async fn operation(server: &Server, home: &Home, method: &str, path: &str, body: Value) -> Value {
    let project = home.tenant().project;
    let request = http::Request::builder()
        .method(method)
        .uri(server.url(&format!("/v1/connect/{project}/{path}")))
        .header("authorization", format!("Bearer {}", home.api_key()))
        .header("content-type", "application/json")
        .header("x-pd-environment", "production");
    let answer = server.send(request, body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn a_token_is_reported_to_its_address_and_to_the_project(database: TestDatabase) {
    let world = demo().await;
    let mut own = WebhookReceiver::node().unwrap();
    let mut project = WebhookReceiver::node().unwrap();
    let home = home(database, &world, &[&own, &project]);
    let server = home.serve_logging("info,causeway=trace");
    set_client(&home, &server, &world.0);
    let url = format!("http://127.0.0.1:{}/project", project.port());
    let set = operation(&server, &home, "PUT", "webhook", json!({ "url": url })).await;
    let key = set["signing_key"].as_str().unwrap().to_owned();
    project.expect_secret(&key).unwrap();
    let made = operation(
        &server,
        &home,
        "POST",
        "tokens",
        json!({
            "external_user_id": "ada@acme",
            "app_id": "demo",
            "webhook_uri": format!("http://127.0.0.1:{}/own?hint=canary-hint-7b2c", own.port()),
        }),
    )
    .await;
    let token = made["token"].as_str().unwrap();
    own.expect_secret(token).unwrap();
    let bare = token.strip_prefix("ctok_").unwrap();
    let link = format!("{PUBLIC_URL}/connect/cwl_{bare}");
    let mut browser = Browser::new(&server);

    let page = decide(&mut browser, &link, "deny").await;
    assert!(page.contains("did not grant access"), "{page}");
    for (receiver, path) in [(&mut own, "/own?hint=canary-hint-7b2c"), (&mut project, "/project")] {
        let (got, body) = received(receiver);
        assert_eq!(got["path"], path);
        assert_eq!(body["event"], "CONNECTION_ERROR");
        assert_eq!(
            (&body["connect_token"], &body["environment"]),
            (&json!(token), &json!("production"))
        );
        assert!(body["connect_session_id"].is_u64(), "{body}");
        assert!(body["error"].as_str().unwrap().contains("did not grant access"), "{body}");
        assert_eq!(body.get("account"), None);
    }
    let page = decide(&mut browser, &link, "allow").await;
    assert!(page.contains("is connected"), "{page}");
    for receiver in [&mut own, &mut project] {
        let (got, body) = received(receiver);
        assert!(got["headers"]["webhook-id"].as_str().unwrap().starts_with("msg_"), "{got}");
        assert_eq!(body["event"], "CONNECTION_SUCCESS");
        assert_eq!(
            (&body["connect_token"], &body["environment"]),
            (&json!(token), &json!("production"))
        );
        let account = &body["account"];
        assert!(account["id"].as_str().unwrap().starts_with("apn_"), "{body}");
        assert_eq!(
            (&account["external_id"], &account["healthy"], &account["app"]["name_slug"]),
            (&json!("ada@acme"), &json!(true), &json!("demo"))
        );
        assert_eq!((body.get("error"), account.get("credentials")), (None, None));
    }
    let cli = |args: &[&str]| home.cli(&server, &[&["webhooks"], args, &["--json"]].concat());
    eventually("the deliveries are written down", async || {
        let all = cli(&["deliveries", "--state=delivered"]).json();
        (all["data"].as_array().unwrap().len() == 4).then_some(())
    })
    .await;
    let messages = cli(&["messages"]).stdout;
    assert!(messages.contains("CONNECTION_SUCCESS") && messages.contains("[redacted]"));

    let needles = Needles::new([
        ("the connect token", bare),
        ("the key of the project webhook", key.as_str()),
        ("the address of the token's receiver", "canary-hint-7b2c"),
    ]);
    needles.assert_absent("the CLI's `webhooks messages`", &messages);
    needles.assert_absent("the server's log", server.log());
    needles.assert_absent_at_rest(&home);
    server.stop();
}
