//! ID tokens: who signed one, for whom, and whether it is the one that was asked for
//! (OpenID Connect Core section 3.1.3.7).
//!
//! The algorithm is not the token's to choose: it must be one of four, all with public keys, and
//! the key must be of its kind. So neither `none` nor a public key used as an HMAC secret gets
//! through. Time comes from Causeway's clock.

use crate::sign_in::Refusal;
use crate::sso::Authentication;
use aws_lc_rs::digest::{SHA256, SHA512, digest};
use causeway_types::{SecretString, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use std::time::Duration;

/// How far the provider's clock may be off.
const SKEW: Duration = Duration::from_mins(1);
/// The longest token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// A token taken apart, with nothing believed yet.
pub(super) struct Received<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    /// Header and payload, as they were signed.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What a token must be.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a SecretString,
    /// When the sign-in began: no token for it can be older.
    pub(super) begun_at: Timestamp,
    pub(super) now: Timestamp,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// The claims that count.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    #[serde(deserialize_with = "one_or_many")]
    aud: Vec<String>,
    #[serde(default)]
    azp: Option<String>,
    #[serde(deserialize_with = "seconds")]
    exp: u64,
    #[serde(deserialize_with = "seconds")]
    iat: u64,
    #[serde(default, deserialize_with = "maybe_seconds")]
    nbf: Option<u64>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    pub(super) auth_time: Option<u64>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    at_hash: Option<String>,
    #[serde(default)]
    pub(super) hd: Option<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    amr: Vec<String>,
    #[serde(default)]
    acr: Option<String>,
    #[serde(flatten)]
    pub(super) person: Person,
}

/// What both the ID token and the userinfo endpoint may say of somebody
/// (OpenID Connect Core section 5.1).
#[derive(Deserialize)]
pub(super) struct Person {
    #[serde(default)]
    pub(super) email: Option<String>,
    /// Only JSON's `true` counts.
    #[serde(default)]
    pub(super) email_verified: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

impl Claims {
    pub(super) fn authentication(&self) -> Authentication {
        Authentication { amr: self.amr.clone(), acr: self.acr.clone() }
    }
}

/// Takes a token apart.
pub(super) fn read(token: &str) -> Result<Received<'_>, Refusal> {
    if token.len() > MAX_TOKEN {
        return Err(Refusal::Token);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Token)?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::Token)?;
    if payload.contains('.') {
        return Err(Refusal::Token);
    }
    let header: Header = parse(header)?;
    // A header that must be understood and is not (RFC 7515 section 4.1.11); a token of another
    // kind that the same keys signed (RFC 8725 section 3.11).
    let typ = header.typ.as_deref();
    if header.crit.is_some() || typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err(Refusal::Token);
    }
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::RS256,
        "PS256" => Algorithm::PS256,
        "ES256" => Algorithm::ES256,
        "EdDSA" => Algorithm::EdDSA,
        _ => return Err(Refusal::Algorithm),
    };
    Ok(Received { algorithm, kid: header.kid, message, payload, signature })
}

