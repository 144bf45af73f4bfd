//! The HTTP client against servers that redirect, stall, flood and lie.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

use bytes::Bytes;
use causeway_net::{
    Guard, GuardConfig, HttpClient, HttpConfig, HttpError, RequestLimits, SystemResolver,
};
use http::header::{AUTHORIZATION, COOKIE, HeaderValue};
use http::{Method, Request, StatusCode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

/// A server that gives its answers, raw, one for each connection, and keeps what it was sent.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &[&str], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        let mut answers: VecDeque<String> = answers.iter().map(|&text| text.to_owned()).collect();
        tokio::spawn(async move {
            while let Some(answer) = answers.pop_front() {
                let (tcp, _) = listener.accept().await.unwrap();
                match &tls {
                    None => serve(tcp, &answer, &kept).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(tcp).await {
                            serve(stream, &answer, &kept).await;
                        }
                    }
                }
            }
        });
        Self { port, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &str,
    seen: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap_or(0);
        request.extend_from_slice(&buffer[..count]);
        if count == 0 || complete(&request) {
            break;
        }
    }
    seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    let silent = answer.strip_suffix("<silence>");
    // The client may hang up before everything is written; that is what some tests want.
    let _ = stream.write_all(silent.unwrap_or(answer).as_bytes()).await;
    let _ = stream.flush().await;
    if silent.is_some() {
        // Keeps the connection open until the client gives up.
        let _ = stream.read(&mut buffer).await;
    }
    let _ = stream.shutdown().await;
}

fn complete(request: &[u8]) -> bool {
    // A TLS hello at a server that does not speak TLS: it answers what it knows.
    if request.first() == Some(&0x16) {
        return true;
    }
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn redirect(status: &str, location: &str) -> String {
    answer(status, &format!("location: {location}\r\n"), "")
}

fn client(allow: &[&str], roots: Option<String>) -> HttpClient {
    let allow = allow.iter().map(|text| text.parse().unwrap()).collect();
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    let config = HttpConfig { extra_roots_pem: roots.map(String::into_bytes) };
    HttpClient::new(guard, &config).unwrap()
}

fn local() -> HttpClient {
    client(&["127.0.0.1/32"], None)
}

fn request(method: &str, url: &str, body: &'static str) -> Request<Bytes> {
    let mut key = HeaderValue::from_static("canary");
    key.set_sensitive(true);
    Request::builder()
        .method(method)
        .uri(url)
        .header(AUTHORIZATION, "Bearer canary")
        .header(COOKIE, "session=canary")
        .header("x-api-key", key)
        .header("accept", "application/json")
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap()
}

async fn call(
    client: &HttpClient,
    request: Request<Bytes>,
) -> Result<(StatusCode, Bytes), HttpError> {
    let response = client.request(request, RequestLimits::default()).await?;
    let status = response.status();
    Ok((status, response.bytes().await?))
}

#[tokio::test]
async fn a_request_arrives_as_it_was_meant() {
    let server = Server::start(&[&answer("200 OK", "", "hello")], None).await;
    let mut sent = request("POST", &server.url("/token?page=2"), "grant_type=x");
    sent.headers_mut().insert("host", HeaderValue::from_static("evil.example"));
    sent.headers_mut().insert("content-length", HeaderValue::from_static("3"));
    let (status, body) = call(&local(), sent).await.unwrap();
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"hello"[..]));
    let seen = server.seen().remove(0).to_lowercase();
    assert!(seen.starts_with("post /token?page=2 http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)), "{seen}");
    assert!(seen.contains("user-agent: causeway/"), "{seen}");
    assert!(seen.contains("content-length: 12\r\n") && seen.ends_with("grant_type=x"), "{seen}");
}

#[tokio::test]
async fn a_redirect_to_another_origin_carries_no_credentials() {
    let other = Server::start(&[&answer("200 OK", "", "there")], None).await;
    let first = Server::start(&[&redirect("302 Found", &other.url("/landing"))], None).await;
    let (status, body) = call(&local(), request("GET", &first.url("/"), "")).await.unwrap();
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"there"[..]));
    assert!(first.seen()[0].contains("canary"));
    let seen = other.seen().remove(0);
    assert!(!seen.contains("canary"), "{seen}");
    assert!(seen.contains("application/json"), "{seen}");
}

