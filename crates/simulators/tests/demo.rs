//! The demo app as a provider: what a client of it may rely on, and that it fails as told.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here fails the test")]

use bytes::Bytes;
use causeway_net::{
    AllowedRange, Guard, GuardConfig, HttpClient, HttpConfig, HttpError, RequestLimits,
    SystemResolver,
};
use causeway_simulators::{DemoApp, DemoOptions, Fault};
use causeway_types::{ManualClock, Timestamp};
use http::{Request, StatusCode, header};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const CALLBACK: &str = "http://127.0.0.1:8400/oauth/callback";

struct Client {
    app: DemoApp,
    http: HttpClient,
}

struct Answer {
    status: StatusCode,
    location: Option<String>,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

impl Client {
    async fn start(options: DemoOptions) -> Self {
        let app = DemoApp::start(any_port(), options).await.unwrap();
        let allow = vec![AllowedRange::single(app.address().ip(), app.address().port())];
        let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
        Self { app, http: HttpClient::new(guard, &HttpConfig::default()).unwrap() }
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Answer, HttpError> {
        let limits = RequestLimits { max_redirects: 0, ..RequestLimits::default() };
        let response = self.http.request(request, limits).await?;
        let status = response.status();
        let location = response.headers().get(header::LOCATION);
        let location = location.map(|value| value.to_str().unwrap().to_owned());
        let text = String::from_utf8(response.bytes().await?.to_vec()).unwrap();
        Ok(Answer { status, location, text })
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("{}{path}", self.app.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Bytes::new()).unwrap()).await.unwrap()
    }

    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(format!("{}{path}", self.app.url()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .unwrap();
        self.send(request).await
    }

    fn query(&self, changes: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.app.client_id()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("scope", "crm.read crm.write".to_owned()),
            ("state", "st&te".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ];
        for (name, value) in changes {
            fields.retain(|(known, _)| known != name);
            fields.push((name, (*value).to_owned()));
        }
        fields
    }

    async fn ask(&self, changes: &[(&'static str, &str)]) -> Answer {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.query(changes))
            .finish();
        self.get(&format!("/oauth/authorize?{query}"), &[]).await
    }

    /// Consents as a browser would; gives what the redirect carries.
    async fn decide(
        &self,
        decision: &str,
        changes: &[(&'static str, &str)],
    ) -> Vec<(String, String)> {
        let mut fields = self.query(changes);
        fields.push(("decision", decision.to_owned()));
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = self.form("/oauth/authorize", &fields).await.unwrap();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
        let location = url::Url::parse(&answer.location.unwrap()).unwrap();
        assert!(location.as_str().starts_with(CALLBACK));
        location.query_pairs().into_owned().collect()
    }

    async fn code(&self) -> String {
        let answer = self.decide("allow", &[]).await;
        answer.into_iter().find(|(name, _)| name == "code").unwrap().1
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let (id, secret) = (self.app.client_id(), self.app.client_secret());
        let mut all = vec![("client_id", id.as_str()), ("client_secret", secret.as_str())];
        all.extend_from_slice(fields);
        self.form("/oauth/token", &all).await
    }

    async fn exchange(&self, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&fields).await.unwrap()
    }

    async fn try_refresh(&self, token: &str) -> Result<Answer, HttpError> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.try_refresh(token).await.unwrap()
    }

    /// A whole flow: access and refresh token.
    async fn connect(&self) -> (String, String) {
        tokens(&self.exchange(&self.code().await).await)
    }

    async fn me(&self, access: &str) -> StatusCode {
        self.get("/crm/me", &[("authorization", &format!("Bearer {access}"))]).await.status
    }
}

fn tokens(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let text = |name: &str| answer.json().get(name).unwrap().as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn assert_error(answer: &Answer, status: StatusCode, code: &str) {
    let body = answer.json();
    let error = body.get("error").and_then(Value::as_str);
    assert_eq!((answer.status, error), (status, Some(code)));
}

#[tokio::test]
async fn a_flow_gives_tokens_that_work() {
    let client = Client::start(DemoOptions::default()).await;
    let page = client.ask(&[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Connect") && page.text.contains("st&amp;te"), "{}", page.text);
    let back = client.decide("allow", &[]).await;
    assert!(back.contains(&("state".into(), "st&te".into())));
    assert!(back.contains(&("iss".into(), client.app.url().into())));
    let (access, _) = client.connect().await;
    let auth = [("authorization", &*format!("Bearer {access}"))];
    let info = client.get("/oauth/userinfo", &auth).await.json();
    assert_eq!(info["email"], "sales@northwind.example");
    let found = client.get("/crm/contacts?email=it%40redwood.example", &auth).await.json();
    assert_eq!(found["contacts"][0]["name"], "Integration Desk");
    let company = client.get("/crm/companies/redwood.example", &auth).await.json();
    assert_eq!(company["plan"], "enterprise");
    assert_eq!(client.get("/crm/companies/no.example", &auth).await.status, StatusCode::NOT_FOUND);
    let counters = client.app.counters();
    assert_eq!(counters.token_requests.authorization_code, 1);
    assert_eq!(counters.requests["GET /crm/companies/{domain}"], 2);
}

#[tokio::test]
async fn the_authorization_endpoint_checks_its_request() {
    let client = Client::start(DemoOptions::default()).await;
    for changes in [
        ("client_id", "other"),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://evil.example:8400/oauth/callback"),
        ("redirect_uri", "/relative"),
    ] {
        let refused = client.ask(&[changes]).await;
        assert_eq!((refused.status, refused.location), (StatusCode::BAD_REQUEST, None));
    }
    for (changes, error) in [
        (("response_type", "token"), "unsupported_response_type"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("scope", "crm.admin"), "invalid_scope"),
    ] {
        let back = client.decide("allow", &[changes]).await;
        assert!(back.contains(&("error".into(), error.into())), "{back:?}");
        assert!(!back.iter().any(|(name, _)| name == "code"));
    }
    let denied = client.decide("deny", &[]).await;
    assert!(denied.contains(&("error".into(), "access_denied".into())));
    let registered =
        DemoOptions { redirect_uris: vec![CALLBACK.parse().unwrap()], ..DemoOptions::default() };
    let strict = Client::start(registered).await;
    assert_eq!(strict.ask(&[]).await.status, StatusCode::OK);
    let other = [("redirect_uri", "http://127.0.0.1:8400/other")];
    assert_eq!(strict.ask(&other).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_code_is_good_once_for_its_client_verifier_and_redirect() {
    let client = Client::start(DemoOptions::default()).await;
    let invalid = (StatusCode::BAD_REQUEST, "invalid_grant");
    for (redirect, verifier) in [
        (CALLBACK, "wrong"),
        (CALLBACK, ""),
        (CALLBACK, CHALLENGE),
        ("http://127.0.0.1:8400/x", VERIFIER),
    ] {
        let code = client.code().await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier),
        ];
        assert_error(&client.token(&fields).await.unwrap(), invalid.0, invalid.1);
    }
    let code = client.code().await;
    let (access, refresh) = tokens(&client.exchange(&code).await);
    assert_error(&client.exchange(&code).await, invalid.0, invalid.1);
    // The second use has ended the grant (RFC 6749, section 4.1.2).
    assert_eq!(client.me(&access).await, StatusCode::UNAUTHORIZED);
    assert_error(&client.refresh(&refresh).await, invalid.0, invalid.1);
}

#[tokio::test]
async fn the_client_proves_itself() {
    let client = Client::start(DemoOptions {
        client_id: Some("cli:ent".into()),
        client_secret: Some("s %cret".into()),
        ..DemoOptions::default()
    })
    .await;
    let (_, refresh) = client.connect().await;
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let unknown = StatusCode::UNAUTHORIZED;
    assert_error(&client.form("/oauth/token", &fields).await.unwrap(), unknown, "invalid_client");
    let mut wrong = fields.to_vec();
    wrong.extend([("client_id", "cli:ent"), ("client_secret", "wrong")]);
    assert_error(&client.form("/oauth/token", &wrong).await.unwrap(), unknown, "invalid_client");
    // HTTP Basic: each half form-encoded, then base64.
    let basic = data_encoding::BASE64.encode(b"cli%3Aent:s+%25cret");
    let request = Request::post(format!("{}/oauth/token", client.app.url()))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::AUTHORIZATION, format!("Basic {basic}"))
        .body(format!("grant_type=refresh_token&refresh_token={refresh}").into())
        .unwrap();
    tokens(&client.send(request).await.unwrap());
    assert_error(
        &client.token(&[("grant_type", "password")]).await.unwrap(),
        StatusCode::BAD_REQUEST,
        "unsupported_grant_type",
    );
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_reuse_ends_the_grant() {
    let client = Client::start(DemoOptions::default()).await;
    let (other_access, _) = client.connect().await;
    let (first_access, first) = client.connect().await;
    let (second_access, second) = tokens(&client.refresh(&first).await);
    assert_ne!(first, second);
    assert_eq!(client.me(&first_access).await, StatusCode::OK);
    assert_error(&client.refresh(&first).await, StatusCode::BAD_REQUEST, "invalid_grant");
    assert_error(&client.refresh(&second).await, StatusCode::BAD_REQUEST, "invalid_grant");
    for ended in [first_access, second_access] {
        assert_eq!(client.me(&ended).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(client.me(&other_access).await, StatusCode::OK, "other grants live on");
    let counters = client.app.counters();
    assert_eq!((counters.refreshes, counters.reuse_detections), (1, 1));
    assert_eq!(counters.token_requests.refresh_token, 3);
}

#[tokio::test]
async fn a_lenient_provider_accepts_the_old_token_once_more() {
    let lenient = DemoOptions { accept_previous_token: true, ..DemoOptions::default() };
    let client = Client::start(lenient).await;
    let (_, first) = client.connect().await;
    // The answer to the first refresh is lost; the old token is sent again.
    let (_, lost) = tokens(&client.refresh(&first).await);
    let (_, second) = tokens(&client.refresh(&first).await);
    assert_error(&client.refresh(&lost).await, StatusCode::BAD_REQUEST, "invalid_grant");
    let (_, third) = tokens(&client.refresh(&second).await);
    // Two generations back is a reuse, here as everywhere.
    assert_error(&client.refresh(&first).await, StatusCode::BAD_REQUEST, "invalid_grant");
    assert_error(&client.refresh(&third).await, StatusCode::BAD_REQUEST, "invalid_grant");
    assert_eq!(client.app.counters().reuse_detections, 1);
}

#[tokio::test]
async fn access_tokens_and_codes_expire_by_the_clock() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_000_000)));
    let options = DemoOptions { clock: clock.clone(), ..DemoOptions::default() };
    let client = Client::start(options).await;
    let (access, refresh) = client.connect().await;
    let code = client.code().await;
    clock.advance(Duration::from_secs(599));
    assert_eq!(client.me(&access).await, StatusCode::OK);
    clock.advance(Duration::from_secs(1));
    assert_eq!(client.me(&access).await, StatusCode::UNAUTHORIZED);
    assert_error(&client.exchange(&code).await, StatusCode::BAD_REQUEST, "invalid_grant");
    let (access, _) = tokens(&client.refresh(&refresh).await);
    assert_eq!(client.me(&access).await, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_grant_is_gone() {
    let client = Client::start(DemoOptions::default()).await;
    let (id, secret) = (client.app.client_id(), client.app.client_secret());
    let (access, refresh) = client.connect().await;
    let client_fields = [("client_id", id.as_str()), ("client_secret", secret.as_str())];
    for token in [refresh.as_str(), refresh.as_str(), "unknown"] {
        let mut fields = client_fields.to_vec();
        fields.push(("token", token));
        let revoked = client.form("/oauth/revoke", &fields).await.unwrap();
        assert_eq!(revoked.status, StatusCode::OK);
    }
    assert_eq!(client.me(&access).await, StatusCode::UNAUTHORIZED);
    assert_eq!(client.app.counters().revocations, 1);
    let stranger = client.form("/oauth/revoke", &[("token", &access)]).await.unwrap();
    assert_error(&stranger, StatusCode::UNAUTHORIZED, "invalid_client");
}

#[tokio::test]
async fn token_requests_fail_as_told() {
    let client = Client::start(DemoOptions::default()).await;
    let (_, token) = client.connect().await;
    for (fault, status, code) in [
        (Fault::ServerError, StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        (Fault::InvalidGrant, StatusCode::BAD_REQUEST, "invalid_grant"),
    ] {
        client.app.faults().next_token_request(fault);
        assert_error(&client.refresh(&token).await, status, code);
    }
    client.app.faults().next_token_request(Fault::LoseRequest);
    let lost = client.try_refresh(&token).await.err().unwrap();
    assert_eq!(lost.code(), "egress_exchange");
    assert_eq!(client.app.counters().refreshes, 0);
    // None of them has spent the token.
    let (_, second) = tokens(&client.refresh(&token).await);
    client.app.faults().next_token_request(Fault::LoseAnswer);
    let lost = client.try_refresh(&second).await.err().unwrap();
    assert!(lost.may_have_been_sent());
    assert_eq!(client.app.counters().refreshes, 2, "this one has");
    assert_error(&client.refresh(&second).await, StatusCode::BAD_REQUEST, "invalid_grant");
    assert_eq!(client.app.counters().reuse_detections, 1);
}

#[tokio::test]
async fn requests_and_answers_are_held_until_released() {
    let client = Client::start(DemoOptions::default()).await;
    let (_, token) = client.connect().await;
    let held = client.app.faults().next_token_request(Fault::HoldRequest);
    let release = async {
        held.arrived().await;
        assert_eq!((client.app.counters().refreshes, client.app.faults().holding()), (0, 1));
        held.release();
    };
    let (answer, ()) = tokio::join!(client.refresh(&token), release);
    let (_, token) = tokens(&answer);
    let held = client.app.faults().next_token_request(Fault::HoldAnswer);
    let release = async {
        held.arrived().await;
        assert_eq!(client.app.counters().refreshes, 2, "rotated, but not yet answered");
        held.release();
    };
    let (answer, ()) = tokio::join!(client.refresh(&token), release);
    tokens(&answer);
    assert_eq!(client.app.faults().holding(), 0);
}

#[tokio::test]
async fn other_programs_read_the_counters_and_set_the_faults() {
    let client = Client::start(DemoOptions::default()).await;
    let (_, token) = client.connect().await;
    let set = |method: &str, body: &'static str| {
        Request::builder()
            .method(method)
            .uri(format!("{}/_sim/faults", client.app.url()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap()
    };
    let added = client.send(set("POST", r#"{"fault":"server_error"}"#)).await.unwrap();
    assert_eq!(added.status, StatusCode::NO_CONTENT);
    let wrong = client.send(set("POST", r#"{"fault":"explode"}"#)).await.unwrap();
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(client.refresh(&token).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    client.send(set("POST", r#"{"fault":"hold_request"}"#)).await.unwrap();
    assert_eq!(client.get("/_sim/faults", &[]).await.json()["pending"], 1);
    client.send(set("DELETE", "")).await.unwrap();
    tokens(&client.refresh(&token).await);
    let counters = client.get("/_sim/counters", &[]).await.json();
    assert_eq!(counters["token_requests"]["refresh_token"], 2);
    assert_eq!(counters["refreshes"], 1);
    assert_eq!(counters["requests"].as_object().unwrap().get("GET /_sim/counters"), None);
}

#[tokio::test]
async fn the_crm_takes_every_kind_of_credential_and_no_other() {
    let client = Client::start(DemoOptions::default()).await;
    let key = client.app.api_key();
    let basic = |user: &str, password: &str| {
        format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes()))
    };
    let (access, _) = client.connect().await;
    for (name, value, kind) in [
        ("authorization", format!("Bearer {access}"), "oauth2"),
        ("x-api-key", key.clone(), "api_key"),
        ("authorization", basic("demo", &key), "basic"),
    ] {
        let answer = client.get("/crm/me", &[(name, &value)]).await;
        assert_eq!(answer.json()["authenticated_by"], kind);
    }
    for (name, value) in [
        ("accept", "*/*".to_owned()),
        ("authorization", "Bearer x".to_owned()),
        ("authorization", access),
        ("x-api-key", "x".to_owned()),
        ("authorization", basic("eve", &key)),
        ("authorization", basic("demo", "x")),
    ] {
        let refused = client.get("/crm/me", &[(name, &value)]).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{name}: {value}");
        assert_eq!(refused.json()["error"]["code"], "invalid_token");
    }
}

#[tokio::test]
async fn contacts_are_added_once_by_those_who_may() {
    let client = Client::start(DemoOptions::default()).await;
    let add = |auth: &str, body: &'static str| {
        let request = Request::post(format!("{}/crm/contacts", client.app.url()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {auth}"))
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        client.send(request)
    };
    let contact = r#"{"email":"new@orchard.example","name":"New Person"}"#;
    let (access, _) = client.connect().await;
    let added = add(&access, contact).await.unwrap();
    assert_eq!(
        (added.status, added.json()["id"].as_str()),
        (StatusCode::CREATED, Some("contact-7"))
    );
    assert_eq!(add(&access, contact).await.unwrap().status, StatusCode::CONFLICT);
    for body in ["{", "[]", r#"{"email":"x@y"}"#, r#"{"email":"x","name":"y"}"#] {
        let refused = add(&access, body).await.unwrap();
        assert!(refused.status.is_client_error(), "{body}");
        assert!(refused.json()["error"]["message"].is_string(), "{body}");
    }
    let back = client.decide("allow", &[("scope", "crm.read")]).await;
    let code = back.into_iter().find(|(name, _)| name == "code").unwrap().1;
    let (reader, _) = tokens(&client.exchange(&code).await);
    let refused = add(&reader, contact).await.unwrap();
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_state_file_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.json");
    let options = || DemoOptions { state_file: Some(file.clone()), ..DemoOptions::default() };
    let client = Client::start(options()).await;
    let (access, refresh) = client.connect().await;
    let (id, secret) = (client.app.client_id(), client.app.client_secret());
    drop(client);
    let client = Client::start(options()).await;
    assert_eq!((client.app.client_id(), client.app.client_secret()), (id, secret));
    assert_eq!(client.me(&access).await, StatusCode::OK);
    tokens(&client.refresh(&refresh).await);
    drop(client);
    std::fs::write(&file, "{").unwrap();
    let refused = DemoApp::start(any_port(), options()).await.err().unwrap();
    assert!(refused.to_string().contains("delete it to start anew"), "{refused}");
}

#[tokio::test]
async fn it_is_not_reachable_from_elsewhere() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    assert!(DemoApp::start(everywhere, DemoOptions::default()).await.is_err());
    let client = Client::start(DemoOptions::default()).await;
    let taken = DemoApp::start(client.app.address(), DemoOptions::default()).await.err().unwrap();
    assert!(taken.to_string().contains("port taken"), "{taken}");
}

/// The row that tests give to Causeway is one that the catalogue takes.
#[tokio::test]
async fn its_row_fits_the_catalogue() {
    let client = Client::start(DemoOptions::default()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("demo")).unwrap();
    std::fs::write(folder.path().join("demo/app.yaml"), client.app.app_yaml()).unwrap();
    let catalog = causeway_catalog::Catalog::load(Some(folder.path())).unwrap();
    let row = catalog.get("demo").unwrap();
    let token_url = row.auth.oauth2.as_ref().unwrap().token_url.as_str();
    assert_eq!(token_url, format!("{}/oauth/token", client.app.url()));
    let verify = row.verify.url.as_fixed().unwrap();
    assert!(row.may_receive(&verify, |_| None));
}
