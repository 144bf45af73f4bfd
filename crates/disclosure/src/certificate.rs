//! Reading the operator's key files, and choosing the key in them that may be used now.
//!
//! A *certificate* is a primary key with its users and subkeys, each bound to it by a signature of
//! its own (RFC 9580 section 10.1). What a key is for, and until when, stands in the newest
//! signature that binds it.

use causeway_types::Timestamp;
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{PublicSubkey, Signature, SignatureType};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails, Tag};

/// The length of a 2048-bit modulus in bytes: what RFC 9580 section 12.4 still lets be used.
const SHORTEST_RSA: usize = 256;

/// A key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is neither an armored nor a binary key of the expected kind.
    #[error("reading an OpenPGP {expected} key: the file holds none")]
    Unreadable {
        /// `public` or `secret`.
        expected: &'static str,
        /// What the reader says.
        #[source]
        source: Box<pgp::errors::Error>,
    },
    /// It holds more than one.
    #[error(
        "reading an OpenPGP {expected} key: the file holds several; export the one that is meant"
    )]
    Several {
        /// `public` or `secret`.
        expected: &'static str,
    },
    /// It cannot be written again.
    #[error("writing the OpenPGP key {fingerprint} as text")]
    Unwritable {
        /// Of the primary key.
        fingerprint: String,
        /// What the writer says.
        #[source]
        source: Box<pgp::errors::Error>,
    },
    /// No key in it may be encrypted to now.
    #[error(
        "choosing the OpenPGP key to encrypt to: {fingerprint} has none that is for encryption, long enough, and neither expired nor revoked"
    )]
    NotForEncryption {
        /// Of the primary key.
        fingerprint: String,
    },
    /// No key in it may sign now.
    #[error(
        "choosing the OpenPGP key to sign with: {fingerprint} has none that signs with Ed25519 or ECDSA, is neither expired nor revoked, and is not locked by a passphrase"
    )]
    NotForSigning {
        /// Of the primary key.
        fingerprint: String,
    },
}

/// What a key is to be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Encrypt,
    Sign,
}

/// A key of a certificate.
pub(crate) enum Chosen<'a> {
    Primary(&'a pgp::packet::PublicKey),
    Subkey(&'a PublicSubkey),
}

/// Reads the one key of a file, armored or binary.
pub(crate) fn read_one<T: Deserializable>(
    file: &[u8],
    expected: &'static str,
) -> Result<T, KeyError> {
    let unreadable = |source| KeyError::Unreadable { expected, source: Box::new(source) };
    let (mut keys, _) = T::from_reader_many_buf(file).map_err(unreadable)?;
    let none = || unreadable(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    let key = keys.next().ok_or_else(none)?.map_err(unreadable)?;
    match keys.next() {
        None => Ok(key),
        Some(_) => Err(KeyError::Several { expected }),
    }
}

/// A fingerprint as people compare it: upper-case hexadecimal.
pub(crate) fn fingerprint(key: &impl KeyDetails) -> String {
    format!("{:X}", key.fingerprint())
}

/// The newest key that may be used for this now.
pub(crate) fn choose(
    certificate: &SignedPublicKey,
    purpose: Purpose,
    now: Timestamp,
) -> Option<Chosen<'_>> {
    let primary = &certificate.primary_key;
    let own = own_signatures(certificate);
    let revoked = certificate
        .details
        .revocation_signatures
        .iter()
        .any(|signature| signature.verify_key(primary).is_ok());
    // A primary key that has ended takes its subkeys with it.
    let binding = newest(own, now)?;
    if revoked || has_expired(primary, binding, now) {
        return None;
    }
    let subkey = certificate
        .public_subkeys
        .iter()
        .filter(|subkey| suits(&subkey.key, purpose))
        .filter(|subkey| is_bound(certificate, subkey, purpose, now))
        .max_by_key(|subkey| subkey.key.created_at());
    if let Some(subkey) = subkey {
        return Some(Chosen::Subkey(&subkey.key));
    }
    (suits(primary, purpose) && is_for(binding, purpose)).then_some(Chosen::Primary(primary))
}

/// The primary key's signatures over itself and its users.
fn own_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let primary = &certificate.primary_key;
    let direct = certificate
        .details
        .direct_signatures
        .iter()
        .filter(|signature| signature.verify_key(primary).is_ok());
    let users = certificate.details.users.iter().flat_map(|user| {
        user.signatures.iter().filter(|signature| {
            signature.is_certification()
                && signature.verify_certification(primary, Tag::UserId, &user.id).is_ok()
        })
    });
    direct.chain(users)
}

/// Whether a subkey may be used: bound by the primary key, not revoked, not expired.
fn is_bound(
    certificate: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    purpose: Purpose,
    now: Timestamp,
) -> bool {
    let primary = &certificate.primary_key;
    let verified = || {
        subkey
            .signatures
            .iter()
            .filter(|signature| signature.verify_subkey_binding(primary, &subkey.key).is_ok())
    };
    if verified().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
        return false;
    }
    newest(verified(), now)
        .is_some_and(|binding| is_for(binding, purpose) && !has_expired(&subkey.key, binding, now))
}

/// The newest signature that counts now.
fn newest<'a>(
    signatures: impl Iterator<Item = &'a Signature>,
    now: Timestamp,
) -> Option<&'a Signature> {
    signatures
        .filter(|signature| {
            let Some(created) = signature.created() else { return false };
            let created = u64::from(created.as_secs());
            created <= now.as_secs()
                && !is_over(created, signature.signature_expiration_time(), now)
        })
        .max_by_key(|signature| signature.created())
}

fn has_expired(key: &impl KeyDetails, binding: &Signature, now: Timestamp) -> bool {
    is_over(u64::from(key.created_at().as_secs()), binding.key_expiration_time(), now)
}

/// Whether a time that begins at `start`, in seconds, and lasts so long is over; no length, or
/// one of zero, means for ever (RFC 9580 section 5.2.3.13).
fn is_over(start: u64, lasts: Option<pgp::types::Duration>, now: Timestamp) -> bool {
    lasts
        .map(|lasts| std::time::Duration::from(lasts).as_secs())
        .filter(|lasts| *lasts > 0)
        .is_some_and(|lasts| start + lasts <= now.as_secs())
}

fn is_for(binding: &Signature, purpose: Purpose) -> bool {
    let flags = binding.key_flags();
    match purpose {
        Purpose::Encrypt => flags.encrypt_comms() || flags.encrypt_storage(),
        Purpose::Sign => flags.sign(),
    }
}

/// Whether the key's algorithm is one that is used here for this.
fn suits(key: &impl KeyDetails, purpose: Purpose) -> bool {
    use PublicKeyAlgorithm as Algorithm;
    match (purpose, key.algorithm()) {
        (Purpose::Encrypt, Algorithm::RSA) => key.public_params().write_len() > SHORTEST_RSA,
        (Purpose::Encrypt, Algorithm::ECDH | Algorithm::X25519 | Algorithm::X448)
        // No RSA: its private-key operations leak by timing (RUSTSEC-2023-0071).
        | (
            Purpose::Sign,
            Algorithm::EdDSALegacy | Algorithm::Ed25519 | Algorithm::Ed448 | Algorithm::ECDSA,
        ) => true,
        _ => false,
    }
}