#[tokio::test]
async fn a_redirect_within_the_origin_keeps_them() {
    let server = Server::start(
        &[&redirect("307 Temporary Redirect", "/next"), &answer("200 OK", "", "")],
        None,
    )
    .await;
    call(&local(), request("POST", &server.url("/"), "body")).await.unwrap();
    let seen = server.seen();
    assert!(seen[1].starts_with("POST /next") && seen[1].ends_with("body"), "{}", seen[1]);
    assert_eq!(seen[1].matches("canary").count(), 3);
}

/// The guard judges every hop: an allowed server cannot send the client to a forbidden one.
#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused() {
    let forbidden = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = forbidden.local_addr().unwrap().port();
    for target in [
        format!("http://127.0.0.2:{port}/"),
        format!("http://2130706434:{port}/"),
        format!("http://0177.0.0.2:{port}/"),
        format!("http://[::ffff:127.0.0.2]:{port}/"),
        format!("//127.0.0.2:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://[fd00:ec2::254]/".to_owned(),
    ] {
        let server = Server::start(&[&redirect("302 Found", &target)], None).await;
        let failed = call(&local(), request("GET", &server.url("/"), "")).await.unwrap_err();
        assert_eq!(failed.code(), "egress_denied_address", "{target}");
        assert!(failed.may_have_been_sent(), "the first hop was");
    }
    assert!(tokio::time::timeout(Duration::ZERO, forbidden.accept()).await.is_err());
}

#[tokio::test]
async fn a_body_is_not_redirected_to_another_origin() {
    let other = Server::start(&[&answer("200 OK", "", "")], None).await;
    let first = Server::start(&[&redirect("308 Permanent Redirect", &other.url("/"))], None).await;
    let failed = call(&local(), request("POST", &first.url("/"), "refresh_token=canary")).await;
    assert_eq!(failed.unwrap_err().code(), "egress_redirect");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn redirects_are_counted() {
    let round = redirect("302 Found", "/again");
    let server = Server::start(&[round.as_str(); 4], None).await;
    let limits = RequestLimits { max_redirects: 2, ..RequestLimits::default() };
    let failed = local().request(request("GET", &server.url("/"), ""), limits).await.err().unwrap();
    assert_eq!(failed.code(), "egress_too_many_redirects");
    assert_eq!(server.seen().len(), 3);
    let limits = RequestLimits { max_redirects: 0, ..limits };
    let shown = local().request(request("GET", &server.url("/"), ""), limits).await.unwrap();
    assert_eq!(shown.status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_flood_ends_at_the_limit() {
    let announced = answer("200 OK", "", &"x".repeat(2000));
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let endless =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}", chunk.repeat(8));
    let exact = answer("200 OK", "", &"x".repeat(1000));
    let server = Server::start(&[&announced, &endless, &exact], None).await;
    let limits = RequestLimits { max_response_bytes: 1000, ..RequestLimits::default() };
    let client = local();
    let failed = client.request(request("GET", &server.url("/"), ""), limits).await.err().unwrap();
    assert_eq!(failed.code(), "egress_answer_too_large");
    let answer = client.request(request("GET", &server.url("/"), ""), limits).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap_err().code(), "egress_answer_too_large");
    let answer = client.request(request("GET", &server.url("/"), ""), limits).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap().len(), 1000);
}

/// The total time covers the head and the body. Real time: the sockets are real.
#[tokio::test]
async fn silence_ends_in_the_time_limit() {
    let server = Server::start(
        &["<silence>", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf<silence>"],
        None,
    )
    .await;
    let limits = RequestLimits { total: Duration::from_millis(500), ..RequestLimits::default() };
    let client = local();
    let failed = client.request(request("GET", &server.url("/"), ""), limits).await.err().unwrap();
    assert_eq!(failed.code(), "egress_timeout");
    assert!(failed.may_have_been_sent());
    let answer = client.request(request("GET", &server.url("/"), ""), limits).await.unwrap();
    assert_eq!(answer.bytes().await.unwrap_err().code(), "egress_timeout");
}

#[tokio::test]
async fn broken_answers_are_named() {
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(300_000));
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let server = Server::start(&["", "SSH-2.0-x\r\n", &huge_head, half], None).await;
    for _ in 0..4 {
        let failed = call(&local(), request("GET", &server.url("/?token=canary"), "")).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.code(), "egress_exchange");
        assert!(failed.may_have_been_sent());
        assert!(!failed.to_string().contains("canary"), "{failed}");
    }
}

