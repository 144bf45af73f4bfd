use super::connection::{MAX_HEAD, MAX_HEADERS, MAX_URI};
use super::*;
use crate::tls::{Tls, TlsFiles};
use axum::body::Bytes;
use axum::routing::{get, post};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, duplex};
use tokio_rustls::TlsConnector;

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "here" }))
        .route("/body", post(|body: Result<Bytes, _>| async move { format!("{}", body.is_ok()) }))
        .route("/length", post(length))
}

/// What is known of a body's length before its first piece, after it, and at its end.
async fn length(body: axum::body::Body) -> String {
    let mut body = body;
    let before = body.size_hint().exact();
    let first = body.frame().await.map(|piece| piece.unwrap().into_data().unwrap().len());
    let after = body.size_hint().exact();
    while body.frame().await.transpose().unwrap().is_some() {}
    format!("{before:?} {first:?} {after:?} {}", body.is_end_stream())
}

fn behind(bounds: Bounds, tls: Option<Arc<Tls>>) -> Behind {
    Behind { router: router(), tls, bounds }
}

/// The client's end of a connection that is served.
fn served(bounds: Bounds) -> impl AsyncRead + AsyncWrite + Unpin {
    let (ours, theirs) = duplex(64 << 10);
    let peer = "192.0.2.7:4711".parse().unwrap();
    tokio::spawn(async move {
        connection::speak(theirs, peer, &behind(bounds, None), CancellationToken::new()).await;
    });
    ours
}

/// Writes what the other end takes, and reads all that it answers until it closes.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, text: &[u8]) -> String {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let mut answer = Vec::new();
    let writing = async {
        // It may close before it has taken everything.
        let _ = write.write_all(text).await;
    };
    let ((), ended) = tokio::join!(writing, read.read_to_end(&mut answer));
    // A reset is an end too.
    let _ = ended;
    String::from_utf8_lossy(&answer).into_owned()
}

fn usual() -> Bounds {
    Bounds::new(4)
}

