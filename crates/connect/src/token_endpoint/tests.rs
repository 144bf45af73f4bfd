use super::*;
use causeway_catalog::Catalog;
use proptest::prelude::*;
use std::sync::LazyLock;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::load(None).unwrap());

fn row(app: &str) -> OAuth2 {
    CATALOG.get(app).unwrap().auth.oauth2.clone().unwrap()
}

fn answer(status: u16, body: &str) -> RawAnswer {
    RawAnswer {
        status,
        retry_after: None,
        received_at: Timestamp::from_micros(0),
        body: SecretBytes::new(body.as_bytes().to_vec()),
    }
}

fn seconds_of(granted: &Granted) -> Option<u64> {
    granted.expires_at.map(Timestamp::as_secs)
}

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
    for (written, read) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("3599.9", Some(3599)),
        ("0", None),
        ("null", None),
        ("-1", None),
    ] {
        let body = format!(r#"{{"access_token":"a","expires_in":{written}}}"#);
        let granted = answer(200, &body).read(&row("demo"), false).ok().unwrap();
        assert_eq!(seconds_of(&granted), read, "{written}");
    }
    let granted = answer(200, r#"{"access_token":"a"}"#).read(&row("google"), false).ok().unwrap();
    assert_eq!(seconds_of(&granted), Some(3600), "the row's own lifetime");
}

#[test]
fn tokens_of_a_code_may_stand_deeper() {
    let mut row = row("slack");
    row.token_at = serde_json::from_str("\"/authed_user/x~1y\"").ok();
    let nested =
        r#"{"ok":true,"authed_user":{"x/y":{"access_token":"inner"}},"access_token":"outer"}"#;
    assert_eq!(answer(200, nested).read(&row, true).ok().unwrap().access.expose(), "inner");
    assert_eq!(answer(200, nested).read(&row, false).ok().unwrap().access.expose(), "outer");
    assert!(answer(200, r#"{"access_token":"outer"}"#).read(&row, true).is_err());
}

#[test]
fn refusals_are_told_from_troubles() {
    let demo = row("demo");
    let refused = |status, body: &str| answer(status, body).read(&demo, false).err().unwrap();
    assert!(refused(400, r#"{"error":"invalid_grant"}"#).is_denial(&demo));
    assert!(refused(200, r#"{"error":"invalid_grant"}"#).is_denial(&demo), "GitHub's way");
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
        assert!(!refused(status, body).is_denial(&demo), "{status} {body}");
    }
    let hubspot = row("hubspot");
    let body = r#"{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token"}"#;
    assert!(answer(400, body).read(&hubspot, false).err().unwrap().is_denial(&hubspot));
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
    let read = RawAnswer::from_opened(&SecretBytes::new(kept.to_bytes().to_vec())).unwrap();
    assert_eq!((read.status, read.retry_after), (200, kept.retry_after));
    assert_eq!(read.body.expose(), kept.body.expose());
    assert!(RawAnswer::from_opened(&SecretBytes::new(b"no head".to_vec())).is_none());
}

#[test]
fn client_proofs_are_encoded_as_rfc_6749_says() {
    let client = Client { client_id: "a:b c".into(), secret: SecretString::new("s%&é".into()) };
    let mut form = Form::default();
    let header = client_header(ClientAuth::Basic, &client, &mut form).unwrap().unwrap();
    assert!(header.is_sensitive());
    assert_eq!(
        header.to_str().unwrap(),
        format!("Basic {}", BASE64.encode(b"a%3Ab+c:s%25%26%C3%A9"))
    );
    assert!(client_header(ClientAuth::Post, &client, &mut form).is_none());
    assert_eq!(form.into_body(), "client_id=a%3Ab+c&client_secret=s%25%26%C3%A9");
    let public = Client { client_id: "pub".into(), secret: SecretString::new(String::new()) };
    let mut form = Form::default();
    assert!(client_header(ClientAuth::Basic, &public, &mut form).is_none());
    assert_eq!(form.into_body(), "client_id=pub");
}

proptest! {
    #[test]
    fn no_answer_makes_the_reader_panic(status in 100_u16..600, body in ".{0,80}") {
        let _ = answer(status, &body).read(&row("demo"), true);
        let _ = answer(status, &body).read(&row("slack"), true);
    }
}
