//! Connections for protocols other than HTTP: through the guard, and with TLS if wanted.

use crate::guard::{Guard, GuardError};
use crate::roots::{self, RootsError};
use rustls::pki_types::ServerName;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Time for the TLS handshake, after the guard's own time for connecting.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connects with and without TLS. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct Dialer {
    guard: Guard,
    tls: TlsConnector,
}

/// There is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The guard made none.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The other side does not speak TLS, or its certificate is not trusted.
    #[error("speaking TLS with {host}")]
    Tls {
        /// The host.
        host: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl Dialer {
    /// A dialer that trusts the system's roots and those in `extra_roots_pem`.
    ///
    /// # Errors
    /// [`RootsError`] if the added roots cannot be used.
    pub fn new(guard: Guard, extra_roots_pem: Option<&[u8]>) -> Result<Self, RootsError> {
        let mut config = roots::client_config(extra_roots_pem)?;
        config.alpn_protocols = Vec::new();
        Ok(Self { guard, tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Connects without TLS.
    ///
    /// # Errors
    /// See [`GuardError`].
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, GuardError> {
        self.guard.connect(host, port).await
    }

    /// Connects and speaks TLS at once.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn connect_tls(
        &self,
        host: &str,
        port: u16,
    ) -> Result<impl AsyncRead + AsyncWrite + Debug + Send + Sync + Unpin + use<>, DialError> {
        let tcp = self.guard.connect(host, port).await?;
        let failed = |source| DialError::Tls { host: host.to_owned(), source };
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|refused| failed(io::Error::new(io::ErrorKind::InvalidInput, refused)))?;
        timeout(HANDSHAKE, self.tls.connect(name, tcp))
            .await
            .map_err(|_| failed(io::ErrorKind::TimedOut.into()))?
            .map_err(failed)
    }
}
