use super::*;
use crate::credential::Stored;
use causeway_catalog::{BodyForm, Catalog, ClientAuth, TokenAnswer};
use causeway_types::OsRandom;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::header::AUTHORIZATION;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load(None).unwrap());

fn row(app: &str) -> TokenAnswer {
    CATALOG.get(app).unwrap().auth.oauth2.clone().unwrap().answer
}

fn answer_row(json: Value) -> TokenAnswer {
    serde_json::from_value(json).unwrap()
}

fn answer(status: u16, body: &str) -> RawAnswer {
    RawAnswer {
        status,
        retry_after: None,
        content_type: None,
        received_at: Timestamp::from_micros(0),
        body: SecretBytes::new(body.as_bytes().to_vec()),
    }
}

fn seconds_of(granted: &answer::Granted) -> Option<u64> {
    granted.expires_at.map(Timestamp::as_secs)
}

fn client(id: &str, secret: &str) -> Client {
    Client::new(id.into(), SecretString::new(secret.into()))
}

const MOMENT: Moment<'static> =
    Moment { now: Timestamp::from_micros(1_700_000_000_000_000), random: &OsRandom };

#[test]
fn the_example_of_rfc_6749_section_5_1_reads() {
    let body = r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example",
        "expires_in":3600,"refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA","example_parameter":"x"}"#;
    let granted = answer(200, body).read(&row("demo"), true).ok().unwrap();
    assert_eq!(granted.access.expose(), "2YotnFZFEjr1zCsicMWpAA");
    assert_eq!(granted.refresh.as_ref().unwrap().expose(), "tGzv3JOkF0XG5Qx2TlKWIA");
    assert_eq!((seconds_of(&granted), granted.scope), (Some(3600), None));
}

