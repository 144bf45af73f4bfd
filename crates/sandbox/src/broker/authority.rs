//! The certificate authority of one sandbox.

use causeway_types::{OsRandom, Randomness as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig, pki_types::PrivateKeyDer};

/// Hosts whose certificates are kept. An app's hosts may be any below a name.
const MOST_HOSTS: usize = 64;

/// Signs certificates for apps' hosts that one sandbox trusts, and nobody else. Its key is made
/// with the sandbox, never leaves the server's memory, and ends with the sandbox.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// In PEM: what is put into the sandbox.
    certificate: String,
    leaf_key: KeyPair,
    seed: [u8; 32],
    made: Mutex<HashMap<String, TlsAcceptor>>,
}

impl Authority {
    /// Makes keys and the authority's own certificate.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, "Causeway sandbox");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        let mut seed = [0; 32];
        OsRandom.fill(&mut seed);
        Ok(Self {
            seed,
            issuer: Issuer::new(params, key),
            certificate,
            leaf_key: KeyPair::generate()?,
            made: Mutex::default(),
        })
    }

    /// Random bytes that are this sandbox's own.
    pub(crate) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// The certificate in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// What ends the TLS of connections to a host; `None` if no certificate can name it.
    ///
    /// The certificate is always that of the host that the code dialled, whatever the client
    /// names in its handshake: a client that meant another host sees so and goes away.
    pub(crate) fn acceptor(&self, host: &str) -> Option<TlsAcceptor> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(host) {
            return Some(known.clone());
        }
        let acceptor = match self.make(host) {
            Ok(acceptor) => acceptor,
            Err(why) => {
                tracing::warn!(host, error = %why, "no certificate for an app's host");
                return None;
            }
        };
        if made.len() >= MOST_HOSTS {
            made.clear();
        }
        made.insert(host.to_owned(), acceptor.clone());
        Some(acceptor)
    }

    fn make(&self, host: &str) -> Result<TlsAcceptor, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "Causeway broker");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.leaf_key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(self.leaf_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
