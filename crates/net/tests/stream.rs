//! Calls that stream, against servers that are slow, endless, silent or that break off.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here fails the test"
)]

use bytes::Bytes;
use causeway_net::{
    Guard, GuardConfig, HttpClient, HttpConfig, HttpError, RequestBody, StreamLimits,
    SystemResolver,
};
use http::HeaderMap;
use http::header::{CONNECTION, HeaderValue, TE};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

const LIMITS: StreamLimits =
    StreamLimits { idle: Duration::from_secs(20), max_response_bytes: None };

fn client() -> HttpClient {
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    HttpClient::new(guard, &HttpConfig::default()).unwrap()
}

/// A server of one connection, which `answer` speaks with.
async fn server<F, T>(answer: F) -> (String, JoinHandle<T::Output>)
where
    F: FnOnce(TcpStream) -> T + Send + 'static,
    T: Future + Send + 'static,
    T::Output: Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let task = tokio::spawn(async move { answer(listener.accept().await.unwrap().0).await });
    (url, task)
}

fn whole(bytes: &'static [u8]) -> RequestBody {
    Full::new(Bytes::from_static(bytes)).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn request(url: &str, body: RequestBody) -> http::Request<RequestBody> {
    http::Request::post(url).body(body).unwrap()
}

/// Reads until a text has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(end) {
        let count = stream.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "the client ended after {text:?}");
        text.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    text
}

#[tokio::test]
async fn both_bodies_pass_while_they_are_made() {
    // Each side sends its next piece only after it has read the other's last one.
    let (url, task) = server(|mut stream| async move {
        let head = read_until(&mut stream, "one").await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nuno\r\n")
            .await
            .unwrap();
        read_until(&mut stream, "two").await;
        stream.write_all(b"3\r\ndos\r\n0\r\n\r\n").await.unwrap();
        head
    })
    .await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let frames = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let body: RequestBody = http_body_util::BodyExt::boxed_unsync(StreamBody::new(
        tokio_stream::StreamExt::map(frames, |text: &str| {
            Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
        }),
    ));
    sender.send("one").await.unwrap();
    let mut answer = client().stream(request(&url, body), LIMITS).await.unwrap();
    let piece = answer.body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(piece, "uno");
    sender.send("two").await.unwrap();
    drop(sender);
    let rest = answer.body.collect_within(100).await.unwrap();
    assert_eq!(rest, "dos");
    assert!(task.await.unwrap().contains("transfer-encoding: chunked"));
}

#[tokio::test]
async fn headers_of_one_hop_stay_there() {
    let (url, task) = server(|mut stream| async move {
        let head = read_until(&mut stream, "body").await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: 5\r\nx-kept: 1\r\n\r\n")
            .await
            .unwrap();
        head
    })
    .await;
    let mut call = request(&url, whole(b"body"));
    for (name, value) in
        [("x-private", "1"), ("te", "trailers"), ("upgrade", "h2c"), ("x-open", "1")]
    {
        call.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    call.headers_mut().insert(CONNECTION, HeaderValue::from_static("X-Private, upgrade"));
    let answer = client().stream(call, LIMITS).await.unwrap();
    let names: Vec<_> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["content-length", "x-kept"]);
    let sent = task.await.unwrap();
    for name in ["x-private", "te:", "upgrade", "connection"] {
        assert!(!sent.contains(name), "{sent}");
    }
    assert!(sent.contains("x-open: 1") && sent.contains("content-length: 4"), "{sent}");
}

#[tokio::test]
async fn a_redirect_is_the_answer() {
    let (url, task) = server(|mut stream| async move {
        let head = read_until(&mut stream, "body").await;
        let answer = "HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        head
    })
    .await;
    let answer = client().stream(request(&url, whole(b"body")), LIMITS).await.unwrap();
    assert_eq!(answer.status, 307);
    assert_eq!(answer.headers["location"], "http://127.0.0.1:1/");
    task.await.unwrap();
}

