//! Private keys as customers and companies have them, and what a row asks for.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use causeway_catalog::{App, Field, JwtAlgorithm};
use causeway_types::entity::Scheme;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, PublicKeyData as _};

/// One key of each kind.
pub(crate) struct Keys {
    rsa: KeyPair,
    p256: KeyPair,
    ed25519: KeyPair,
}

impl Keys {
    pub(crate) fn generate() -> Self {
        Self {
            rsa: KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap(),
            p256: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            ed25519: KeyPair::generate_for(&PKCS_ED25519).unwrap(),
        }
    }

    fn of(
        &self,
        algorithm: JwtAlgorithm,
    ) -> Option<(&KeyPair, &'static dyn VerificationAlgorithm)> {
        match algorithm {
            JwtAlgorithm::HS256 => None,
            JwtAlgorithm::RS256 => Some((&self.rsa, &RSA_PKCS1_2048_8192_SHA256)),
            JwtAlgorithm::ES256 => Some((&self.p256, &ECDSA_P256_SHA256_FIXED)),
            JwtAlgorithm::EdDSA => Some((&self.ed25519, &ED25519)),
        }
    }

    /// The private key in PEM; `None` for an algorithm whose key is a text.
    pub(crate) fn pem(&self, algorithm: JwtAlgorithm) -> Option<String> {
        self.of(algorithm).map(|(key, _)| key.serialize_pem())
    }

    /// Whether a signature is of this key.
    pub(crate) fn has_signed(
        &self,
        algorithm: JwtAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some((key, algorithm)) = self.of(algorithm) else { return false };
        UnparsedPublicKey::new(algorithm, key.der_bytes()).verify(message, signature).is_ok()
    }
}

/// What a customer is asked for: the fields of the app and of the scheme.
pub(crate) fn fields(app: &App, scheme: Scheme) -> impl Iterator<Item = &Field> {
    let auth = &app.auth;
    let own = match scheme {
        Scheme::ApiKey => auth.api_key.as_ref().map(|row| &row.fields),
        Scheme::ClientCredentials => auth.client_credentials.as_ref().map(|row| &row.fields),
        Scheme::Jwt => auth.jwt.as_ref().map(|row| &row.fields),
        Scheme::TokenExchange => auth.token_exchange.as_ref().map(|row| &row.fields),
        Scheme::Signature => auth.signature.as_ref().map(|row| &row.fields),
        _ => None,
    };
    app.fields.iter().chain(own.into_iter().flatten())
}