#[tokio::test]
async fn ten_megabytes_of_headers_are_refused_with_no_more_than_the_bound_in_memory() {
    let value = "x".repeat(1000);
    let headers = format!("x: {value}\r\n").repeat(10_000);
    assert!(headers.len() > 10_000_000);
    let answer = talk(served(usual()), format!("GET / HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let one = format!("GET / HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(10 << 20));
    let answer = talk(served(usual()), one.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_body_keeps_the_length_that_its_sender_gave() {
    let head = "POST /length HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let given = format!("{head}content-length: 5\r\n\r\n12345");
    let answer = talk(served(usual()), given.as_bytes()).await;
    assert!(answer.ends_with("Some(5) Some(5) Some(0) true"), "{answer}");
    let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n");
    let answer = talk(served(usual()), chunked.as_bytes()).await;
    assert!(answer.ends_with("None Some(5) None false"), "{answer}");
}

#[tokio::test]
async fn a_head_up_to_the_bound_is_taken() {
    let of = |length: usize| {
        let head = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlong: \r\n".len();
        let long = "x".repeat(length - head);
        format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlong: {long}\r\n\r\n")
    };
    for (length, status) in
        [(MAX_HEAD / 2, 200), (MAX_HEAD, 200), (MAX_HEAD + 1, 431), (MAX_HEAD * 5 / 4, 431)]
    {
        let answer = talk(served(usual()), of(length).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{length}: {answer}");
    }
    let many = "x: y\r\n".repeat(MAX_HEADERS + 1);
    let answer = talk(served(usual()), format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn an_address_that_is_too_long_is_refused() {
    let uri = |length| format!("GET /?{} HTTP/1.1\r\nhost: x\r\n\r\n", "q".repeat(length));
    for length in [MAX_URI, MAX_HEAD / 2] {
        let answer = talk(served(usual()), uri(length).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 414 ") && answer.contains("connection: close"));
    }
    let answer = talk(served(usual()), uri(10 << 20).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    let mut stream = served(usual());
    stream.write_all(uri(MAX_URI - 1).as_bytes()).await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

/// The clock of these tests moves when nobody does anything else.
#[tokio::test(start_paused = true)]
async fn who_speaks_too_slowly_is_cut_off() {
    let bounds = usual().with_times(Duration::from_secs(30), Duration::from_secs(20));
    let begun = tokio::time::Instant::now();
    let mut drip = served(bounds);
    let mut sent = 0;
    while drip.write_all(b"GET / HTTP/1.1\r\nx-slow: 1\r\n").await.is_ok() {
        sent += 1;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(sent < 20, "a head may take as long as it likes");
    }
    assert_eq!(begun.elapsed().as_secs() / 10, 3);

    let begun = tokio::time::Instant::now();
    assert_eq!(talk(served(bounds), b"").await, "", "nothing is said to who says nothing");
    assert_eq!(begun.elapsed().as_secs(), 30);

    let begun = tokio::time::Instant::now();
    let head =
        b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\nconnection: close\r\n\r\nabc";
    let answer = talk(served(bounds), head).await;
    assert!(answer.ends_with("false"), "{answer}");
    assert_eq!(begun.elapsed().as_secs(), 20);
}

struct World {
    at: SocketAddr,
    claimed: watch::Sender<bool>,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

fn serve(door: Door, behind: Behind) -> World {
    let world = World {
        at: door.at,
        claimed: watch::Sender::new(door.at == door.wanted),
        stopping: CancellationToken::new(),
        tasks: TaskTracker::new(),
    };
    let (claimed, stopping) = (world.claimed.subscribe(), world.stopping.clone());
    world.tasks.spawn(door.serve(behind, claimed, stopping, world.tasks.clone()));
    world
}

async fn door() -> Door {
    Door::open("--listen", "127.0.0.1:0".parse().unwrap()).await.unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a client of this test's own server")]
async fn dial(at: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(at).await
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn who_comes_when_all_places_are_taken_waits() {
    let world = serve(door().await, behind(Bounds::new(2), None));
    let first = dial(world.at).await.unwrap();
    let second = dial(world.at).await.unwrap();
    let third = dial(world.at).await.unwrap();
    let waits = talk(third, GET);
    tokio::pin!(waits);
    // The two that came first hold their places, and say nothing.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut waits).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    assert!(waits.await.starts_with("HTTP/1.1 200 "));
    drop(second);
    world.stopping.cancel();
    world.tasks.close();
    world.tasks.wait().await;
    assert!(dial(world.at).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn until_the_claim_only_this_machine_is_answered() {
    let opened = Door::open("--listen", "0.0.0.0:0".parse().unwrap()).await.unwrap();
    let wanted = opened.wanted;
    let confined = opened.confine().await.unwrap();
    assert_eq!(confined.at.to_string(), format!("127.0.0.1:{}", wanted.port()));
    let world = serve(confined, behind(usual(), None));
    assert!(talk(dial(world.at).await.unwrap(), GET).await.starts_with("HTTP/1.1 200 "));
    // Another address of this machine, as good as any other machine's way here.
    let elsewhere = SocketAddr::new("127.0.0.2".parse().unwrap(), wanted.port());
    assert!(dial(elsewhere).await.is_err());

    let mut kept = dial(world.at).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    world.claimed.send_replace(true);
    let moved = async {
        loop {
            match dial(elsewhere).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let stream = tokio::time::timeout(Duration::from_secs(10), moved).await.unwrap();
    assert!(talk(stream, GET).await.starts_with("HTTP/1.1 200 "));
    // Whoever was connected, as the one who claimed it, is still answered.
    assert!(talk(kept, GET).await.contains("HTTP/1.1 200 "));
    world.stopping.cancel();
}

#[test]
fn a_url_leads_where_a_browser_can_go() {
    for (address, tls, expected) in [
        ("127.0.0.1:8400", false, "http://127.0.0.1:8400"),
        ("0.0.0.0:8400", false, "http://127.0.0.1:8400"),
        ("[::]:8400", true, "https://[::1]:8400"),
        ("10.0.0.5:8400", true, "https://10.0.0.5:8400"),
    ] {
        assert_eq!(url(address.parse().unwrap(), tls), expected);
    }
}

#[tokio::test]
async fn a_loopback_address_stays_where_it_is() {
    for address in ["127.0.0.1:0", "[::1]:0", "127.0.0.9:0"] {
        let opened = Door::open("--listen", address.parse().unwrap()).await.unwrap();
        let at = opened.at;
        assert_eq!(opened.confine().await.unwrap().at, at);
    }
}

/// A certificate for localhost by an authority of its own; returns what trusts it.
fn write_certificate(files: &TlsFiles) -> RootCertStore {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(&files.cert, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    roots
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") }
}

/// Speaks TLS with a server, and gets its page.
async fn get_over_tls(at: SocketAddr, roots: &RootCertStore) -> io::Result<String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, dial(at).await?).await?;
    Ok(talk(stream, GET).await)
}

#[tokio::test]
async fn the_next_connection_sees_the_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let old = write_certificate(&files);
    let tls = Arc::new(Tls::load(files.clone()).unwrap());
    let world = serve(door().await, behind(usual(), Some(Arc::clone(&tls))));
    assert!(get_over_tls(world.at, &old).await.unwrap().contains("200 OK"));

    // What cannot be used changes nothing.
    std::fs::write(&files.cert, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let refused = format!("{:#}", tls.reload().unwrap_err());
    assert!(refused.contains("cert.pem"), "{refused}");
    assert!(get_over_tls(world.at, &old).await.is_ok());

    let new = write_certificate(&files);
    assert!(get_over_tls(world.at, &new).await.is_err(), "nobody has looked yet");
    let watching = tokio::spawn({
        let (tls, stopping) = (Arc::clone(&tls), world.stopping.clone());
        async move { tls.watch(stopping).await }
    });
    tls.reload().unwrap();
    assert!(get_over_tls(world.at, &new).await.unwrap().contains("200 OK"));
    assert!(get_over_tls(world.at, &old).await.is_err());
    // Plain HTTP is not answered there.
    assert!(!talk(dial(world.at).await.unwrap(), GET).await.contains("200 OK"));
    world.stopping.cancel();
    watching.await.unwrap().unwrap();
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path());
    let _ = write_certificate(&files);
    let other = KeyPair::generate().unwrap();
    std::fs::write(&files.key, other.serialize_pem()).unwrap();
    let refused = format!("{:#}", Tls::load(files.clone()).err().unwrap());
    assert!(refused.contains("do they belong together?"), "{refused}");
    std::fs::write(&files.key, "").unwrap();
    let refused = format!("{:#}", Tls::load(files.clone()).err().unwrap());
    assert!(refused.contains("key.pem") && refused.contains("PEM"), "{refused}");
    std::fs::remove_file(&files.cert).unwrap();
    let refused = format!("{:#}", Tls::load(files).err().unwrap());
    assert!(refused.contains("cert.pem"), "{refused}");
}
