//! TLS of the stand-ins: an authority of the test's own, and a certificate for whatever name a
//! client asks for. And the resolver that leads every name here.

use causeway_net::{Resolve, Resolving};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use tokio_rustls::TlsAcceptor;

/// Every name leads to this machine.
pub(crate) struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

/// The authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    leaf_key: KeyPair,
    signing: Arc<dyn SigningKey>,
    made: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Clients name no addresses (RFC 6066, section 3).
        let name = hello.server_name().unwrap_or("127.0.0.1").to_owned();
        let mut made = self.made.lock().unwrap();
        let certificate = made.entry(name).or_insert_with_key(|name| {
            let params = CertificateParams::new(vec![name.clone()]).unwrap();
            let leaf = params.signed_by(&self.leaf_key, &self.issuer).unwrap();
            Arc::new(CertifiedKey::new(vec![leaf.der().clone()], self.signing.clone()))
        });
        Some(Arc::clone(certificate))
    }
}

/// What servers use, and the root certificate in PEM that clients have to trust.
pub(crate) fn acceptor() -> (TlsAcceptor, String) {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().pem();
    let leaf_key = KeyPair::generate().unwrap();
    let der = PrivateKeyDer::Pkcs8(leaf_key.serialize_der().into());
    let authority = Authority {
        issuer: Issuer::new(params, key),
        signing: any_supported_type(&der).unwrap(),
        leaf_key,
        made: Mutex::default(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(authority));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), root)
}
