//! Whom TLS trusts: the operating system's roots and those that the operator adds.

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::sync::Arc;

/// The client's TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The added PEM text does not read.
    #[error("reading the added root certificates; they must be PEM, `-----BEGIN CERTIFICATE-----`")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// The added PEM text holds nothing.
    #[error("the added root certificates hold no certificate; they must be PEM")]
    Empty,
    /// An added certificate cannot be a root.
    #[error("an added root certificate cannot be used")]
    Unusable(#[source] rustls::Error),
    /// The crypto library refuses the protocol versions.
    #[error("setting up TLS 1.2 and 1.3")]
    Versions(#[source] rustls::Error),
}

/// The TLS configuration for calls to apps: TLS 1.2 and 1.3, HTTP/1.1, aws-lc-rs.
pub(crate) fn client_config(added_pem: Option<&[u8]>) -> Result<ClientConfig, RootsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for failure in &native.errors {
        tracing::warn!(error = %failure, "a root certificate of the system was left out");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(pem) = added_pem {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(RootsError::Pem)?).map_err(RootsError::Unusable)?;
        }
        if roots.len() == before {
            return Err(RootsError::Empty);
        }
    }
    if roots.is_empty() {
        tracing::warn!(
            "no root certificates found, so every https call will fail; install the system's ca-certificates package"
        );
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RootsError::Versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