#[tokio::test]
async fn silence_ends_before_and_within_the_body() {
    let limits = StreamLimits { idle: Duration::from_millis(200), max_response_bytes: None };
    let (url, _task) = server(|mut stream| async move {
        read_until(&mut stream, "body").await;
        std::future::pending::<()>().await;
    })
    .await;
    let silent = client().stream(request(&url, whole(b"body")), limits).await.err();
    assert!(matches!(silent, Some(HttpError::Timeout { .. })));
    let (url, _task) = server(|mut stream| async move {
        read_until(&mut stream, "body").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let answer = client().stream(request(&url, whole(b"body")), limits).await.unwrap();
    let silent = answer.body.collect_within(100).await.err();
    assert!(matches!(silent, Some(HttpError::Timeout { .. })));
}

#[tokio::test]
async fn floods_and_broken_bodies_are_named() {
    let endless = |mut stream: TcpStream| async move {
        read_until(&mut stream, "body").await;
        let piece = vec![b'x'; 64 * 1024];
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&piece).await.is_ok() {}
    };
    let limits = StreamLimits { max_response_bytes: Some(1 << 20), ..LIMITS };
    let (url, task) = server(endless).await;
    let answer = client().stream(request(&url, whole(b"body")), limits).await.unwrap();
    let flood = answer.body.collect_within(u64::MAX).await.err();
    assert!(matches!(flood, Some(HttpError::TooLarge { limit: 1_048_576, .. })));
    task.await.unwrap();
    let (url, _task) = server(|mut stream| async move {
        read_until(&mut stream, "body").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await.unwrap();
    })
    .await;
    let answer = client().stream(request(&url, whole(b"body")), LIMITS).await.unwrap();
    let broken = answer.body.collect_within(100).await.err();
    assert!(matches!(broken, Some(HttpError::Exchange { .. })));
}

/// A server over TLS that offers these protocols, and tells each request's version and `TE`; its
/// answers have a trailer where there can be one.
async fn secure_server(protocols: &[&str]) -> (String, Vec<u8>) {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
            tokio::spawn(async move {
                // A client that goes away is no fault of the server.
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .serve_connection(stream, service_fn(told))
                    .await;
            });
        }
    });
    (url, key.cert.pem().into_bytes())
}

async fn told(request: http::Request<Incoming>) -> Result<http::Response<RequestBody>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let told = format!("{:?} te={:?} {}", head.version, head.headers.get("te"), body.len());
    let trailers = HeaderMap::from_iter([("x-end".parse().unwrap(), "1".parse().unwrap())]);
    let frames = [Frame::data(Bytes::from(told)), Frame::trailers(trailers)];
    let body = StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Infallible>)));
    Ok(http::Response::new(body.map_err(|never| match never {}).boxed_unsync()))
}

/// What the server told, and whether trailers came.
async fn ask(client: &HttpClient, url: &str) -> (String, bool) {
    let mut call = request(url, whole(b"four"));
    call.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    let answer = client.stream(call, LIMITS).await.unwrap();
    let body = answer.body.collect().await.unwrap();
    let has_trailers = body.trailers().is_some_and(|all| all["x-end"] == "1");
    (String::from_utf8(body.to_bytes().to_vec()).unwrap(), has_trailers)
}

#[tokio::test]
async fn http2_is_for_clients_with_connections_of_their_own() {
    let (both, root) = secure_server(&["h2", "http/1.1"]).await;
    let (one, other_root) = secure_server(&["http/1.1"]).await;
    let (none, third_root) = secure_server(&[]).await;
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::new(GuardConfig { allow, ..GuardConfig::default() }, SystemResolver);
    let extra_roots_pem = Some([root, other_root, third_root].concat());
    let everybodys = HttpClient::new(guard, &HttpConfig { extra_roots_pem }).unwrap();
    let own = everybodys.with_http2();
    assert_eq!(ask(&everybodys, &both).await.0, "HTTP/1.1 te=None 4");
    for _ in 0..2 {
        let told = ask(&own, &both).await;
        assert_eq!(told, ("HTTP/2.0 te=Some(\"trailers\") 4".to_owned(), true));
    }
    for url in [one, none] {
        assert!(ask(&own, &url).await.0.starts_with("HTTP/1.1 "), "{url}");
    }
    let (clear, task) = server(|mut stream| async move {
        read_until(&mut stream, "four").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    })
    .await;
    assert_eq!(ask(&own, &clear).await.0, "ok");
    task.await.unwrap();
}
