//! The outside of the real binary: its listeners, TLS, what a flood costs it, and the way of a
//! report of a vulnerability.

use crate::kit::{Home, Needles, PATIENCE, Server, eventually};
use causeway_net::{Guard, GuardConfig, HttpClient, HttpConfig, SystemResolver};
use causeway_store::on_both;
use causeway_store::testing::TestDatabase;
use causeway_testkit::smtp::SmtpServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

on_both!(
    until_the_claim_the_server_answers_this_machine_alone,
    a_report_reaches_the_operator_and_nobody_else,
);

/// The status of a page at some address, none if nobody listens there.
async fn status(server: &Server, at: SocketAddr, path: &str) -> Option<u16> {
    let request = http::Request::get(format!("http://{at}{path}"));
    server.try_send(request, "").await.ok().map(|answer| answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_its_own_listener_is_answered_there_alone() {
    let flags = ["--listen-api=127.0.0.1:0", "--listen-metrics=127.0.0.1:0"];
    let home = Home::with_flags(TestDatabase::sqlite().await, &flags);
    let server = home.serve();
    let [public, api, metrics] =
        ["listening", "listening_api", "listening_metrics"].map(|field| server.address(field));
    for (path, expected) in [
        ("/healthz", [200, 404, 200]),
        ("/readyz", [404, 404, 200]),
        ("/metrics", [404, 404, 200]),
        ("/api/v1/openapi.json", [404, 200, 404]),
        ("/api/v1/workflows", [404, 401, 404]),
        ("/auth/sign-in", [404, 200, 404]),
        ("/problems/denied", [200, 200, 404]),
        ("/security/report", [200, 404, 404]),
    ] {
        for (at, expected) in [public, api, metrics].into_iter().zip(expected) {
            assert_eq!(status(&server, at, path).await, Some(expected), "{path} at {at}");
        }
    }
}

async fn until_the_claim_the_server_answers_this_machine_alone(database: TestDatabase) {
    let flags = ["--listen=0.0.0.0:0", "--listen-api=0.0.0.0:0", "--listen-metrics=127.0.0.1:0"];
    let home = Home::unclaimed(database, &flags);
    let server = home.serve();
    // Another address of this machine stands for the network.
    let network = |field: &str| {
        let at = server.address(field);
        assert_eq!(at.ip().to_string(), "127.0.0.1", "{field}");
        SocketAddr::new(IpAddr::from([127, 0, 0, 2]), at.port())
    };
    let (public, api) = (network("listening"), network("listening_api"));
    assert!(server.said("listening_once_claimed").starts_with("0.0.0.0:"));
    assert_eq!(status(&server, server.address("listening"), "/healthz").await, Some(200));
    for at in [public, api] {
        assert_eq!(status(&server, at, "/healthz").await, None, "nobody listens at {at}");
    }
    assert!(server.log().contains("nobody has claimed this installation"), "{}", server.log());

    // Whoever has the machine makes keys, which is a claim too.
    home.run_server_command(&["bootstrap", "--json"]).json();
    eventually("the public listener", async || status(&server, public, "/healthz").await).await;
    eventually("the listener of the API", async || {
        status(&server, api, "/api/v1/openapi.json").await.filter(|status| *status == 200)
    })
    .await;
    assert_eq!(status(&server, server.address("listening"), "/healthz").await, Some(200));
    server.stop();

    // The next start knows of the claim.
    let server = home.serve();
    assert_eq!(server.address("listening").ip().to_string(), "0.0.0.0");
}

/// Writes a certificate for localhost; what trusts it, PEM.
fn write_certificate(cert: &Path, key: &Path) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &authority).unwrap();
    std::fs::write(cert, certificate.pem()).unwrap();
    std::fs::write(key, own.serialize_pem()).unwrap();
    authority.pem()
}

/// A client that trusts one authority alone.
fn client(root: &str) -> HttpClient {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    let roots = Some(root.as_bytes().to_vec());
    HttpClient::new(guard, &HttpConfig { extra_roots_pem: roots }).unwrap()
}

