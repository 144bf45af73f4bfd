//! Secrets where everybody can read them: in answers to a GET, and in webhooks.

use super::installed;
use crate::kit::{
    APP_CLIENT_SECRET, APP_KEY, APP_TOKEN, Browser, Home, Needles, PUBLIC_URL, Server, ThirdParty,
};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::webhook_receiver::WebhookReceiver;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both!(no_get_answers_with_a_secret, a_webhook_is_signed_and_holds_no_secret);

/// Fewer GETs than this that answer would mean that the walk does not see what is there.
const ENOUGH: usize = 40;

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no `{field}`: {value:#}")).to_owned()
}

/// Posts to the native API what has to be taken.
async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let answer = server.send(server.api("POST", path), body.to_string()).await;
    assert_eq!(answer.status, 201, "{path}: {answer:?}");
    answer.json()
}

async fn no_get_answers_with_a_secret(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (home, server) = installed(database, &app).await;
    app.connect(&server, "oauth").await;
    app.connect_key(&server, "key").await;
    let session = app.session(&server, json!({ "name": "waiting" })).await.json();
    let link = text(&session, "connect_url");
    let endpoint = json!({ "url": format!("{}/hooks?token=canary-webhook-url-71c0", app.url()) });
    let endpoint = post(&server, "webhook-endpoints", &endpoint).await;
    let key = post(&server, "api-keys", &json!({ "name": "other" })).await;
    let client = post(&server, "machine-clients", &json!({ "name": "other" })).await;

    let secrets = [
        ("the client secret at the app", APP_CLIENT_SECRET.to_owned()),
        ("a customer's key", APP_KEY.to_owned()),
        ("a customer's access token", format!("{APP_TOKEN}access-1")),
        ("a customer's refresh token", format!("{APP_TOKEN}refresh-1")),
        ("the webhook secret", text(&endpoint, "secret").trim_start_matches("whsec_").to_owned()),
        ("the webhook URL's token", "canary-webhook-url-71c0".to_owned()),
        ("an API key", text(&key, "api_key")),
        ("the first API key", home.api_key().to_owned()),
        ("a machine client's secret", text(&client, "client_secret")),
        ("the first machine client's secret", text(&home.made, "client_secret")),
        ("the token of a link", link.rsplit_once('/').unwrap().1.to_owned()),
    ];
    let needles = Needles::new(secrets.iter().map(|(name, secret)| (*name, secret.as_str())));

    let mut walk = Walk { server: &server, needles: &needles, answered: 0, ids: BTreeMap::new() };
    walk.ids.insert("/api/v1/connect-sessions".into(), vec![text(&session, "id")]);
    walk.ids.insert("/api/v1/apps".into(), vec!["thing".into()]);
    walk.document(home.api_key()).await;
    walk.contract(&home).await;
    walk.pages(&link).await;
    assert!(walk.answered >= ENOUGH, "only {} GETs answered", walk.answered);
}

/// Asks for everything there is and searches the answers.
struct Walk<'a> {
    server: &'a Server,
    needles: &'a Needles,
    /// How many answers were of 200.
    answered: usize,
    /// The ids that a list showed, by its path.
    ids: BTreeMap<String, Vec<String>>,
}

