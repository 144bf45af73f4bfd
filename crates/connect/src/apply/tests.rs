use super::*;
use causeway_types::{OsRandom, SecretString};
use std::collections::BTreeMap;

const NOW: i64 = 1_445_412_480_000_000; // Wed, 21 Oct 2015 07:28:00 GMT

struct Request {
    method: http::Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Request {
    fn new(method: &str, url: &str, content_type: &str, body: &str) -> Self {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        Self {
            method: method.parse().unwrap(),
            url: url.parse().unwrap(),
            headers,
            body: Some(body.as_bytes().to_vec()),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn body(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }
}

/// An app that connects by this scheme, in YAML.
fn app(scheme: &str) -> App {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let row = format!(
        "slug: x\nname: X\ndescription: A test.\ndocs: https://example.com/\ncategories: [crm]\n\
         hosts: [api.example.com]\nauth:\n{scheme}\nverify:\n  url: https://api.example.com/me\n\
         api:\n  base_url: https://api.example.com\n"
    );
    std::fs::write(folder.path().join("x/app.yaml"), &row).unwrap();
    let catalog = causeway_catalog::Catalog::load(Some(folder.path())).unwrap();
    App::clone(&catalog.get("x").unwrap())
}

fn stored(fields: &[(&str, &str)]) -> Stored {
    let fields: BTreeMap<String, SecretString> =
        fields.iter().map(|(k, v)| ((*k).to_owned(), SecretString::new((*v).to_owned()))).collect();
    Stored::of_fields(fields)
}

fn put(
    app: &App,
    scheme: Scheme,
    stored: &Stored,
    request: &mut Request,
) -> Result<(), ApplyError> {
    let moment = Moment { now: Timestamp::from_micros(NOW), random: &OsRandom };
    let Request { method, url, headers, body } = request;
    let mut outgoing = Outgoing { method, url, headers, body: body.as_mut() };
    Applied { app, scheme, values: Values::of(stored), moment }.put_on(&mut outgoing)
}

const KEY: &str = "  api_key:
    docs: https://example.com/
    fields:
      - { name: api_key, label: Key }
      - { name: team, label: Team, secret: false, optional: true }
    send:
      headers: { X-Key: '{api_key}', X-Team: 'team {team}' }
      query: { key: '{api_key}' }
      body: { token: '{api_key}' }
      basic: { username: '{api_key}' }";

#[test]
fn a_key_goes_where_the_row_says() {
    let (app, stored) = (app(KEY), stored(&[("api_key", "k 1&\"")]));
    let json = "application/json; charset=utf-8";
    let mut request = Request::new(
        "POST",
        "https://api.example.com/a?b=c",
        json,
        r#"{"n":1e400,"token":"theirs"}"#,
    );
    put(&app, Scheme::ApiKey, &stored, &mut request).unwrap();
    assert_eq!(request.header("x-key"), "k 1&\"");
    assert!(request.headers["x-key"].is_sensitive());
    assert_eq!(request.header("x-team"), "", "an optional field that was left empty");
    assert_eq!(request.url.query(), Some("b=c&key=k+1%26%22"));
    assert_eq!(request.header("authorization"), "Basic ayAxJiI6");
    assert_eq!(request.body(), r#"{"n":1e400,"token":"k 1&\""}"#);
    let form = "application/x-www-form-urlencoded";
    let mut request = Request::new("POST", "https://api.example.com/a", form, "a=1&token=x&b=%20");
    put(&app, Scheme::ApiKey, &stored, &mut request).unwrap();
    assert_eq!(request.body(), "a=1&b=%20&token=k+1%26%22");
    // Without a body there is nothing to put it into.
    let mut request = Request::new("GET", "https://api.example.com/a", "", "");
    put(&app, Scheme::ApiKey, &stored, &mut request).unwrap();
    assert_eq!(request.body(), "");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let app = app(KEY);
    let refused = |fields: &[(&str, &str)], content_type: &str, body: Option<&str>| {
        let mut request = Request::new("POST", "https://api.example.com/", content_type, "");
        request.body = body.map(|text| text.as_bytes().to_vec());
        put(&app, Scheme::ApiKey, &stored(fields), &mut request).unwrap_err()
    };
    let good = [("api_key", "k")];
    let missing = refused(&[("team", "t")], "", Some(""));
    assert!(matches!(&missing, ApplyError::Missing { name } if name == "api_key"), "{missing}");
    assert!(matches!(refused(&[("api_key", "a\nb")], "", Some("")), ApplyError::Header));
    assert!(matches!(refused(&good, "text/plain", Some("x")), ApplyError::BodyForm));
    assert!(matches!(refused(&good, "application/json", Some("[1]")), ApplyError::BodyForm));
    let streamed = refused(&good, "application/json", None);
    assert!(matches!(streamed, ApplyError::Streamed));
    assert_eq!(streamed.code(), Code::InvalidRequest);
    assert!(streamed.public().contains("Content-Length"), "{}", streamed.public());
}

/// The message, key and result of RFC 4231, section 4.3, through a row.
#[test]
fn an_hmac_is_that_of_the_rfc() {
    let app = app("  signature:
    docs: https://example.com/
    fields: [{ name: key, label: Key }]
    hmac:
      algorithm: sha256
      key: key
      message: '{body}'
      send: { headers: { X-Signature: 'v1={signature}' } }");
    let mut request = Request::new(
        "POST",
        "https://api.example.com/",
        "text/plain",
        "what do ya want for nothing?",
    );
    put(&app, Scheme::Signature, &stored(&[("key", "Jefe")]), &mut request).unwrap();
    assert_eq!(
        request.header("x-signature"),
        "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert!(needs_whole_body(&app, Scheme::Signature, &request.headers));
    request.body = None;
    let streamed = put(&app, Scheme::Signature, &stored(&[("key", "Jefe")]), &mut request);
    assert!(matches!(streamed.unwrap_err(), ApplyError::Streamed));
}

#[test]
fn an_hmac_covers_what_is_sent_beside_it() {
    let app = app("  signature:
    docs: https://example.com/
    fields:
      - { name: key, label: Key }
      - { name: id, label: Id }
    hmac:
      algorithm: sha512
      key: key
      key_form: hex
      message: '{method} {host}{path_and_query} {query} {timestamp_ms} {http_date} {body_sha256}'
      signature_form: base64_url
      send:
        headers: { Date: '{http_date}' }
        query: { a_sign: '{signature}', id: '{id}', time: '{timestamp}' }");
    let mut request = Request::new("GET", "https://api.example.com:8443/p%20q?x=1", "", "");
    let own = stored(&[("key", "00ff"), ("id", "me")]);
    put(&app, Scheme::Signature, &own, &mut request).unwrap();
    assert_eq!(request.header("date"), "Wed, 21 Oct 2015 07:28:00 GMT");
    let query = "x=1&id=me&time=1445412480";
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let message = format!(
        "GET api.example.com:8443/p%20q?{query} {query} 1445412480000 Wed, 21 Oct 2015 07:28:00 GMT {empty}"
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA512, &[0, 0xff]);
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    let signature = data_encoding::BASE64URL_NOPAD.encode(tag.as_ref());
    assert_eq!(request.url.query(), Some(format!("{query}&a_sign={signature}").as_str()));
    let bad = stored(&[("key", "no hex"), ("id", "me")]);
    let refused = put(&app, Scheme::Signature, &bad, &mut request).unwrap_err();
    assert!(matches!(&refused, ApplyError::Key { name } if name == "key"), "{refused}");
}

#[test]
fn a_streamed_body_is_signed_for_s3_only() {
    let row = |service: &str| {
        app(&format!(
            "  signature:
    docs: https://example.com/
    fields: [{{ name: id, label: Id }}, {{ name: key, label: Key }}]
    aws_sigv4: {{ service: {service}, region: us-east-1, access_key: id, secret_key: key }}"
        ))
    };
    let stored = stored(&[("id", "AKIDEXAMPLE"), ("key", "secret")]);
    let mut request = Request::new("PUT", "https://api.example.com/a%20b", "text/plain", "");
    request.body = None;
    put(&row("s3"), Scheme::Signature, &stored, &mut request).unwrap();
    assert_eq!(request.header("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_eq!(request.header("x-amz-date"), "20151021T072800Z");
    assert!(
        request
            .header("authorization")
            .contains("SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date,")
    );
    assert!(!needs_whole_body(&row("s3"), Scheme::Signature, &request.headers));
    let refused = put(&row("lambda"), Scheme::Signature, &stored, &mut request).unwrap_err();
    assert!(matches!(refused, ApplyError::Streamed));
    assert!(needs_whole_body(&row("lambda"), Scheme::Signature, &request.headers));
}

#[test]
fn a_service_without_a_name_in_the_row_is_signed_for_by_that_of_its_host() {
    let app = app("  signature:
    docs: https://example.com/
    fields: [{ name: id, label: Id }, { name: key, label: Key }]
    aws_sigv4: { region: us-east-1, access_key: id, secret_key: key }");
    let stored = stored(&[("id", "AKIDEXAMPLE"), ("key", "secret")]);
    for service in ["lambda", "sts"] {
        let url = format!("https://{service}.us-east-1.amazonaws.com/");
        let mut request = Request::new("GET", &url, "", "");
        put(&app, Scheme::Signature, &stored, &mut request).unwrap();
        let scope = format!("/20151021/us-east-1/{service}/aws4_request,");
        assert!(request.header("authorization").contains(&scope));
    }
}

#[test]
fn tokens_of_oauth_1_come_from_the_connection_or_with_the_company() {
    let own = app("  signature:
    docs: https://example.com/
    fields:
      - { name: ck, label: Consumer key }
      - { name: cs, label: Consumer secret }
      - { name: t, label: Token }
      - { name: ts, label: Token secret }
      - { name: account, label: Account }
    oauth1:
      method: HMAC-SHA256
      consumer_key: ck
      consumer_secret: cs
      token: t
      token_secret: ts
      realm: '{account}'");
    let stored =
        stored(&[("ck", "c"), ("cs", "s"), ("t", "t1"), ("ts", "t2"), ("account", "1_SB")]);
    let mut request = Request::new("GET", "https://api.example.com/", "", "");
    put(&own, Scheme::Signature, &stored, &mut request).unwrap();
    let header = request.header("authorization");
    assert!(header.starts_with("OAuth realm=\"1_SB\", oauth_consumer_key=\"c\", "), "{header}");
    assert!(header.contains("oauth_signature_method=\"HMAC-SHA256\""), "{header}");
    // A form is signed, and so has to be there.
    let form = "application/x-www-form-urlencoded";
    let mut request = Request::new("POST", "https://api.example.com/", form, "");
    request.body = None;
    let refused = put(&own, Scheme::Signature, &stored, &mut request).unwrap_err();
    assert!(matches!(refused, ApplyError::Streamed));
}

#[test]
fn the_clients_values_stand_behind_the_connections() {
    let client = Client {
        fields: BTreeMap::from([
            ("shared".to_owned(), SecretString::new("client's".into())),
            ("developer_token".to_owned(), SecretString::new("d".into())),
        ]),
        ..Client::new("id".into(), SecretString::new(String::new()))
    };
    let stored = stored(&[("shared", "customer's")]);
    let values = Values { stored: &stored, client: Some(&client) };
    let got = ["shared", "developer_token", "client_id", "other"].map(|name| values.get(name));
    assert_eq!(got, [Some("customer's"), Some("d"), Some("id"), None]);
}