impl Received<'_> {
    /// The one key among the issuer's that may have signed it. None: perhaps a new one did.
    pub(super) fn key<'k>(&self, keys: &'k [Jwk]) -> Option<&'k Jwk> {
        let mut fitting = keys.iter().filter(|key| self.fits(key));
        let key = fitting.next()?;
        // Where the token does not say which, there must be no choice.
        fitting.next().is_none().then_some(key)
    }

    fn fits(&self, key: &Jwk) -> bool {
        let common = &key.common;
        let used = common.public_key_use.as_ref().is_none_or(|one| *one == PublicKeyUse::Signature);
        let operated = common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let named =
            common.key_algorithm.is_none_or(|one| one == KeyAlgorithm::from(self.algorithm));
        let kind = match (&key.algorithm, self.algorithm) {
            (AlgorithmParameters::RSA(_), Algorithm::RS256 | Algorithm::PS256) => true,
            (AlgorithmParameters::EllipticCurve(key), Algorithm::ES256) => {
                key.curve == EllipticCurve::P256
            }
            (AlgorithmParameters::OctetKeyPair(key), Algorithm::EdDSA) => {
                key.curve == EllipticCurve::Ed25519
            }
            _ => false,
        };
        let called = self.kid.is_none() || common.key_id == self.kid;
        used && operated && named && kind && called
    }

    /// Its claims, if this key signed it and it is what it must be.
    pub(super) fn verify(&self, key: &Jwk, expected: &Expected<'_>) -> Result<Claims, Refusal> {
        let key = DecodingKey::from_jwk(key).map_err(|_| Refusal::Key)?;
        let message = self.message.as_bytes();
        match crypto::verify(self.signature, message, &key, self.algorithm) {
            Ok(true) => {}
            _ => return Err(Refusal::Signature),
        }
        let claims: Claims = parse(self.payload)?;
        self.check(&claims, expected)?;
        Ok(claims)
    }

    fn check(&self, claims: &Claims, expected: &Expected<'_>) -> Result<(), Refusal> {
        if claims.iss != expected.issuer {
            return Err(Refusal::TokenIssuer);
        }
        let ours = |id: &str| id == expected.client_id;
        let party = match &claims.azp {
            Some(azp) => ours(azp),
            None => claims.aud.len() == 1,
        };
        if !claims.aud.iter().any(|aud| ours(aud)) || !party {
            return Err(Refusal::Audience);
        }
        let (now, skew) = (expected.now.as_secs(), SKEW.as_secs());
        let in_time = claims.exp.saturating_add(skew) > now
            && claims.iat <= now.saturating_add(skew)
            && claims.iat.saturating_add(skew) >= expected.begun_at.as_secs()
            && claims.nbf.is_none_or(|nbf| nbf <= now.saturating_add(skew));
        if !in_time {
            return Err(Refusal::Time);
        }
        if claims.nonce.as_deref() != Some(expected.nonce) {
            return Err(Refusal::Nonce);
        }
        let hash = access_token_hash(self.algorithm, expected.access_token);
        if claims.at_hash.as_ref().is_some_and(|claimed| *claimed != hash) {
            return Err(Refusal::TokenHash);
        }
        Ok(())
    }
}

/// Whether the provider authenticated the person after this sign-in began.
pub(super) fn is_fresh(auth_time: Timestamp, begun_at: Timestamp) -> bool {
    auth_time.plus(SKEW) >= begun_at
}

/// The moment of a claim that lies in the past; one that does not says nothing.
pub(super) fn past(second: u64, now: Timestamp) -> Option<Timestamp> {
    let micros = i64::try_from(second).ok()?.checked_mul(1_000_000)?;
    let at = Timestamp::from_micros(micros);
    (at <= now.plus(SKEW)).then_some(at.min(now))
}

/// OpenID Connect Core section 3.1.3.6. Ed25519 is hashed with SHA-512, its own hash.
fn access_token_hash(algorithm: Algorithm, token: &SecretString) -> String {
    let hash = match algorithm {
        Algorithm::EdDSA => &SHA512,
        _ => &SHA256,
    };
    let whole = digest(hash, token.expose().as_bytes());
    let half = whole.as_ref().len() / 2;
    BASE64URL_NOPAD.encode(whole.as_ref().get(..half).unwrap_or_default())
}

fn parse<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Refusal> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Refusal::Token)?;
    // A list of the right length would be read as the object's fields.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::Token);
    }
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Token)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// RFC 7519 section 2: a number of seconds, perhaps with a fraction.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_u64().or_else(|| {
        number.as_f64().and_then(|f| Duration::try_from_secs_f64(f).ok()).map(|d| d.as_secs())
    });
    whole.ok_or_else(|| D::Error::custom("not a time"))
}

fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    seconds(deserializer).map(Some)
}
