//! Tokens that are shown once and kept as digests.
//!
//! A token is a prefix that names its kind, then 60 characters of lower-case base 32 (RFC 4648
//! section 6) that hold 256 random bits and a 40-bit checksum over prefix and random bits. The
//! checksum lets a mistyped token be refused before any query, and lets secret scanners tell a
//! real token from a text that looks like one: `cwk_[a-z2-7]{60}`.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use causeway_types::{Randomness, SecretString};
use data_encoding::BASE32_NOPAD;
use std::marker::PhantomData;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const RANDOM: usize = 32;
const CHECKSUM: usize = 5;
/// Characters of a token, after its prefix, that people may see later: 20 bits of its 256.
const HINT: usize = 4;
/// Characters after the prefix.
const BODY: usize = 60;

/// A kind of token.
pub trait TokenKind {
    /// What every token of this kind begins with.
    const PREFIX: &'static str;
}

/// Declares a kind of token.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        pub enum $name {}
        impl TokenKind for $name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

kinds! {
    /// An API key.
    ApiKey = "cwk_";
    /// The secret of a machine client.
    ClientSecret = "cws_";
    /// The token in a connect link.
    Link = "cwl_";
    /// The cookie by which the hosted connect page knows a browser again.
    Browser = "cwb_";
    /// The cookie of a session.
    Session = "cwo_";
    /// The token in the link by which an installation gets its first owner.
    Claim = "cwc_";
    /// The token in the link of an invitation.
    Invitation = "cwi_";
}

/// A token in clear: on its way to its owner, or just received from him. It cannot be stored:
/// columns take a [`Digest`].
pub struct Plain<K> {
    text: SecretString,
    kind: PhantomData<fn() -> K>,
}

/// What is stored of a token: its SHA-256, or its HMAC-SHA256 under the installation's
/// [`TokenKey`]. A token holds 256 random bits, so a slow hash would add nothing but load.
pub struct Digest<K> {
    bytes: [u8; 32],
    kind: PhantomData<fn() -> K>,
}

/// A text that is not a token of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `{prefix}` and 60 characters whose checksum is right")]
pub struct MalformedToken {
    /// What the expected kind begins with.
    pub prefix: &'static str,
}

impl<K: TokenKind> Plain<K> {
    /// Makes a new token.
    pub fn generate(random: &dyn Randomness) -> Self {
        let mut raw = Zeroizing::new([0_u8; RANDOM + CHECKSUM]);
        let (noise, check) = raw.split_at_mut(RANDOM);
        random.fill(noise);
        check.copy_from_slice(&checksum::<K>(noise));
        let mut body = BASE32_NOPAD.encode(raw.as_slice());
        body.make_ascii_lowercase();
        let body = Zeroizing::new(body);
        // Sized at once, so that growing leaves no copy behind.
        let mut text = String::with_capacity(K::PREFIX.len() + BODY);
        text.push_str(K::PREFIX);
        text.push_str(&body);
        Self { text: SecretString::new(text), kind: PhantomData }
    }

    /// Reads a token and checks its checksum.
    ///
    /// # Errors
    /// [`MalformedToken`], which says nothing of what was read.
    pub fn parse(text: &str) -> Result<Self, MalformedToken> {
        let malformed = MalformedToken { prefix: K::PREFIX };
        let body = text.strip_prefix(K::PREFIX).ok_or(malformed)?;
        if body.len() != BODY || body.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(malformed);
        }
        let upper = Zeroizing::new(body.to_ascii_uppercase());
        let raw = Zeroizing::new(BASE32_NOPAD.decode(upper.as_bytes()).map_err(|_| malformed)?);
        let (noise, check) = raw.split_at_checked(RANDOM).ok_or(malformed)?;
        if checksum::<K>(noise) != check {
            return Err(malformed);
        }
        Ok(Self { text: SecretString::new(text.to_owned()), kind: PhantomData })
    }

    /// What may be stored of it.
    pub fn digest(&self) -> Digest<K> {
        let mut bytes = [0_u8; 32];
        bytes.copy_from_slice(digest(&SHA256, self.text.expose().as_bytes()).as_ref());
        Digest { bytes, kind: PhantomData }
    }

    /// What may be stored of it where it opens Causeway itself: without the key, not even a guess
    /// could be tried against a stolen database.
    pub fn keyed_digest(&self, key: &TokenKey) -> Digest<K> {
        let mut bytes = [0_u8; 32];
        bytes.copy_from_slice(hmac::sign(&key.0, self.text.expose().as_bytes()).as_ref());
        Digest { bytes, kind: PhantomData }
    }

    /// Its first characters, by which people tell it from others.
    pub fn hint(&self) -> String {
        self.text.expose().chars().take(K::PREFIX.len() + HINT).collect()
    }

    /// Hands it to its owner: the one time that it is shown.
    pub fn reveal(self) -> SecretString {
        self.text
    }
}

/// The installation's key for the digests of tokens. It is sealed in the database and open in
/// memory only.
#[derive(Clone)]
pub struct TokenKey(hmac::Key);

impl TokenKey {
    /// Bytes of the key.
    pub const LENGTH: usize = 32;

    /// The key.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl<K> Digest<K> {
    /// The bytes, as the column takes them.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether a stored digest is this one, in time that does not depend on where they differ.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.bytes.as_slice().ct_eq(stored).into()
    }
}

fn checksum<K: TokenKind>(noise: &[u8]) -> [u8; CHECKSUM] {
    let covered = Zeroizing::new([K::PREFIX.as_bytes(), noise].concat());
    let mut sum = [0_u8; CHECKSUM];
    for (slot, byte) in sum.iter_mut().zip(digest(&SHA256, &covered).as_ref()) {
        *slot = *byte;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_types::OsRandom;
    use proptest::prelude::*;

    #[test]
    fn a_token_reads_back_with_the_same_digest() {
        let text = Plain::<ApiKey>::generate(&OsRandom).reveal();
        assert_eq!(text.expose().len(), 64);
        let again = Plain::<ApiKey>::parse(text.expose()).map_err(|e| e.to_string()).ok().unwrap();
        let other = Plain::<ApiKey>::generate(&OsRandom);
        assert!(again.digest().matches(&again.digest().to_vec()));
        assert!(!again.digest().matches(&other.digest().to_vec()));
        assert!(!again.digest().matches(&[]));
    }

    #[test]
    fn every_single_typing_error_is_noticed() {
        let text = Plain::<ApiKey>::generate(&OsRandom).reveal();
        for position in 0..text.expose().len() {
            for replacement in [b'a', b'b', b'7', b'A', b'_'] {
                let mut bytes = text.expose().clone().into_bytes();
                if bytes[position] == replacement {
                    continue;
                }
                bytes[position] = replacement;
                let wrong = String::from_utf8(bytes).unwrap();
                assert!(Plain::<ApiKey>::parse(&wrong).is_err(), "{position} {replacement}");
            }
        }
    }

    #[test]
    fn a_token_of_another_kind_is_refused() {
        let body = Plain::<Link>::generate(&OsRandom).reveal().expose().replace("cwl_", "cwk_");
        assert!(Plain::<ApiKey>::parse(&body).is_err(), "the checksum covers the prefix");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(cwk_)?.{0,64}") {
            prop_assert!(Plain::<ApiKey>::parse(&text).is_err());
        }
    }
}