#[tokio::test]
async fn what_was_not_sent_may_be_sent_again() {
    // Bound, so that nobody else gets the port, but not listening.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/token?code=canary", deaf.local_addr().unwrap());
    let failed = call(&local(), request("POST", &url, "x")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_unreachable");
    assert!(!failed.may_have_been_sent());
    assert!(!failed.to_string().contains("canary"), "{failed}");
}

#[tokio::test]
async fn plain_http_needs_an_allowed_network() {
    let failed = call(&local(), request("GET", "http://93.184.216.34/", "")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_plain_http");
    assert!(!failed.may_have_been_sent());
}

#[tokio::test]
async fn urls_that_are_not_callable() {
    for url in ["/relative", "ftp://a.example/", "https://me:canary@a.example/"] {
        let failed = call(&local(), request("GET", url, "")).await.unwrap_err();
        assert_eq!(failed.code(), "egress_invalid_url", "{url}");
        assert!(!failed.to_string().contains("canary"));
    }
}

/// A certificate authority and a server certificate for `localhost` and 127.0.0.1.
fn authority() -> (String, TlsAcceptor) {
    let certified =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    (certified.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn tls_is_verified_against_the_roots() {
    let (pem, acceptor) = authority();
    let ok = answer("200 OK", "", "sealed");
    let server = Server::start(&[&ok, &ok, &ok], Some(acceptor)).await;
    let url = |host: &str| format!("https://{host}:{}/", server.port);
    let trusting = client(&["127.0.0.0/8", "::1/128"], Some(pem));
    for host in ["127.0.0.1", "localhost"] {
        let (_, body) = call(&trusting, request("GET", &url(host), "")).await.unwrap();
        assert_eq!(&body[..], b"sealed");
    }
    let failed = call(&local(), request("GET", &url("127.0.0.1"), "")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_tls");
    assert!(failed.to_string().contains("trusted root"), "{failed}");
    assert!(!failed.may_have_been_sent());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let listener = TcpListener::bind("127.0.0.9:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let (pem, acceptor) = authority();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let _ = acceptor.accept(tcp).await;
    });
    let trusting = client(&["127.0.0.0/8"], Some(pem));
    let failed = call(&trusting, request("GET", &url, "")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_tls");
}

#[tokio::test]
async fn https_is_not_answered_by_http() {
    let (pem, acceptor) = authority();
    let plain = Server::start(&[&answer("200 OK", "", "")], None).await;
    let server = Server::start(&[&redirect("302 Found", &plain.url("/"))], Some(acceptor)).await;
    let trusting = client(&["127.0.0.0/8"], Some(pem));
    let url = format!("https://127.0.0.1:{}/", server.port);
    let failed = call(&trusting, request("GET", &url, "")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_redirect");
    assert!(plain.seen().is_empty());
    // And a server without TLS is not spoken to in clear.
    let url = format!("https://127.0.0.1:{}/", plain.port);
    let failed = call(&trusting, request("GET", &url, "")).await.unwrap_err();
    assert_eq!(failed.code(), "egress_tls");
    assert!(failed.to_string().contains("does not speak TLS"), "{failed}");
    assert!(!plain.seen().concat().contains("canary"));
}

#[test]
fn bad_roots_are_named() {
    let guard = || Guard::new(GuardConfig::default(), SystemResolver);
    for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let config = HttpConfig { extra_roots_pem: Some(pem.into()) };
        assert!(HttpClient::new(guard(), &config).is_err(), "{pem:?}");
    }
}

/// A method that the client does not know is sent as it is; HEAD has no body.
#[tokio::test]
async fn methods_pass() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n";
    let server = Server::start(&[head, &answer("204 No Content", "", "")], None).await;
    let sent = request(Method::HEAD.as_str(), &server.url("/"), "");
    assert!(call(&local(), sent).await.unwrap().1.is_empty());
    let (status, _) = call(&local(), request("PURGE", &server.url("/"), "")).await.unwrap();
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(server.seen()[1].starts_with("PURGE / "));
}
