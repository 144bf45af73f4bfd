//! TLS with a certificate and key from files, which may be replaced while the server runs.

use crate::looks::Looks;
use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The certificate and its key, PEM.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    /// The certificate, and after it those that lead to its root.
    pub(crate) cert: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// TLS for connections that come in.
pub(crate) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// The certificate that the next connection is shown.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files: TLS 1.2 and 1.3, with rustls' own choice of what is safe today.
    ///
    /// # Errors
    /// If they cannot be used.
    pub(crate) fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let current = Arc::new(Current(RwLock::new(Arc::new(files.read()?))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .context("setting up TLS 1.2 and 1.3")?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Resumption without keeping every session in memory; the tickets' key changes by itself.
        config.ticketer = Ticketer::new().context("setting up TLS session tickets")?;
        Ok(Self { files, current, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Takes connections.
    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// If they cannot be used; then the certificate stays that was there.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let fresh = Arc::new(self.files.read()?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reads the files again when they change, and at each SIGHUP, until `stopping`.
    ///
    /// # Errors
    /// If the process cannot listen for signals.
    pub(crate) async fn watch(&self, stopping: CancellationToken) -> anyhow::Result<()> {
        let mut looks = Looks::new(LOOK_EVERY, stopping)?;
        let mut seen = self.files.state();
        while let Some(asked) = looks.next().await {
            let state = self.files.state();
            if asked || state != seen {
                seen = state;
                self.reload_and_say();
            }
        }
        Ok(())
    }

    fn reload_and_say(&self) {
        let file = self.files.cert.display();
        match self.reload() {
            Ok(()) => tracing::info!(%file, "the TLS certificate was read again"),
            Err(error) => tracing::error!(
                %file,
                error = format!("{error:#}"),
                "the new TLS certificate cannot be used, so the one before stays"
            ),
        }
    }
}

impl TlsFiles {
    fn read(&self) -> anyhow::Result<CertifiedKey> {
        let at = |path: &Path| path.display().to_string();
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| {
                format!("reading the TLS certificate {}: it must be PEM", at(&self.cert))
            })?;
        if chain.is_empty() {
            anyhow::bail!("reading the TLS certificate {}: it holds none", at(&self.cert));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("reading the TLS key {}: it must be PEM", at(&self.key)))?;
        CertifiedKey::from_der(chain, key, &default_provider()).with_context(|| {
            format!(
                "using the TLS certificate {} with the key {}: do they belong together?",
                at(&self.cert),
                at(&self.key)
            )
        })
    }

    /// What changes when a file is written or replaced, also behind a symbolic link.
    fn state(&self) -> [Option<(u64, u64, i64, i64)>; 2] {
        let of = |path: &Path| {
            let state =
                |found: Metadata| (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
            std::fs::metadata(path).ok().map(state)
        };
        [of(&self.cert), of(&self.key)]
    }
}
