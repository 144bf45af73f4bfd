//! The envelope that seals and wrapped keys share.
//!
//! ```text
//! version 1 | key id 16 | salt 32 | commitment 32 | ciphertext | tag 16
//! ```
//!
//! - A long-lived key enters HKDF-SHA256 (RFC 5869) once: extract, with a salt that names its
//!   use, gives the pseudorandom key. Every envelope expands that twice, with its own 32 random
//!   bytes of salt as the info, into a key for AES-256-GCM and a commitment.
//! - Each key seals one message, because salts do not repeat: among 2^64 envelopes under one key
//!   two share a salt with probability 2^-129. So the nonce of GCM may be all zeros, and there is
//!   no count of messages after which the long-lived key wears out.
//! - The salt stands in the info instead of the extract step. The long-lived key is uniform
//!   already, so extraction adds nothing that a fresh salt would improve, while expansion is
//!   HMAC, a pseudorandom function: its outputs under different infos are independent keys to
//!   whoever does not hold the pseudorandom key. This is the same derivation as the counter-mode
//!   KDFs of NIST SP 800-108, and lets the extract step be computed once for a key.
//! - The commitment is the second output. GCM alone commits to nothing: a ciphertext can be made
//!   that opens under two keys. An envelope opens only if its commitment equals, in constant time,
//!   the one that the key and the salt give; to make it equal under two keys is to find a
//!   collision of HMAC-SHA256.
//! - Associated data is a list of parts, each preceded by its length, so that no two lists read
//!   the same.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hmac};
use causeway_types::place::Sealed;
use causeway_types::{Randomness, SecretBytes};
use zeroize::Zeroizing;

use crate::{KEY_BYTES, KeyLength};

/// The one version that there is.
const VERSION: u8 = 1;
const ID: usize = 16;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const TAG: usize = 16;
const HEADER: usize = 1 + ID + SALT + COMMITMENT;

/// An envelope that does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is too short to be one.
    #[error("reading a seal: it is cut short")]
    Truncated,
    /// It begins with a version that this program does not know.
    #[error("reading a seal: version {found} is not known here")]
    Version {
        /// The version that it names.
        found: u8,
    },
    /// It was made with another key than the one at hand.
    #[error("opening a seal: it was made with another key")]
    OtherKey,
    /// It was changed, or it belongs to another workspace, record or field.
    #[error("opening a seal: it was changed, or moved here from another place")]
    Refused,
}

/// A plaintext that is longer than AES-GCM takes (64 GiB less 32 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("sealing a value: it is longer than 64 GiB")]
pub struct TooLong;

/// A long-lived key after HKDF's extract step. Boxed, so that moving it leaves no copies behind.
pub(crate) struct Root(Box<hmac::Key>);

