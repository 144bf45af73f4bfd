//! One connection, from its first byte to its last.

use super::Behind;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use axum::{BoxError, Router};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tower_http::timeout::TimeoutBody;

/// The longest head of a request, its first line and all its headers, in bytes. One that is longer
/// is answered with 431 (RFC 6585 section 5).
pub(super) const MAX_HEAD: usize = 32 << 10;
/// The most headers of a request.
pub(super) const MAX_HEADERS: usize = 100;
/// The longest address of a request with its query, in bytes. One that is longer is answered with
/// 414.
pub(super) const MAX_URI: usize = 8 << 10;
/// How long a request's head may take, and how long a connection is kept without a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the next piece of a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What connections may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many a listener has at a time.
    pub(super) connections: usize,
    head: Duration,
    body: Duration,
}

impl Bounds {
    /// So many connections at a time, with the usual times.
    pub(super) fn new(connections: usize) -> Self {
        Self { connections, head: HEAD_TIMEOUT, body: BODY_TIMEOUT }
    }

    #[cfg(test)]
    pub(super) fn with_times(self, head: Duration, body: Duration) -> Self {
        Self { head, body, ..self }
    }
}

/// Serves a connection. When it is `stopping`, the answer under way is the last.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    behind: Arc<Behind>,
    stopping: CancellationToken,
) {
    let Some(tls) = &behind.tls else {
        return speak(stream, peer, &behind, stopping).await;
    };
    match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) => Box::pin(speak(stream, peer, &behind, stopping)).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}

/// Speaks HTTP/1.1.
pub(super) async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: SocketAddr,
    behind: &Behind,
    stopping: CancellationToken,
) {
    let Bounds { head, body, .. } = behind.bounds;
    let service = service_fn(move |request: Request<Incoming>| {
        let router = behind.router.clone();
        answer(router, request, peer, body)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        // What is counted is not all that comes: spaces, the empty line.
        .max_buf_size(MAX_HEAD + (1 << 10))
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended before its time");
    }
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    patience: Duration,
) -> Result<Response<Body>, Infallible> {
    if let Some(status) = too_large(&request) {
        let mut refused = status.into_response();
        refused.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Ok(refused);
    }
    let mut request = request.map(|body| {
        if body.is_end_stream() { Body::empty() } else { Body::new(Timed::new(patience, body)) }
    });
    request.extensions_mut().insert(ConnectInfo(peer));
    // A router is ready always.
    router.call(request).await
}

/// A request's body whose pieces must come in time. It says its length, which [`TimeoutBody`] does
/// not: what is passed on to an app goes with the length that the caller gave, because not every
/// app takes a body without one.
struct Timed {
    body: Pin<Box<TimeoutBody<Incoming>>>,
    /// What is left of it, where the caller has said so.
    left: Option<u64>,
}

impl Timed {
    fn new(patience: Duration, body: Incoming) -> Self {
        let left = body.size_hint().exact();
        Self { body: Box::pin(TimeoutBody::new(patience, body)), left }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.body.as_mut().poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(left)) = (&polled, &mut self.left) {
            let length = frame.data_ref().map_or(0, Bytes::len);
            *left = left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// What a request is refused with if its head is larger than it may be. What is much larger hyper
/// refuses itself, without reading it: its buffer is full before the head has ended.
fn too_large<B>(request: &Request<B>) -> Option<StatusCode> {
    let uri = request.uri();
    let uri = uri.path().len() + uri.query().map_or(0, str::len);
    // As it came: `GET / HTTP/1.1`, then `name: value` in each line (RFC 9112 sections 3 and 5).
    let first = request.method().as_str().len() + " ".len() + uri + " HTTP/1.1\r\n".len();
    let lines = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + ": ".len() + value.len() + "\r\n".len());
    if uri > MAX_URI {
        return Some(StatusCode::URI_TOO_LONG);
    }
    let head = first + lines.sum::<usize>();
    (head > MAX_HEAD).then_some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
}
