//! The HTTP client.

use crate::connector::Connector;
use crate::guard::Guard;
use crate::http_error::HttpError;
use crate::redirect::{self, Outgoing};
use crate::response::{Bounds, Response};
use crate::roots::{self, RootsError};
use crate::stream::RequestBody;
use bytes::Bytes;
use causeway_types::RedactedUrl;
use http::header::{self, HeaderValue};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// An unused connection is kept for that long; most servers close theirs after 60 s or more.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections kept for one host.
const IDLE_PER_HOST: usize = 8;
/// The same for calls that stream, of which a proxy makes many at once.
const IDLE_STREAMS_PER_HOST: usize = 64;
/// A connection of HTTP/2 with requests under way is asked as often whether it lives, and given
/// as long to answer.
const PING: Duration = Duration::from_secs(15);
/// The read buffer for an answer head, in bytes; a head that outgrows it is refused.
const MOST_HEAD: usize = 64 * 1024;

/// What the client needs besides the guard.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Root certificates to trust in addition to the system's, PEM: a company's own authority.
    pub extra_roots_pem: Option<Vec<u8>>,
}

/// The bounds of one call.
#[derive(Debug, Clone, Copy)]
pub struct RequestLimits {
    /// Time for everything: look-up, connection, redirects, the whole body. Default 30 s.
    pub total: Duration,
    /// The largest answer body in bytes. Default 1 MiB.
    pub max_response_bytes: u64,
    /// How many redirects are followed; with 0, the redirect itself is the answer. Default 5.
    pub max_redirects: u8,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { total: Duration::from_secs(30), max_response_bytes: 1 << 20, max_redirects: 5 }
    }
}

/// The client. Cloning gives another handle to the same pool of connections.
#[derive(Clone)]
pub struct HttpClient {
    connector: Connector,
    client: Client<Connector, Full<Bytes>>,
    streaming: Client<Connector, RequestBody>,
}

impl HttpClient {
    /// A client whose connections go through `guard`.
    ///
    /// # Errors
    /// [`RootsError`] if the added roots cannot be used. Missing system roots are only logged,
    /// since an installation may call nothing but its own networks.
    pub fn new(guard: Guard, config: &HttpConfig) -> Result<Self, RootsError> {
        let tls = roots::client_config(config.extra_roots_pem.as_deref())?;
        Ok(Self::over(Connector::new(guard, tls)))
    }

    /// A client with connections of its own, which speaks HTTP/2 to those who do.
    ///
    /// Requests of HTTP/2 share a connection, and with it the windows of RFC 9113, section 5.2, and
    /// the server's limit of requests at once. One that is not read holds up the others, so such
    /// a client is for one user only; everybody shares the one that speaks HTTP/1.1.
    #[must_use]
    pub fn with_http2(&self) -> Self {
        Self::over(self.connector.with_http2())
    }

    fn over(connector: Connector) -> Self {
        let builder = |idle_per_host| {
            #[expect(
                clippy::disallowed_methods,
                reason = "these are the clients that the ban points to"
            )]
            let mut builder = Client::builder(TokioExecutor::new());
            builder
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle_per_host)
                .http1_max_buf_size(MOST_HEAD)
                .timer(TokioTimer::new())
                .http2_max_header_list_size(u32::try_from(MOST_HEAD).unwrap_or(u32::MAX))
                .http2_keep_alive_interval(PING)
                .http2_keep_alive_timeout(PING);
            builder
        };
        let client = builder(IDLE_PER_HOST).build(connector.clone());
        let streaming = builder(IDLE_STREAMS_PER_HOST).build(connector.clone());
        Self { connector, client, streaming }
    }

    /// Whether it speaks HTTP/2 to those who do.
    pub(crate) fn offers_http2(&self) -> bool {
        self.connector.offers_http2()
    }

    /// The client for bodies that are streamed.
    pub(crate) fn streaming(&self) -> &Client<Connector, RequestBody> {
        &self.streaming
    }

    /// Sends a request and follows its redirects.
    ///
    /// The URI must be absolute. `https` goes to the public Internet and to the operator's
    /// allowed networks, `http` to the latter only. A redirect to another origin is followed
    /// without `Authorization`, `Cookie` and every header whose value is marked
    /// [`HeaderValue::set_sensitive`]; with a body it is refused. `Host` and `Content-Length`
    /// are always the client's own. Nothing is sent twice: a call that failed is the caller's to
    /// repeat, see [`HttpError::may_have_been_sent`].
    ///
    /// # Errors
    /// See [`HttpError`]. A status of 400 or more is an answer, not an error.
    pub async fn request(
        &self,
        request: http::Request<Bytes>,
        limits: RequestLimits,
    ) -> Result<Response, HttpError> {
        let mut outgoing = prepare(request)?;
        let deadline = Instant::now() + limits.total;
        let max_bytes = limits.max_response_bytes;
        let bounds = Bounds { within: limits.total, deadline, max_bytes, left_bytes: max_bytes };
        let mut redirects = 0;
        loop {
            let shown = || Box::new(RedactedUrl::new(outgoing.url.clone()));
            let late = |_| HttpError::Timeout { url: shown(), within: limits.total };
            let answer = timeout_at(deadline, self.client.request(outgoing.to_request()?))
                .await
                .map_err(late)?
                .map_err(|failed| HttpError::from_client(failed, shown(), redirects > 0))?;
            tracing::debug!(url = %shown(), status = answer.status().as_u16(), "called");
            let next = match limits.max_redirects {
                0 => None,
                _ => redirect::next(&outgoing, answer.status(), answer.headers())?,
            };
            let Some(next) = next else { return Response::new(answer, outgoing.url, bounds) };
            if redirects == limits.max_redirects {
                return Err(HttpError::TooManyRedirects { url: shown(), limit: redirects });
            }
            redirects += 1;
            outgoing = next;
        }
    }
}

/// Takes the request apart and puts the client's own headers on it.
fn prepare(request: http::Request<Bytes>) -> Result<Outgoing, HttpError> {
    let (mut head, body) = request.into_parts();
    let url = Url::parse(&head.uri.to_string())
        .ok()
        .filter(redirect::is_callable)
        .ok_or(HttpError::InvalidUrl)?;
    for own in [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        head.headers.remove(own);
    }
    head.headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!("causeway/", env!("CARGO_PKG_VERSION"))));
    Ok(Outgoing { method: head.method, url, headers: head.headers, body })
}

impl Outgoing {
    fn to_request(&self) -> Result<http::Request<Full<Bytes>>, HttpError> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() =
            self.url.as_str().parse::<http::Uri>().map_err(|_| HttpError::InvalidUrl)?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}
