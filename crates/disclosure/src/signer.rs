//! The key that signs `security.txt`.

use crate::certificate::{self, Chosen, KeyError, Purpose};
use crate::rng::Rng;
use causeway_types::{Code, Coded, Randomness, SecretBytes, Timestamp};
use pgp::composed::{ArmorOptions, CleartextSignedMessage, SignedSecretKey};
use pgp::packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData};
use pgp::types::{KeyDetails as _, KeyVersion, Password, SecretParams, SigningKey};
use std::borrow::Cow;

/// A secret key that signs texts. Its memory is wiped by the library when it is dropped.
pub struct TextSigner {
    key: SignedSecretKey,
    armored: String,
}

/// A text was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key has expired since the server was started.
    #[error("choosing the key that signs security.txt")]
    Key(#[source] KeyError),
    /// The library failed.
    #[error("signing security.txt")]
    Library(#[source] Box<pgp::errors::Error>),
}

impl Coded for SignError {
    fn code(&self) -> Code {
        Code::Internal
    }

    fn public(&self) -> Cow<'static, str> {
        "The text could not be signed with the operator's key, which may have expired.".into()
    }
}

impl TextSigner {
    /// Reads a key from its file, armored or binary, and sees that it can sign now.
    ///
    /// # Errors
    /// [`KeyError`], also for a key that is locked by a passphrase.
    pub fn read(file: &SecretBytes, now: Timestamp) -> Result<Self, KeyError> {
        let key: SignedSecretKey = certificate::read_one(file.expose(), "secret")?;
        let public = key.to_public_key();
        let fingerprint = certificate::fingerprint(&public);
        let armored = public.to_armored_string(ArmorOptions::default()).map_err(|source| {
            KeyError::Unwritable { fingerprint: fingerprint.clone(), source: Box::new(source) }
        })?;
        let signer = Self { key, armored };
        signer.with_key(now, |_| ())?;
        Ok(signer)
    }

    /// The public half, ASCII-armored.
    pub fn armored(&self) -> &str {
        &self.armored
    }

    /// The primary key's fingerprint, in upper-case hexadecimal.
    pub fn fingerprint(&self) -> String {
        certificate::fingerprint(&self.key.primary_key)
    }

    /// Signs a text in the cleartext framework (RFC 9580 section 7).
    ///
    /// # Errors
    /// See [`SignError`].
    pub fn sign(
        &self,
        text: &str,
        now: Timestamp,
        random: &dyn Randomness,
    ) -> Result<String, SignError> {
        let failed = |source| SignError::Library(Box::new(source));
        // The line end before the signature is not part of the text (RFC 9580 section 7.1).
        let text = text.strip_suffix('\n').unwrap_or(text);
        self.with_key(now, |key| sign(key, text, now, random))
            .map_err(SignError::Key)?
            .and_then(|message| message.to_armored_string(ArmorOptions::default()))
            .map_err(failed)
    }

    /// Calls `then` with the secret key that may sign now.
    fn with_key<T>(
        &self,
        now: Timestamp,
        then: impl FnOnce(&dyn SigningKey) -> T,
    ) -> Result<T, KeyError> {
        let refused = || KeyError::NotForSigning { fingerprint: self.fingerprint() };
        let public = self.key.to_public_key();
        match certificate::choose(&public, Purpose::Sign, now).ok_or_else(refused)? {
            Chosen::Primary(_) if is_open(self.key.primary_key.secret_params()) => {
                Ok(then(&self.key.primary_key))
            }
            Chosen::Primary(_) => Err(refused()),
            Chosen::Subkey(chosen) => self
                .key
                .secret_subkeys
                .iter()
                .find(|one| one.key.fingerprint() == chosen.fingerprint())
                .filter(|one| is_open(one.key.secret_params()))
                .map(|one| then(&one.key))
                .ok_or_else(refused),
        }
    }
}

fn sign(
    key: &dyn SigningKey,
    text: &str,
    now: Timestamp,
    random: &dyn Randomness,
) -> pgp::errors::Result<CleartextSignedMessage> {
    let key = Box::new(key);
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let created = SubpacketData::SignatureCreationTime(pgp::types::Timestamp::from_secs(seconds));
    let mut config = SignatureConfig::from_key(Rng(random), &key, SignatureType::Text)?;
    config.hashed_subpackets = vec![
        Subpacket::regular(created)?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    // RFC 9580 section 5.2.3.12: only up to version 4.
    if key.version() <= KeyVersion::V4 {
        let issuer = SubpacketData::IssuerKeyId(key.legacy_key_id());
        config.unhashed_subpackets = vec![Subpacket::regular(issuer)?];
    }
    CleartextSignedMessage::new(text, config, &key, &Password::empty())
}

fn is_open(params: &SecretParams) -> bool {
    !params.is_encrypted()
}
