//! Tokens that Causeway signs: JSON Web Tokens (RFC 7519) in compact form (RFC 7515).
//!
//! With aws-lc-rs itself rather than through a library for tokens: keys of customers come in more
//! forms than those take, and headers and claims are the row's.

use crate::encoding;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use causeway_catalog::{JwtAlgorithm, KeyForm};
use causeway_types::SecretString;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

/// A key to sign with.
pub(crate) enum SigningKey {
    Hs256(Box<hmac::Key>),
    Rs256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a key for this algorithm; `None` if it is none.
    pub(crate) fn read(text: &str, algorithm: JwtAlgorithm, form: KeyForm) -> Option<Self> {
        if algorithm == JwtAlgorithm::HS256 {
            let key = encoding::key_bytes(text, form)?;
            return Some(Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &key))));
        }
        let key = match form {
            KeyForm::Text => Self::of_pem(text)?,
            KeyForm::Base64 | KeyForm::Hex => {
                let bytes = encoding::key_bytes(text, form)?;
                // A PEM file that was encoded once more, or what stands in one.
                match std::str::from_utf8(&bytes) {
                    Ok(text) => Self::of_pem(text)?,
                    Err(_) => Self::of_der("PRIVATE KEY", &bytes)?,
                }
            }
        };
        let fits = matches!(
            (&key, algorithm),
            (Self::Rs256(_), JwtAlgorithm::RS256)
                | (Self::Es256(_), JwtAlgorithm::ES256)
                | (Self::EdDsa(_), JwtAlgorithm::EdDSA)
        );
        fits.then_some(key)
    }

    /// Reads a private key in PEM; its kind says the algorithm.
    pub(crate) fn of_pem(text: &str) -> Option<Self> {
        let (label, der) = encoding::pem(text)?;
        Self::of_der(&label, &der)
    }

    fn of_der(label: &str, der: &[u8]) -> Option<Self> {
        match label {
            // PKCS #1 (RFC 8017, appendix A.1.2).
            "RSA PRIVATE KEY" => {
                RsaKeyPair::from_der(der).ok().map(|key| Self::Rs256(Box::new(key)))
            }
            // SEC 1 (RFC 5915).
            "EC PRIVATE KEY" => {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .ok()
                    .map(|key| Self::Es256(Box::new(key)))
            }
            // PKCS #8 (RFC 5958) says itself what it holds.
            "PRIVATE KEY" => {
                if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
                    return Some(Self::Rs256(Box::new(key)));
                }
                if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
                    return Some(Self::Es256(Box::new(key)));
                }
                Ed25519KeyPair::from_pkcs8(der).ok().map(|key| Self::EdDsa(Box::new(key)))
            }
            _ => None,
        }
    }

    /// The name of its algorithm (RFC 7518, section 3.1; RFC 8037).
    fn name(&self) -> &'static str {
        match self {
            Self::Hs256(_) => "HS256",
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// Signs a token; `alg` and `typ` of its header are set here. `None` if the library refuses
    /// the key.
    pub(crate) fn sign(
        &self,
        mut header: Map<String, Value>,
        claims: Map<String, Value>,
    ) -> Option<SecretString> {
        header.insert("alg".into(), self.name().into());
        header.entry("typ").or_insert_with(|| "JWT".into());
        let part = |map| BASE64URL_NOPAD.encode(Value::Object(map).to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = match self {
            Self::Hs256(key) => hmac::sign(key, message.as_bytes()).as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message.as_bytes(),
                    &mut signature,
                )
                .ok()?;
                signature
            }
            Self::Es256(key) => {
                key.sign(&SystemRandom::new(), message.as_bytes()).ok()?.as_ref().to_vec()
            }
            Self::EdDsa(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        };
        Some(SecretString::new(format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))))
    }
}

#[cfg(test)]
#[path = "jws/tests.rs"]
pub(crate) mod tests;
