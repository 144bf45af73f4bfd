//! Assertions: how a client proves itself by signing (RFC 7523 section 3, `private_key_jwt`).

use super::jwk::{Algorithm, PublicKeys};
use super::jws::{Jws, NotJws, is_type};
use causeway_types::{MachineClientId, Timestamp};
use serde::Deserialize;
use std::time::Duration;

/// How far in the future an assertion may expire.
pub const MAX_ASSERTION_LIFETIME: Duration = Duration::from_mins(5);
/// How far a client's clock may be off.
const SKEW: Duration = Duration::from_secs(30);
/// The longest `jti`, in bytes.
const MAX_JTI: usize = 128;

/// What an assertion says, before its signature is checked: enough to find whose it is.
pub(super) struct Assertion<'a> {
    jws: Jws<'a>,
    claims: Claims,
}

/// An assertion that holds. It may be used this once.
pub(super) struct Used {
    pub(super) jti: String,
    /// From when on it would be refused for its age anyway.
    pub(super) until: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    iat: Option<u64>,
    nbf: Option<u64>,
    jti: String,
}

/// A text, or a list of texts (RFC 7519 section 4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Why an assertion does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// It is not a JWT with the claims that it needs.
    #[error("it is not a JWT with `iss`, `sub`, `aud`, `exp` and `jti`")]
    Form,
    /// Its `typ` says that it is something else.
    #[error("its `typ` is neither `client-authentication+jwt` nor `JWT`")]
    Type,
    /// It is not signed with one of the client's keys, by an algorithm that fits it.
    #[error("its signature is not by a key of the client")]
    Signature,
    /// `iss` and `sub` are not both the client's id.
    #[error("its `iss` and `sub` are not both the client's id")]
    Subject,
    /// It is meant for somebody else.
    #[error("its `aud` is not this server")]
    Audience,
    /// It has expired, or is not valid yet.
    #[error("it has expired, or is not valid yet")]
    Time,
    /// It would be valid for too long.
    #[error("its `exp` is more than 5 minutes ahead")]
    Lifetime,
    /// It was used before.
    #[error("its `jti` was used before")]
    Replayed,
}

impl From<NotJws> for AssertionError {
    fn from(_: NotJws) -> Self {
        Self::Form
    }
}

impl AssertionError {
    /// The reason as the audit chain has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "assertion_form",
            Self::Type => "assertion_type",
            Self::Signature => "assertion_signature",
            Self::Subject => "assertion_subject",
            Self::Audience => "assertion_audience",
            Self::Time => "assertion_time",
            Self::Lifetime => "assertion_lifetime",
            Self::Replayed => "assertion_replayed",
        }
    }

    /// Whether only who holds the client's key can cause it, so that he may be told.
    pub(super) const fn follows_signature(self) -> bool {
        matches!(
            self,
            Self::Subject | Self::Audience | Self::Time | Self::Lifetime | Self::Replayed
        )
    }
}

impl<'a> Assertion<'a> {
    /// Reads it and checks nothing of what it says.
    pub(super) fn read(text: &'a str) -> Result<Self, AssertionError> {
        let jws = Jws::read(text)?;
        let claims = jws.claims()?;
        Ok(Self { jws, claims })
    }

    /// Whose it says that it is.
    pub(super) fn client(&self) -> Result<MachineClientId, AssertionError> {
        self.claims.sub.parse().map_err(|_| AssertionError::Subject)
    }

    /// Checks it: first the signature, then what it says. `audiences` are the names of this server.
    pub(super) fn check(
        self,
        client: MachineClientId,
        keys: &PublicKeys,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Used, AssertionError> {
        let (header, claims) = (&self.jws.header, self.claims);
        let typ = header.typ.as_deref().unwrap_or("jwt");
        if !is_type(typ, "client-authentication+jwt") && !is_type(typ, "jwt") {
            return Err(AssertionError::Type);
        }
        let algorithm = Algorithm::named(&header.alg).ok_or(AssertionError::Signature)?;
        let signature = self.jws.signature()?;
        if !keys.verify(algorithm, header.kid.as_deref(), self.jws.message, &signature) {
            return Err(AssertionError::Signature);
        }
        let id = client.to_string();
        if claims.iss != id || claims.sub != id {
            return Err(AssertionError::Subject);
        }
        // One name only: an assertion that another server is meant for too could have come from
        // there.
        let audience = match &claims.aud {
            Audience::One(one) => Some(one),
            Audience::Many(many) if many.len() == 1 => many.first(),
            Audience::Many(_) => None,
        };
        if !audience.is_some_and(|one| audiences.contains(one)) {
            return Err(AssertionError::Audience);
        }
        let end = at(claims.exp).plus(SKEW);
        let begun = |start: Option<u64>| start.is_none_or(|start| at(start) <= now.plus(SKEW));
        if end <= now || !begun(claims.nbf) || !begun(claims.iat) {
            return Err(AssertionError::Time);
        }
        if at(claims.exp) > now.plus(MAX_ASSERTION_LIFETIME).plus(SKEW) {
            return Err(AssertionError::Lifetime);
        }
        if !(1..=MAX_JTI).contains(&claims.jti.len()) {
            return Err(AssertionError::Form);
        }
        Ok(Used { jti: claims.jti, until: end })
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}
