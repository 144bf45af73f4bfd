//! Calls whose bodies are passed on while they arrive, both ways, in flat memory.

use crate::client::HttpClient;
use crate::hop::remove_hop_by_hop;
use crate::http_error::HttpError;
use crate::redirect;
use bytes::Bytes;
use causeway_types::RedactedUrl;
use http::header::{self, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

/// A body that is sent while it is read.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// The caller's body broke off.
#[derive(Debug, thiserror::Error)]
#[error("reading the body to send")]
pub struct BodyError(#[source] Box<dyn Error + Send + Sync>);

impl BodyError {
    /// Why it did.
    pub fn new(source: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }
}

/// The bounds of a call that streams.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Time in which something must move: a piece of the request, the answer's head, a piece of
    /// its body.
    pub idle: Duration,
    /// The largest answer body in bytes, if there is a limit.
    pub max_response_bytes: Option<u64>,
}

/// An answer whose body is still to come.
pub struct StreamedResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that concern one hop only.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ResponseBody,
    /// The connection, if the request asked for an [`Upgrade`] and the other side agreed (status
    /// 101).
    pub upgraded: Option<Box<dyn Duplex>>,
}

/// Asks to go on with another protocol, as an extension of a request: the value of its `Upgrade`
/// header (RFC 9110, section 7.8).
#[derive(Debug, Clone)]
pub struct Upgrade(pub String);

/// A connection that is read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl HttpClient {
    /// Sends a request whose body is streamed, and gives the answer as soon as its head is here.
    /// No redirect is followed: the redirect is the answer. Nothing is sent twice.
    ///
    /// # Errors
    /// See [`HttpError`]; the answer's body has errors of its own.
    pub async fn stream(
        &self,
        request: http::Request<RequestBody>,
        limits: StreamLimits,
    ) -> Result<StreamedResponse, HttpError> {
        let (mut head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string())
            .ok()
            .filter(redirect::is_callable)
            .ok_or(HttpError::InvalidUrl)?;
        remove_hop_by_hop(&mut head.headers, self.offers_http2());
        head.headers.remove(header::HOST);
        let upgrade = head.extensions.remove::<Upgrade>();
        if let Some(Upgrade(protocol)) = &upgrade {
            let protocol = HeaderValue::from_str(protocol).map_err(|_| HttpError::InvalidUrl)?;
            head.headers.insert(header::UPGRADE, protocol);
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        head.headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!("causeway/", env!("CARGO_PKG_VERSION"))));
        let shown = || Box::new(RedactedUrl::new(url.clone()));
        let progress = Arc::new(Progress::new());
        let body = Watched { body, progress: Arc::clone(&progress) }.boxed_unsync();
        let answer = self.streaming().request(http::Request::from_parts(head, body));
        let mut answer = std::pin::pin!(answer);
        let answer = loop {
            let patience = sleep_until(progress.last() + limits.idle);
            tokio::select! {
                answer = &mut answer => break answer,
                () = patience => {
                    if progress.last().elapsed() >= limits.idle {
                        return Err(HttpError::Timeout { url: shown(), within: limits.idle });
                    }
                }
            }
        };
        let answer = answer.map_err(|failed| HttpError::from_client(failed, shown(), false))?;
        tracing::debug!(url = %shown(), status = answer.status().as_u16(), "called");
        let mut answer = answer;
        let upgraded = match upgrade {
            Some(_) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let upgraded = hyper::upgrade::on(&mut answer).await.map_err(|source| {
                    HttpError::Exchange { url: shown(), source: source.into() }
                })?;
                let socket: Box<dyn Duplex> = Box::new(TokioIo::new(upgraded));
                Some(socket)
            }
            _ => None,
        };
        let (mut head, body) = answer.into_parts();
        remove_hop_by_hop(&mut head.headers, false);
        let body = ResponseBody {
            body,
            patience: Box::pin(sleep_until(Instant::now() + limits.idle)),
            moved: Instant::now(),
            idle: limits.idle,
            limit: limits.max_response_bytes.unwrap_or(u64::MAX),
            received: 0,
            url,
        };
        Ok(StreamedResponse { status: head.status, headers: head.headers, body, upgraded })
    }
}

/// When a piece of the request last left.
struct Progress {
    began: Instant,
    millis: AtomicU64,
}

impl Progress {
    fn new() -> Self {
        Self { began: Instant::now(), millis: AtomicU64::new(0) }
    }

    fn note(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// A request body that says when a piece of it leaves.
struct Watched {
    body: RequestBody,
    progress: Arc<Progress>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.progress.note();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a [`StreamedResponse`].
pub struct ResponseBody {
    body: Incoming,
    /// Wakes whoever waits for the next piece. Set when somebody does, since most pieces are here.
    patience: Pin<Box<Sleep>>,
    /// When the last piece came.
    moved: Instant,
    idle: Duration,
    limit: u64,
    received: u64,
    url: Url,
}

impl ResponseBody {
    /// All of it, if it has no more than `most` bytes.
    ///
    /// # Errors
    /// [`HttpError::TooLarge`], and as the body's own.
    pub async fn collect_within(mut self, most: u64) -> Result<Bytes, HttpError> {
        self.limit = self.limit.min(most);
        Ok(self.collect().await?.to_bytes())
    }

    fn shown(&self) -> RedactedUrl {
        RedactedUrl::new(self.url.clone())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                this.received += u64::try_from(size).unwrap_or(u64::MAX);
                if this.received > this.limit {
                    let (url, limit) = (Box::new(this.shown()), this.limit);
                    return Poll::Ready(Some(Err(HttpError::TooLarge { url, limit })));
                }
                this.moved = Instant::now();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(source))) => {
                let url = Box::new(this.shown());
                Poll::Ready(Some(Err(HttpError::Exchange { url, source: source.into() })))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let until = this.moved + this.idle;
                if this.patience.deadline() < until {
                    this.patience.as_mut().reset(until);
                }
                ready!(this.patience.as_mut().poll(cx));
                let (url, within) = (Box::new(this.shown()), this.idle);
                Poll::Ready(Some(Err(HttpError::Timeout { url, within })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