/// The status of a page over a new connection with TLS.
async fn over_tls(root: &str, at: SocketAddr, path: &str) -> Option<u16> {
    let request = http::Request::get(format!("https://localhost:{}{path}", at.port()));
    let request = request.body(bytes::Bytes::new()).unwrap();
    let answer = client(root).request(request, crate::kit::limits()).await;
    answer.ok().map(|answer| answer.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_while_the_server_runs() {
    let mut home = Home::with_flags(
        TestDatabase::sqlite().await,
        &["--listen-api=127.0.0.1:0", "--listen-metrics=127.0.0.1:0"],
    );
    let (cert, key) = (home.path("cert.pem"), home.path("key.pem"));
    let first = write_certificate(&cert, &key);
    home.add_flag(format!("--tls-cert={}", cert.display()));
    home.add_flag(format!("--tls-key={}", key.display()));
    let server = home.serve();
    let [public, api, metrics] =
        ["listening", "listening_api", "listening_metrics"].map(|field| server.address(field));
    assert_eq!(over_tls(&first, public, "/healthz").await, Some(200));
    assert_eq!(over_tls(&first, api, "/api/v1/openapi.json").await, Some(200));
    assert_eq!(status(&server, public, "/healthz").await, None, "no plain HTTP any more");
    assert_eq!(status(&server, metrics, "/healthz").await, Some(200), "but for the operator");

    // Broken, by the signal: the old one stays.
    std::fs::write(&cert, "not a certificate").unwrap();
    server.signal(Signal::HUP);
    eventually("the complaint", async || {
        server.log().contains("the one before stays").then_some(())
    })
    .await;
    assert_eq!(over_tls(&first, public, "/healthz").await, Some(200));

    let second = write_certificate(&cert, &key);
    server.signal(Signal::HUP);
    eventually("the second certificate", async || over_tls(&second, public, "/healthz").await)
        .await;
    assert_eq!(over_tls(&second, api, "/api/v1/openapi.json").await, Some(200));
    assert_eq!(over_tls(&first, public, "/healthz").await, None);

    // Without a signal: the server looks by itself.
    let third = write_certificate(&cert, &key);
    eventually("the third certificate", async || over_tls(&third, public, "/healthz").await).await;
}

/// Sends bytes until the other side has had enough, and reads what it says.
fn flood(at: SocketAddr, head: &[u8], piece: &[u8], pieces: usize) -> String {
    #[expect(clippy::disallowed_methods, reason = "a client of this test's own server")]
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sent = stream.write_all(head);
    for _ in 0..pieces {
        if sent.is_err() {
            break;
        }
        sent = stream.write_all(piece);
    }
    let mut answer = Vec::new();
    // The server closes a connection whose bytes it does not read, which may look like a reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_of_headers_cost_the_server_nothing() {
    let home = Home::new(TestDatabase::sqlite().await);
    let server = home.serve();
    let at = server.address("listening");
    let flooding = tokio::task::spawn_blocking(move || {
        let header = format!("x: {}\r\n", "y".repeat(1020));
        for _ in 0..8 {
            let answer = flood(at, b"GET / HTTP/1.1\r\nhost: x\r\n", header.as_bytes(), 10 << 10);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        }
    });
    let before = server.resident_kib();
    flooding.await.unwrap();
    let more = server.resident_kib().saturating_sub(before);
    assert!(more < 8 << 10, "80 MiB of headers cost {more} KiB");
    assert_eq!(status(&server, at, "/healthz").await, Some(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_the_configuration_count() {
    let mut home = Home::new(TestDatabase::sqlite().await);
    let file = home.path("causeway.toml");
    let text = "trusted_proxies = [\"127.0.0.1\"]\ntrusted_proxy_header = \"forwarded\"\n\
        [rate_limits]\nkey = 2\nworkspace = 0\naddress = 7\nrefused = 1\n";
    std::fs::write(&file, text).unwrap();
    home.add_flag(format!("--config={}", file.display()));
    let server = home.serve();
    let ask = async |client: &str, key: &str| {
        let request = http::Request::get(server.url("/api/v1/workflows"))
            .header("forwarded", format!("for={client}"))
            .header("authorization", format!("Bearer {key}"));
        server.send(request, "").await
    };
    let (here, there) = ("198.51.100.1", "198.51.100.2");
    for left in [1, 0] {
        let answer = ask(here, home.api_key()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["ratelimit-policy"], "\"address\";q=7;w=60, \"key\";q=2;w=60");
        let standing = answer.headers["ratelimit"].to_str().unwrap();
        assert!(standing.contains(&format!("\"key\";r={left};t=")), "{standing}");
    }
    let refused = ask(here, home.api_key()).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &json!("rate_limited")));
    let wait: u32 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");

    for (client, status) in [(here, 401), (here, 429), (there, 401)] {
        assert_eq!(ask(client, "cwk_guess").await.status, status, "{client}");
    }
    let figures = server.send(http::Request::get(server.url("/metrics")), "").await.text();
    for line in ["{quota=\"key\"} 1", "{quota=\"refused\"} 1"] {
        assert!(figures.contains(&format!("causeway_rate_limited_total{line}")), "{figures}");
    }
}

/// GnuPG with a home of its own.
struct Gnupg(tempfile::TempDir);

impl Gnupg {
    fn run(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new("gpg")
            .args(["--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""])
            .args(args)
            .env("GNUPGHOME", self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let mut agent = Command::new("gpgconf");
        let _ = agent.args(["--kill", "all"]).env("GNUPGHOME", self.0.path()).output();
    }
}

const REPORT: &str = "canary-report-4b1d2c: the callback takes any state";
const FINDER: &str = "canary-finder-77aa01@example.org";

async fn a_report_reaches_the_operator_and_nobody_else(database: TestDatabase) {
    let gnupg = Gnupg(tempfile::tempdir().unwrap());
    let user = "Security <security@example.com>";
    gnupg.run(&["--quick-gen-key", user, "future-default", "default", "never"], "");
    let mut mail = SmtpServer::start(&[]).unwrap();
    let mut home = Home::with_flags(database, &["--security-contact=mailto:security@example.com"]);
    let (public, secret) = (home.path("public.asc"), home.path("secret.asc"));
    std::fs::write(&public, gnupg.run(&["--armor", "--export", user], "")).unwrap();
    std::fs::write(&secret, gnupg.run(&["--armor", "--export-secret-keys", user], "")).unwrap();
    home.add_flag(format!("--security-pgp-key={}", public.display()));
    home.add_flag(format!("--security-signing-key={}", secret.display()));
    home.add_flag(format!("--smtp-url=smtp://127.0.0.1:{}", mail.port()));
    home.add_flag("--net-allow=127.0.0.0/8");
    let server = home.serve_logging("trace");

    let text = server.send(http::Request::get(server.url("/.well-known/security.txt")), "").await;
    let read = gnupg.run(&["--decrypt"], &text.text());
    assert!(read.contains("Contact: mailto:security@example.com\n"), "{read}");
    assert!(read.contains("https://causeway.test/security/report\n"), "{read}");
    let key = server.send(http::Request::get(server.url("/security/pgp-key")), "").await;
    assert!(key.text().contains("PUBLIC KEY") && !key.text().contains("PRIVATE"));

    let request = http::Request::post(server.url("/security/reports"))
        .header("content-type", "application/json");
    let body = json!({ "text": REPORT, "reply_to": FINDER }).to_string();
    let sent = server.send(request, body).await;
    assert_eq!(sent.status, 201, "{sent:?}");
    let id = sent.json()["id"].as_str().unwrap().to_owned();

    let waiting = tokio::task::spawn_blocking(move || mail.next_event().unwrap());
    let line = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap();
    let mail: Value = serde_json::from_str(&line).unwrap();
    let data = mail["data"].as_str().unwrap();
    assert!(data.contains(&format!("Message-ID: <{id}@example.com>")), "{data}");
    let (_, message) = data.split_once("\r\n\r\n").unwrap();
    assert_eq!(gnupg.run(&["--decrypt"], message), format!("Reply to: {FINDER}\n\n{REPORT}\n"));

    let needles = Needles::new([("the report", REPORT), ("the finder's address", FINDER)]);
    needles.assert_absent("the mail", data);
    needles.assert_absent("the log", server.log());
    needles.assert_absent_at_rest(&home);
    server.stop();
    needles.assert_absent_at_rest(&home);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_outside_that_cannot_be_used() {
    let home = Home::new(TestDatabase::sqlite().await);
    let missing = home.path("missing.pem").display().to_string();
    let garbage = home.path("garbage.asc");
    std::fs::write(&garbage, "garbage").unwrap();
    let garbage = garbage.display();
    for (flags, words) in [
        (vec!["--listen-api=8402".to_owned()], vec!["--listen-api", "`8402`", "HOST:PORT"]),
        (vec!["--tls-cert=x".to_owned()], vec!["--tls-key"]),
        (vec!["--tls-key=x".to_owned()], vec!["--tls-cert"]),
        (
            vec![format!("--tls-cert={missing}"), format!("--tls-key={missing}")],
            vec!["missing.pem", "PEM"],
        ),
        (vec!["--trusted-proxies=x".to_owned()], vec!["trusted proxy `x`", "10.0.0.0/8"]),
        (vec!["--trusted-proxy-header=x-real-ip".to_owned()], vec!["x-real-ip", "forwarded"]),
        (vec!["--security-contact=x".to_owned()], vec!["`x`", "mailto:"]),
        (vec!["--security-policy=http://x".to_owned()], vec!["http://x", "https://"]),
        (vec!["--security-languages=e n".to_owned()], vec!["`e n`"]),
        (vec![format!("--security-pgp-key={garbage}")], vec!["garbage.asc", "public key"]),
        (vec![format!("--security-signing-key={garbage}")], vec!["garbage.asc", "secret key"]),
        (vec!["--smtp-url=smtp://h".to_owned()], vec!["--security-pgp-key"]),
    ] {
        let mut command = Home::bare();
        command.arg("serve").arg("--listen=127.0.0.1:0").args(home.place()).args(&flags);
        let ran = crate::kit::run(&mut command);
        for word in words {
            assert!(ran.refusal().contains(word), "{flags:?}: `{word}`: {}", ran.stderr);
        }
    }
}