#[test]
fn lifetimes_come_in_several_forms() {
    for (form, written, read) in [
        ("seconds", "3600", Some(3600)),
        ("seconds", "\"3600\"", Some(3600)),
        ("seconds", "3599.9", Some(3599)),
        ("seconds", "0", None),
        ("seconds", "null", None),
        ("seconds", "-1", None),
        ("seconds", "\"soon\"", None),
        ("seconds", "18446744073709551615", Some(10 * 365 * 24 * 3600)),
        ("milliseconds", "3600000", Some(3600)),
        ("epoch_seconds", "1000", Some(1000)),
        ("epoch_milliseconds", "\"1000000\"", Some(1000)),
        ("rfc3339", "\"1970-01-01T00:16:40Z\"", Some(1000)),
        ("rfc3339", "\"1970-01-01T02:16:40.5+02:00\"", Some(1000)),
        ("rfc3339", "\"tomorrow\"", None),
    ] {
        let row = answer_row(json!({ "expiry": form, "expires_in": "end" }));
        let body = format!(r#"{{"access_token":"a","end":{written}}}"#);
        let granted = answer(200, &body).read(&row, false).ok().unwrap();
        assert_eq!(seconds_of(&granted), read, "{form} {written}");
    }
    // One that is over already is over, not endless.
    let row = answer_row(json!({ "expiry": "epoch_seconds" }));
    let mut late = answer(200, r#"{"access_token":"a","expires_in":5}"#);
    late.received_at = Timestamp::from_micros(10_000_000);
    assert_eq!(seconds_of(&late.read(&row, false).ok().unwrap()), Some(10));
    let own = answer_row(json!({ "default_expires_in": 3600 }));
    let granted = answer(200, r#"{"access_token":"a"}"#).read(&own, false).ok().unwrap();
    assert_eq!(seconds_of(&granted), Some(3600), "the row's own lifetime");
}

#[test]
fn names_and_places_are_the_rows() {
    let row = answer_row(json!({
        "at": "/authed_user/x~1y",
        "access_token": "token",
        "refresh_token": "renewal",
        "scope": "permissions",
    }));
    let nested = r#"{"ok":true,"token":"outer","authed_user":{"x/y":{
        "token":"inner","renewal":"r","permissions":["a","b c"]}}}"#;
    let within = answer(200, nested).read(&row, true).ok().unwrap();
    assert_eq!(within.access.expose(), "inner");
    assert_eq!(within.refresh.unwrap().expose(), "r");
    assert_eq!(within.scope.as_deref(), Some("a b c"));
    assert_eq!(answer(200, nested).read(&row, false).ok().unwrap().access.expose(), "outer");
    let missing = answer(200, r#"{"token":"outer"}"#).read(&row, true).err().unwrap();
    assert_eq!(missing.sentence(), "the app answered with status 200 and no token");
}

/// An app whose hosts are these, in YAML.
fn app(hosts: &str) -> App {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let row = format!(
        "slug: x\nname: X\ndescription: A test.\ndocs: https://example.com/\ncategories: [crm]\n\
         hosts: {hosts}\nauth:\n  basic: {{ docs: https://example.com/ }}\nverify:\n  \
         url: https://api.example.com/me\napi:\n  base_url: https://api.example.com\n"
    );
    std::fs::write(folder.path().join("x/app.yaml"), &row).unwrap();
    App::clone(&Catalog::load(Some(folder.path())).unwrap().get("x").unwrap())
}

#[test]
fn what_the_row_keeps_is_kept_and_hosts_are_checked() {
    let row = answer_row(json!({ "keep": {
        "instance": { "at": "/instance_url", "part": "host" },
        "team": { "at": "/teams/0/id" },
        "absent": { "at": "/nowhere" },
        "object": { "at": "/teams" },
    }}));
    let app = app("[api.example.com, '*.my.example.com']");
    let read = |instance: &str, old: Stored, lenient| {
        let body = json!({ "access_token": "a", "instance_url": instance, "teams": [{ "id": 7 }] });
        let granted = answer(200, &body.to_string()).read(&row, false).ok().unwrap();
        stored(&app, old, granted, 200, lenient)
    };
    let good = read("https://eu7.my.example.com/", Stored::default(), false).ok().unwrap();
    assert_eq!(good.value("instance"), Some("eu7.my.example.com"));
    assert_eq!(
        (good.value("team"), good.value("absent"), good.value("object")),
        (Some("7"), None, None)
    );
    let bare = read("eu7.my.example.com", Stored::default(), false).ok().unwrap();
    assert_eq!(bare.value("instance"), Some("eu7.my.example.com"));
    for bad in [
        "https://evil.example.org/",
        "https://eu7.my.example.com:8443/",
        "https://my.example.com.evil.org",
    ] {
        let refused = read(bad, Stored::default(), false).err().unwrap();
        assert!(
            refused.sentence().contains("to which its row does not let"),
            "{}",
            refused.sentence()
        );
        assert!(refused.advice().contains("the app's row"), "{}", refused.advice());
        // Of a refresh, the token is worth more than a change of address.
        let fields = BTreeMap::from([("instance".into(), SecretString::new("old".into()))]);
        let kept = read(bad, Stored::of_fields(fields), true).ok().unwrap();
        assert_eq!((kept.value("instance"), kept.value("team")), (Some("old"), Some("7")));
    }
}

#[test]
fn refusals_are_told_from_troubles() {
    let demo = row("demo");
    let refused = |status, body: &str| answer(status, body).read(&demo, false).err().unwrap();
    let denied = ["invalid_grant"];
    assert!(refused(400, r#"{"error":"invalid_grant"}"#).says(&denied));
    assert!(refused(200, r#"{"error":"invalid_grant"}"#).says(&denied), "GitHub's way");
    for (status, body) in [
        (500, r#"{"error":"invalid_grant"}"#),
        (429, r#"{"error":"invalid_grant"}"#),
        (400, r#"{"error":"invalid_client"}"#),
        (400, "invalid_grant"),
        (302, ""),
        (200, "<html>"),
        (200, r#"{"access_token":""}"#),
        (200, r#"{"access_token":"line\nbreak"}"#),
        (200, r#"{"access_token":7}"#),
    ] {
        assert!(!refused(status, body).says(&denied), "{status} {body}");
    }
    let body = r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token"}"#;
    assert!(answer(400, body).read(&demo, false).err().unwrap().says(&["BAD_REFRESH_TOKEN"]));
}

#[test]
fn what_is_wrong_with_an_answer_is_told() {
    let sentence = |status, kind: Option<&str>, body: &str| {
        let mut answer = answer(status, body);
        answer.content_type = kind.map(answer::essence);
        answer.read(&row("demo"), false).err().unwrap().sentence()
    };
    let html = sentence(200, Some("text/html; charset=utf-8"), "<html>Sorry</html>");
    assert_eq!(html, "the app answered with status 200 and a web page instead of a token");
    let text = sentence(200, Some("text/plain"), "token=1");
    assert_eq!(text, "the app answered with status 200 and `text/plain` instead of a JSON object");
    let list = sentence(200, Some("application/json"), "[1]");
    assert_eq!(list, "the app answered with status 200 and something that is no JSON object");
    let moved = sentence(302, None, "");
    assert!(moved.starts_with("the app answered with a redirect (status 302)"), "{moved}");
    assert_eq!(sentence(200, None, "{}"), "the app answered with status 200 and no token");
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(16 * 1024 + 1));
    assert_eq!(sentence(200, None, &long), "the app gave a token of more than 16384 bytes");
    let long = format!(r#"{{"access_token":"a","refresh_token":"{}"}}"#, "x".repeat(16 * 1024 + 1));
    assert_eq!(sentence(200, None, &long), "the app gave a token of more than 16384 bytes");
    let odd = sentence(200, None, r#"{"access_token":"a\nb"}"#);
    assert_eq!(odd, "the app gave a token with characters that no HTTP header takes");
    // JSON is JSON, whatever the app calls it.
    let mut json = answer(200, r#"{"access_token":"a"}"#);
    json.content_type = Some("text/html".into());
    assert!(json.read(&row("demo"), false).is_ok());
}

#[test]
fn an_apps_words_are_shown_bounded_and_without_its_tokens() {
    let body = r#"{"error":"invalid_request","error_description":"bad\r\n<script>","access_token":"canary"}"#;
    let refused = answer(400, body).read(&row("demo"), false).err().unwrap();
    assert_eq!(refused.sentence(), "the app answered `invalid_request`: bad  <script>");
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(1000));
    assert!(answer(400, &long).read(&row("demo"), false).err().unwrap().sentence().len() < 100);
    assert_eq!(
        answer(502, "").read(&row("demo"), false).err().unwrap().sentence(),
        "the app answered with status 502 and no token"
    );
}

#[test]
fn a_kept_answer_reads_back() {
    let mut kept = answer(200, "{\"a\":\n1}");
    kept.retry_after = Some(Duration::from_secs(7));
    kept.content_type = Some("text/plain".into());
    let read = RawAnswer::from_opened(&SecretBytes::new(kept.to_bytes().to_vec())).unwrap();
    assert_eq!((read.status, read.retry_after), (200, kept.retry_after));
    assert_eq!((read.body.expose(), read.content_type), (kept.body.expose(), kept.content_type));
    assert!(RawAnswer::from_opened(&SecretBytes::new(b"no head".to_vec())).is_none());
    // As the first version kept them.
    let old = b"{\"status\":200,\"retry_after_s\":null,\"received_at_us\":1}\n{}";
    assert!(RawAnswer::from_opened(&SecretBytes::new(old.to_vec())).is_some());
}

fn proved(auth: ClientAuth, client: &Client, form: BodyForm) -> http::Request<bytes::Bytes> {
    let mut ask = Ask::post("https://app.example/token".parse().unwrap());
    ask.set("grant_type", "x");
    ask.prove(auth, "client_key", client, MOMENT).unwrap();
    ask.ready(form).unwrap().into_request()
}

#[test]
fn client_proofs_are_encoded_as_rfc_6749_says() {
    let odd = client("a:b c", "s%&é");
    let basic = proved(ClientAuth::Basic, &odd, BodyForm::Form);
    let header = basic.headers().get(AUTHORIZATION).unwrap();
    assert!(header.is_sensitive());
    let expected = format!("Basic {}", BASE64.encode(b"a%3Ab+c:s%25%26%C3%A9"));
    assert_eq!(
        (header.to_str().unwrap(), &basic.body()[..]),
        (expected.as_str(), &b"grant_type=x"[..])
    );
    let post = proved(ClientAuth::Post, &odd, BodyForm::Form);
    assert_eq!(post.body(), "grant_type=x&client_key=a%3Ab+c&client_secret=s%25%26%C3%A9");
    assert_eq!(post.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    let json = proved(ClientAuth::Post, &odd, BodyForm::Json);
    let body: Value = serde_json::from_slice(json.body()).unwrap();
    assert_eq!(body, json!({ "grant_type": "x", "client_key": "a:b c", "client_secret": "s%&é" }));
    assert_eq!(json.headers()[CONTENT_TYPE], "application/json");
    for auth in [ClientAuth::Basic, ClientAuth::Post, ClientAuth::PrivateKeyJwt, ClientAuth::None] {
        let public = proved(auth, &client("pub", ""), BodyForm::Form);
        assert!(public.headers().get(AUTHORIZATION).is_none());
        assert_eq!(public.body(), "grant_type=x&client_key=pub", "{auth:?}");
    }
}

#[test]
fn a_client_with_a_key_signs_who_it_is() {
    let pem = crate::jws::tests::pem(crate::jws::tests::Kind::P256);
    let request = proved(ClientAuth::PrivateKeyJwt, &client("me", &pem.private), BodyForm::Form);
    let fields: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.body()).into_owned().collect();
    assert_eq!(
        fields["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(!fields.contains_key("client_secret"));
    let claims = fields["client_assertion"].split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap();
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("me"), &json!("me")));
    assert_eq!(claims["aud"], "https://app.example/token");
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_700_000_000), &json!(1_700_000_120)));
    assert_eq!(claims["jti"].as_str().unwrap().len(), 32);
    let mut ask = Ask::post("https://app.example/token".parse().unwrap());
    let no_key = ask.prove(ClientAuth::PrivateKeyJwt, "client_id", &client("me", "s"), MOMENT);
    assert!(matches!(no_key.unwrap_err(), EndpointError::Key));
}

#[test]
fn a_row_may_want_much_of_a_token_request() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let row = "slug: x
name: X
description: A test.
docs: https://example.com/
categories: [crm]
hosts: ['{subdomain}.example.com']
fields:
  - { name: subdomain, label: Subdomain, format: label }
  - { name: region, label: Region, optional: true }
client_fields: [{ name: partner, label: Partner }]
auth:
  oauth2:
    docs: https://example.com/
    authorization_url: https://{subdomain}.example.com/authorize
    token_url: https://{subdomain}.example.com/token
    token_params: { tenant: 'at {subdomain}', region: '{region}' }
    token_headers: { X-Partner: '{partner}' }
    token_body: json
    client_auth: post
    client_id_param: client_key
    pkce: forbidden
    refresh:
      rotates: true
      url: https://{subdomain}.example.com/renew/{client_id}
      params: { old: '{oauth_refresh_token}' }
verify: { url: 'https://{subdomain}.example.com/me' }
api: { base_url: 'https://{subdomain}.example.com' }
";
    std::fs::write(folder.path().join("x/app.yaml"), row).unwrap();
    let app = App::clone(&Catalog::load(Some(folder.path())).unwrap().get("x").unwrap());
    let oauth2 = app.auth.oauth2.as_ref().unwrap();
    let mut own = client("me", "s3cret");
    own.fields.insert("partner".into(), SecretString::new("p".into()));
    let fields = BTreeMap::from([("subdomain".into(), SecretString::new("acme".into()))]);
    let held = Stored::of_fields(fields);
    let values = Values { stored: &held, client: Some(&own) };
    let asker = Asker { app: &app, scheme: Scheme::Oauth2, client: &own, values, moment: MOMENT };
    let token = SecretString::new("r1".into());
    let refresh = asker.prepare(oauth2, Grant::Refresh { token: &token }).unwrap().into_request();
    assert_eq!(refresh.uri(), "https://acme.example.com/renew/me");
    assert_eq!(refresh.headers()["x-partner"], "p");
    let body: Value = serde_json::from_slice(refresh.body()).unwrap();
    assert_eq!(
        body,
        json!({ "grant_type": "refresh_token", "refresh_token": "r1", "tenant": "at acme",
            "old": "r1", "client_key": "me", "client_secret": "s3cret" })
    );
    let code = Grant::Code { code: &token, redirect_uri: "https://here/", verifier: None };
    let code = asker.prepare(oauth2, code).unwrap().into_request();
    assert_eq!(code.uri(), "https://acme.example.com/token");
    let body: Value = serde_json::from_slice(code.body()).unwrap();
    assert_eq!((&body["code"], &body["old"]), (&json!("r1"), &Value::Null));
    let device = asker.prepare(oauth2, Grant::Device { code: &token }).unwrap().into_request();
    let body: Value = serde_json::from_slice(device.body()).unwrap();
    assert_eq!(body["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
    // Without the customer's value there is no address.
    let nothing = Stored::default();
    let asker = Asker { values: Values { stored: &nothing, client: Some(&own) }, ..asker };
    assert!(asker.prepare(oauth2, Grant::Device { code: &token }).is_err());
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(status in 100_u16..600, body in ".{0,80}") {
        let _ = answer(status, &body).read(&row("demo"), true);
        let _ = answer(status, &body).read(&row("slack"), true);
    }
}
