//! How the HTTP client gets its connections: through the guard, then TLS.

use crate::guard::{Guard, GuardError, Wire};
use http::Uri;
use http::uri::Scheme;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time for the TLS handshake, after the guard's own time for connecting.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The name of HTTP/2 over TLS (RFC 9113, section 3.1).
const H2: &[u8] = b"h2";

/// Connects for the HTTP client.
#[derive(Clone)]
pub(crate) struct Connector {
    guard: Guard,
    tls: Arc<rustls::ClientConfig>,
}

/// Why there is no connection. Nothing of the request has been sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error("speaking TLS with {host}")]
    Tls { host: String, source: Arc<io::Error> },
}

impl Connector {
    pub(crate) fn new(guard: Guard, tls: rustls::ClientConfig) -> Self {
        Self { guard, tls: Arc::new(tls) }
    }

    /// The same, which offers HTTP/2 besides (ALPN, RFC 7301).
    pub(crate) fn with_http2(&self) -> Self {
        let mut tls = (*self.tls).clone();
        tls.alpn_protocols.insert(0, H2.to_vec());
        Self::new(self.guard.clone(), tls)
    }

    /// Whether it offers HTTP/2.
    pub(crate) fn offers_http2(&self) -> bool {
        self.tls.alpn_protocols.iter().any(|name| name == H2)
    }

    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let wire = if secure { Wire::Any } else { Wire::Clear };
        let tcp = self.guard.connect_for(host, port, wire).await?;
        if !secure {
            return Ok(Stream { io: TokioIo::new(Box::new(tcp)), is_http2: false });
        }
        let failed = |source| ConnectError::Tls { host: host.to_owned(), source: Arc::new(source) };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|refused| failed(io::Error::new(io::ErrorKind::InvalidInput, refused)))?;
        let tls = timeout(HANDSHAKE, TlsConnector::from(self.tls).connect(name, tcp))
            .await
            .map_err(|_| GuardError::Timeout { host: host.to_owned(), port, within: HANDSHAKE })?
            .map_err(failed)?;
        let is_http2 = tls.get_ref().1.alpn_protocol() == Some(H2);
        Ok(Stream { io: TokioIo::new(Box::new(tls)), is_http2 })
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, with or without TLS.
pub(crate) struct Stream {
    io: TokioIo<Box<dyn Duplex>>,
    is_http2: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