impl Walk<'_> {
    async fn get(&mut self, bearer: Option<&str>, path: &str) -> (u16, Option<Value>) {
        let mut request = http::Request::get(self.server.url(path));
        if let Some(bearer) = bearer {
            request = request
                .header(AUTHORIZATION, format!("Bearer {bearer}"))
                .header("x-pd-environment", "production");
        }
        let answer = self.server.send(request, "").await;
        assert!(answer.status < 500, "{path}: {answer:?}");
        self.needles.assert_absent(&format!("GET {path}"), &answer.body);
        for (name, value) in &answer.headers {
            self.needles.assert_absent(&format!("{name} of GET {path}"), value.as_bytes());
        }
        self.answered += usize::from(answer.status == 200);
        (answer.status, serde_json::from_slice(&answer.body).ok())
    }

    /// Every GET of the document. Lists come first, because the ids that they show fill the others.
    async fn document(&mut self, key: &str) {
        let document = self.get(None, "/api/v1/openapi.json").await.1.unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut gets: Vec<&String> = paths
            .iter()
            .filter(|(_, item)| item.get("get").is_some())
            .map(|(path, _)| path)
            .collect();
        gets.sort_by_key(|path| path.matches('{').count());
        assert!(gets.len() > ENOUGH, "{gets:?}");
        for path in gets {
            let Some((list, rest)) = path.split_once("/{") else {
                // Without an invocation, this one does not end.
                let query = if path.ends_with("/tail") { "?invocation_id=none" } else { "" };
                let (_, shown) = self.get(Some(key), &format!("{path}{query}")).await;
                self.ids.insert(path.clone(), ids_in(&shown.unwrap_or_default()));
                continue;
            };
            let after = rest.split_once('}').unwrap().1;
            let mut known = self.ids.get(list).cloned().unwrap_or_default();
            // Whatever is not there is asked for too: its error says something as well.
            known.push("nothing".to_owned());
            for id in known {
                let path = format!("{list}/{id}{}", after.replace("{target}", "me"));
                self.get(Some(key), &path).await;
            }
        }
        for list in
            ["connections", "oauth-clients", "webhook-endpoints", "api-keys", "machine-clients"]
        {
            assert!(!self.ids[&format!("/api/v1/{list}")].is_empty(), "{list}: nothing to look at");
        }
    }

    /// The reads of Pipedream's contract, also those that ask for credentials by name.
    async fn contract(&mut self, home: &Home) {
        let (token, account) = super::pipedream(home, self.server).await;
        let project = text(&home.made, "project_id");
        let at = |path: &str| format!("/v1/connect/{project}/{path}");
        for path in [
            "accounts".to_owned(),
            format!("accounts/{account}"),
            "users".to_owned(),
            "users/ada/accounts".to_owned(),
            "apps".to_owned(),
            "apps/thing".to_owned(),
            "app_overrides".to_owned(),
            "oauth_apps".to_owned(),
            "webhook".to_owned(),
            "projects/info".to_owned(),
        ] {
            self.get(Some(&token), &at(&path)).await;
        }
        for path in ["accounts".to_owned(), format!("accounts/{account}")] {
            let asked = at(&format!("{path}?include_credentials=true"));
            let (status, _) = self.get(Some(&token), &asked).await;
            assert_eq!(status, 403, "{asked}: credentials are exported only where that is on");
        }
    }

    /// What browsers and machines may look at without a key.
    async fn pages(&mut self, link: &str) {
        let link = link.strip_prefix(PUBLIC_URL).unwrap();
        for path in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/problems",
            "/connect.js",
            "/auth/sign-in",
            "/schemas/app.json",
            "/.well-known/security.txt",
            "/.well-known/jwks.json",
        ] {
            self.get(None, path).await;
        }
        // The link's own pages hold its token; nothing else of it may be there.
        let mut browser = Browser::new(self.server);
        for path in [link.to_owned(), format!("{link}?plain"), format!("{link}/session")] {
            let (_, page) = browser.open(&format!("{PUBLIC_URL}{path}")).await;
            let token = link.rsplit_once('/').unwrap().1;
            let rest = page.text().replace(token, "");
            self.needles.assert_absent(&path, rest);
        }
    }
}

/// The ids in a list, whatever its shape.
fn ids_in(shown: &Value) -> Vec<String> {
    let items = ["data", "Resources"].into_iter().find_map(|name| shown[name].as_array());
    let ids = items.into_iter().flatten().filter_map(|one| one["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// The next request that the receiver got, and whether all the libraries believe it.
fn next(receiver: &mut WebhookReceiver) -> (Value, bool) {
    let got: Value = serde_json::from_str(&receiver.next_line().unwrap()).unwrap();
    let checks = got["checks"].as_array().unwrap();
    let is_believed = checks.iter().all(|check| check["verified"] == true);
    assert!(is_believed || checks.iter().all(|check| check["verified"] == false), "{got}");
    (got, is_believed)
}

async fn a_webhook_is_signed_and_holds_no_secret(database: TestDatabase) {
    let app = ThirdParty::start().await;
    let (_home, server) = installed(database, &app).await;
    let mut receiver = WebhookReceiver::node().unwrap();
    let url = format!("http://127.0.0.1:{}/hooks", receiver.port());
    let endpoint = post(&server, "webhook-endpoints", &json!({ "url": url })).await;
    let secret = text(&endpoint, "secret");
    receiver.expect_secret(&secret).unwrap();

    app.connect(&server, "crm").await;
    let (created, is_believed) = next(&mut receiver);
    assert!(is_believed, "{created}");
    let body: Value = serde_json::from_str(created["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["type"], "connection.created", "{body}");
    let id = text(&body["data"]["connection"], "id");
    let gone = server.send(server.api("DELETE", &format!("connections/{id}")), "").await;
    assert_eq!(gone.status, 204, "{gone:?}");
    let (revoked, is_believed) = next(&mut receiver);
    assert!(is_believed, "{revoked}");
    for told in [&created, &revoked] {
        let told = told.to_string();
        assert!(!told.contains("canary-"), "a credential was told: {told}");
        assert!(!told.contains(secret.trim_start_matches("whsec_")), "{told}");
    }

    // What anybody can send to the receiver: the body as Supaglue posted it, and a real message
    // with another customer in it under its own signature.
    let forged = created["body"].as_str().unwrap().replace("\"ada\"", "\"eve\"");
    assert_ne!(forged, created["body"].as_str().unwrap());
    for is_signed in [false, true] {
        let mut request = http::Request::post(&url).header("content-type", "application/json");
        for (name, value) in created["headers"].as_object().unwrap() {
            let is_its = name.starts_with("webhook-") || name.starts_with("svix-");
            if is_signed && is_its {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        assert_eq!(server.send(request, forged.clone()).await.status, 400);
        assert!(!next(&mut receiver).1, "a message of nobody was believed");
    }
}
