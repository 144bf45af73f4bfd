//! The operator's public key, to which reports are encrypted.

use crate::certificate::{self, Chosen, KeyError, Purpose};
use crate::rng::Rng;
use causeway_types::{Randomness, Timestamp};
use pgp::composed::{ArmorOptions, MessageBuilder, SignedPublicKey};
use pgp::crypto::sym::SymmetricKeyAlgorithm;

/// The operator's public key.
pub struct Recipient {
    certificate: SignedPublicKey,
    armored: String,
}

/// A report was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// The key has expired since the server was started.
    #[error("choosing the operator's key")]
    Key(#[source] KeyError),
    /// The library failed.
    #[error("encrypting to the operator's key")]
    Library(#[source] Box<pgp::errors::Error>),
}

impl Recipient {
    /// Reads a key from its file, armored or binary, and sees that it can be encrypted to now.
    ///
    /// # Errors
    /// [`KeyError`], also for a file with a secret key.
    pub fn read(file: &[u8], now: Timestamp) -> Result<Self, KeyError> {
        let certificate: SignedPublicKey = certificate::read_one(file, "public")?;
        let armored = certificate.to_armored_string(ArmorOptions::default()).map_err(|source| {
            KeyError::Unwritable {
                fingerprint: certificate::fingerprint(&certificate),
                source: Box::new(source),
            }
        })?;
        let recipient = Self { certificate, armored };
        recipient.choose(now)?;
        Ok(recipient)
    }

    /// The key as ASCII-armored text (RFC 9580 section 6.2).
    pub fn armored(&self) -> &str {
        &self.armored
    }

    /// The primary key's fingerprint, in upper-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        certificate::fingerprint(&self.certificate)
    }

    /// Encrypts a text so that only the operator reads it: AES-256 with the modification
    /// detection of RFC 9580 section 5.13.1, which every OpenPGP program reads. ASCII-armored.
    ///
    /// # Errors
    /// See [`EncryptError`].
    pub fn encrypt(
        &self,
        text: &str,
        now: Timestamp,
        random: &dyn Randomness,
    ) -> Result<String, EncryptError> {
        let failed = |source| EncryptError::Library(Box::new(source));
        let mut builder = MessageBuilder::from_bytes("", text.as_bytes().to_vec())
            .seipd_v1(Rng(random), SymmetricKeyAlgorithm::AES256);
        match self.choose(now).map_err(EncryptError::Key)? {
            Chosen::Primary(key) => builder.encrypt_to_key(Rng(random), key),
            Chosen::Subkey(key) => builder.encrypt_to_key(Rng(random), key),
        }
        .map_err(failed)?;
        builder.to_armored_string(Rng(random), ArmorOptions::default()).map_err(failed)
    }

    fn choose(&self, now: Timestamp) -> Result<Chosen<'_>, KeyError> {
        certificate::choose(&self.certificate, Purpose::Encrypt, now)
            .ok_or_else(|| KeyError::NotForEncryption { fingerprint: self.fingerprint() })
    }
}