impl Root {
    /// Extracts with a salt that names the use of the key, so that the same bytes used for two
    /// purposes would still give unrelated keys.
    pub(crate) fn new(purpose: &[u8], key: &SecretBytes) -> Result<Self, KeyLength> {
        if key.expose().len() != KEY_BYTES {
            return Err(KeyLength { found: key.expose().len() });
        }
        let salt = hmac::Key::new(hmac::HMAC_SHA256, purpose);
        let pseudorandom = keyed(&salt, key.expose());
        Ok(Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &*pseudorandom))))
    }

    /// The first 32 bytes of HKDF-Expand: HMAC over the info and the counter 1.
    fn expand(&self, label: u8, salt: &[u8; SALT]) -> Zeroizing<[u8; 32]> {
        let mut info = [1_u8; SALT + 2];
        if let Some((first, rest)) = info.split_first_mut() {
            *first = label;
            if let Some(rest) = rest.first_chunk_mut::<SALT>() {
                *rest = *salt;
            }
        }
        keyed(&self.0, &info)
    }

    /// A short public name of the key: 16 bytes that say nothing about it.
    pub(crate) fn fingerprint(&self) -> [u8; ID] {
        let mut name = [0; ID];
        name.copy_from_slice(keyed(&self.0, b"fingerprint").split_at(ID).0);
        name
    }

    fn derive(&self, salt: &[u8; SALT]) -> (LessSafeKey, Zeroizing<[u8; COMMITMENT]>) {
        let key = self.expand(b'k', salt);
        let commitment = self.expand(b'c', salt);
        (gcm(&key), commitment)
    }

    /// Seals.
    pub(crate) fn seal(
        &self,
        id: [u8; ID],
        aad: &Parts,
        plaintext: &[u8],
        random: &dyn Randomness,
    ) -> Result<Sealed, TooLong> {
        let mut salt = [0_u8; SALT];
        random.fill(&mut salt);
        let (key, commitment) = self.derive(&salt);
        let mut out = Vec::with_capacity(HEADER + plaintext.len() + TAG);
        out.push(VERSION);
        out.extend_from_slice(&id);
        out.extend_from_slice(&salt);
        out.extend_from_slice(&*commitment);
        out.extend_from_slice(plaintext);
        let (_, body) = out.split_at_mut(HEADER);
        let tag = key
            .seal_in_place_separate_tag(zero_nonce(), Aad::from(aad.as_slice()), body)
            .map_err(|_| TooLong)?;
        out.extend_from_slice(tag.as_ref());
        Ok(Sealed::from_bytes(out))
    }

    /// Opens.
    pub(crate) fn open(&self, aad: &Parts, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        let read = Read::new(sealed)?;
        let (key, commitment) = self.derive(read.salt);
        constant_time::verify_slices_are_equal(&*commitment, read.commitment)
            .map_err(|_| OpenError::OtherKey)?;
        let mut plaintext = vec![0; read.ciphertext.len()];
        key.open_separate_gather(
            zero_nonce(),
            Aad::from(aad.as_slice()),
            read.ciphertext,
            read.tag,
            &mut plaintext,
        )
        .map_err(|_| OpenError::Refused)?;
        Ok(SecretBytes::new(plaintext))
    }
}

/// The parts of an envelope.
pub(crate) struct Read<'a> {
    pub(crate) id: [u8; ID],
    salt: &'a [u8; SALT],
    commitment: &'a [u8; COMMITMENT],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Read<'a> {
    pub(crate) fn new(sealed: &'a Sealed) -> Result<Self, OpenError> {
        let (version, rest) = sealed.as_bytes().split_first().ok_or(OpenError::Truncated)?;
        if *version != VERSION {
            return Err(OpenError::Version { found: *version });
        }
        let (id, rest) = rest.split_first_chunk().ok_or(OpenError::Truncated)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(OpenError::Truncated)?;
        let (commitment, rest) = rest.split_first_chunk().ok_or(OpenError::Truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(OpenError::Truncated)?;
        Ok(Self { id: *id, salt, commitment, ciphertext, tag })
    }
}

/// Associated data: parts, each preceded by its length as four bytes, big-endian. It has room for
/// what the places of this crate need, and stands on the stack because every seal makes one.
pub(crate) struct Parts {
    bytes: [u8; PARTS],
    used: usize,
}

/// Four lengths, a workspace's id, the longest kind and field, and a digest in hexadecimal.
const PARTS: usize = 4 * 4 + 16 + 2 * 24 + 64;

impl Parts {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; PARTS], used: 0 }
    }

    #[expect(clippy::expect_used, reason = "a test makes the parts of every place")]
    pub(crate) fn with(mut self, part: &[u8]) -> Self {
        let length = u32::try_from(part.len()).expect("a part is short").to_be_bytes();
        for bytes in [&length[..], part] {
            let end = self.used + bytes.len();
            let room = self.bytes.get_mut(self.used..end).expect("there is room for every part");
            room.copy_from_slice(bytes);
            self.used = end;
        }
        self
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.split_at(self.used).0
    }
}

/// HMAC-SHA256, written straight into a buffer that is wiped.
#[expect(clippy::expect_used, reason = "aws-lc refuses only a buffer shorter than 32 bytes")]
fn keyed(key: &hmac::Key, data: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    hmac::sign_to_buffer(key, data, &mut *out).expect("the buffer has the tag's length");
    out
}

#[expect(clippy::expect_used, reason = "aws-lc refuses only a key of another length")]
fn gcm(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("the key has 32 bytes"))
}

/// Safe because no key is used for two messages; see the top of this file.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}
