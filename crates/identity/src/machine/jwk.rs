//! Public keys as JSON Web Keys (RFC 7517): those of machine clients, and Causeway's own.

use crate::own_keys::OwnKeys;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
};
use causeway_types::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most public keys of a client.
pub const MAX_KEYS: usize = 10;
/// The longest `kid`, in bytes.
const MAX_KID: usize = 128;
/// Bytes of a P-256 coordinate and of an Ed25519 key.
const POINT: usize = 32;
/// Bytes of an RSA modulus: 2048 to 4096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;
/// Bytes of an RSA exponent.
const EXPONENT: std::ops::RangeInclusive<usize> = 1..=4;
/// Members that only a private or a symmetric key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const SECRET: &[&str] = &["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The public keys of one client.
pub(super) struct PublicKeys {
    keys: Vec<PublicKey>,
}

struct PublicKey {
    kid: Option<String>,
    /// The key for each algorithm that it may be used with. What an assertion says of its
    /// algorithm chooses among these and can make nothing else of a key.
    checks: Vec<(Algorithm, ParsedPublicKey)>,
    members: Map<String, Value>,
}

/// What assertions may be signed with (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Es256,
    Rs256,
    Ps256,
    EdDsa,
}

/// Public keys that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is not a JWK Set.
    #[error("it is not an object with a list `keys` (RFC 7517 section 5)")]
    Form,
    /// There are no keys, or too many.
    #[error("it has 1 to {MAX_KEYS} keys")]
    Count,
    /// A key is a private one. It should not have been sent.
    #[error(
        "key {0} is a private or a symmetric key; send its public half only, and replace it, since it has left its owner"
    )]
    Private(usize),
    /// A key is of a kind that signs nothing here.
    #[error(
        "key {0} is none of: `EC` on `P-256` (ES256), `RSA` of 2048 to 4096 bits (RS256, PS256), `OKP` on `Ed25519` (EdDSA)"
    )]
    Kind(usize),
    /// A key is of the right kind and not a key.
    #[error("key {0} is damaged")]
    Damaged(usize),
    /// A key says that it is for something else.
    #[error(
        "key {0} says by `use`, `key_ops` or `alg` that it is for something else than checking signatures with ES256, RS256, PS256 or EdDSA"
    )]
    Use(usize),
    /// Two keys have one name, or a name is too long.
    #[error("key {0} has the `kid` of another one, or one of more than {MAX_KID} bytes")]
    Kid(usize),
}

/// The members that are read; others do not matter (RFC 7517 section 4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
}

impl PublicKeys {
    /// Checks a JWK Set that somebody sent.
    pub(super) fn check(set: &Value) -> Result<Self, JwksError> {
        let list = set.get("keys").and_then(Value::as_array).ok_or(JwksError::Form)?;
        if !(1..=MAX_KEYS).contains(&list.len()) {
            return Err(JwksError::Count);
        }
        let mut keys: Vec<PublicKey> = Vec::with_capacity(list.len());
        for (place, value) in list.iter().enumerate() {
            let number = place + 1;
            let key = PublicKey::check(value, number)?;
            let long = key.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID);
            let taken = key.kid.is_some() && keys.iter().any(|other| other.kid == key.kid);
            if long || taken {
                return Err(JwksError::Kid(number));
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Reads a set that was checked when it was stored.
    pub(super) fn read(text: &str) -> Result<Self, JwksError> {
        Self::check(&serde_json::from_str(text).map_err(|_| JwksError::Form)?)
    }

    /// The set as it is stored: what the keys are, and nothing else that was sent.
    pub(super) fn to_text(&self) -> String {
        let keys: Vec<&Map<String, Value>> = self.keys.iter().map(|key| &key.members).collect();
        json!({ "keys": keys }).to_string()
    }

    /// What the keys are called in the audit chain (RFC 7638): the SHA-256 of what each is made of.
    pub(super) fn thumbprints(&self) -> Vec<String> {
        self.keys.iter().map(PublicKey::thumbprint).collect()
    }

    /// Whether one of the keys made this signature. A `kid` that a key has must be the one named.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.keys
            .iter()
            .filter(|key| kid.is_none() || key.kid.is_none() || key.kid.as_deref() == kid)
            .flat_map(|key| &key.checks)
            .filter(|(of, _)| *of == algorithm)
            .any(|(_, key)| key.verify_sig(message, signature).is_ok())
    }
}

impl PublicKey {
    fn check(value: &Value, number: usize) -> Result<Self, JwksError> {
        let object = value.as_object().ok_or(JwksError::Damaged(number))?;
        if SECRET.iter().any(|member| object.contains_key(*member)) {
            return Err(JwksError::Private(number));
        }
        let jwk = Jwk::deserialize(value).map_err(|_| JwksError::Damaged(number))?;
        let (mut checks, kept) = jwk.material(number)?;
        if let Some(name) = &jwk.alg {
            checks.retain(|(algorithm, _)| Some(*algorithm) == Algorithm::named(name));
        }
        let signs = jwk.purpose.is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.is_none_or(|ops| ops.iter().any(|one| one == "verify"));
        if checks.is_empty() || !signs {
            return Err(JwksError::Use(number));
        }
        let mut members = object.clone();
        members.retain(|name, _| kept.contains(&name.as_str()) || name == "kid" || name == "alg");
        Ok(Self { kid: jwk.kid, checks, members })
    }

    /// SHA-256 over the members that make the key up, in the order of their names and without
    /// spaces (RFC 7638 section 3), in base64url.
    fn thumbprint(&self) -> String {
        let required = self.members.iter().filter(|(name, _)| *name != "kid" && *name != "alg");
        let required: BTreeMap<&String, &Value> = required.collect();
        let text = json!(required).to_string();
        BASE64URL_NOPAD.encode(digest(&SHA256, text.as_bytes()).as_ref())
    }
}

type Material = (Vec<(Algorithm, ParsedPublicKey)>, &'static [&'static str]);

impl Jwk {
    /// The key for each algorithm that fits it, and the members that make it up.
    fn material(&self, number: usize) -> Result<Material, JwksError> {
        let damaged = || JwksError::Damaged(number);
        let exactly = |text: &Option<String>| decoded(text.as_ref(), POINT..=POINT);
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                let (x, y) = exactly(&self.x).zip(exactly(&self.y)).ok_or_else(damaged)?;
                // The uncompressed form (SEC 1 section 2.3.3).
                let point = [&[4][..], &x, &y].concat();
                let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                let key = key.map_err(|_| damaged())?;
                Ok((vec![(Algorithm::Es256, key)], &["kty", "crv", "x", "y"]))
            }
            ("OKP", Some("Ed25519")) => {
                let x = exactly(&self.x).ok_or_else(damaged)?;
                let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| damaged())?;
                Ok((vec![(Algorithm::EdDsa, key)], &["kty", "crv", "x"]))
            }
            ("RSA", None) => {
                let n = decoded(self.n.as_ref(), 1..=usize::MAX).ok_or_else(damaged)?;
                // A leading zero would let a shorter modulus pass for a longer one.
                if !MODULUS.contains(&n.len()) || n.first().is_none_or(|first| *first < 0x80) {
                    return Err(JwksError::Kind(number));
                }
                let e = decoded(self.e.as_ref(), EXPONENT).ok_or_else(damaged)?;
                let key = RsaPublicKeyComponents { n, e };
                let checks = [
                    (Algorithm::Rs256, key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)),
                    (Algorithm::Ps256, key.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256)),
                ];
                let checks = checks.into_iter().map(|(of, key)| key.map(|key| (of, key)));
                let checks = checks.collect::<Result<_, _>>().map_err(|_| damaged())?;
                Ok((checks, &["kty", "n", "e"]))
            }
            _ => Err(JwksError::Kind(number)),
        }
    }
}

impl Algorithm {
    /// The algorithm of this name. There is none of the names `none` and `HS256`.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            // By its old name, and by the one that says which curve (RFC 9864 section 2.2).
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

fn decoded(text: Option<&String>, lengths: std::ops::RangeInclusive<usize>) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text?.as_bytes()).ok()?;
    lengths.contains(&bytes.len()).then_some(bytes)
}

/// Causeway's own, as the world may have them.
pub(super) fn own(keys: &OwnKeys, now: Timestamp) -> Value {
    let keys: Vec<Value> = keys
        .access_verifiers(now)
        .iter()
        .map(|key| {
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": BASE64URL_NOPAD.encode(key.public_key()),
                "kid": key.id().to_string(),
                "use": "sig",
                "alg": "EdDSA",
            })
        })
        .collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
    };

    const MESSAGE: &[u8] = b"header.payload";

    fn text(bytes: &[u8]) -> String {
        BASE64URL_NOPAD.encode(bytes)
    }

    fn es256(kid: Option<&str>) -> (Value, EcdsaKeyPair) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(POINT);
        let mut key = json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y) });
        if let Some(kid) = kid {
            key["kid"] = kid.into();
        }
        (key, pair)
    }

    fn rsa(size: KeySize) -> (Value, RsaKeyPair) {
        let pair = RsaKeyPair::generate(size).unwrap();
        let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        (json!({ "kty": "RSA", "n": text(&parts.n), "e": text(&parts.e) }), pair)
    }

    fn check(keys: &[Value]) -> Result<PublicKeys, JwksError> {
        PublicKeys::check(&json!({ "keys": keys }))
    }

    fn error(keys: &[Value]) -> JwksError {
        check(keys).err().unwrap()
    }

    fn with(key: &Value, member: &str, value: impl Into<Value>) -> Value {
        let mut key = key.clone();
        key[member] = value.into();
        key
    }

    #[test]
    fn each_kind_of_key_checks_its_own_signatures_only() {
        let random = SystemRandom::new();
        let (ec, ec_pair) = es256(None);
        let okp_pair = Ed25519KeyPair::generate().unwrap();
        let okp =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": text(okp_pair.public_key().as_ref()) });
        let (rsa, rsa_pair) = rsa(KeySize::Rsa2048);
        let rsa_signature = |encoding| {
            let mut bytes = vec![0; rsa_pair.public_modulus_len()];
            rsa_pair.sign(encoding, &random, MESSAGE, &mut bytes).unwrap();
            bytes
        };
        let signatures = [
            (Algorithm::Es256, ec_pair.sign(&random, MESSAGE).unwrap().as_ref().to_vec()),
            (Algorithm::EdDsa, okp_pair.sign(MESSAGE).as_ref().to_vec()),
            (Algorithm::Rs256, rsa_signature(&RSA_PKCS1_SHA256)),
            (Algorithm::Ps256, rsa_signature(&RSA_PSS_SHA256)),
        ];
        let all = check(&[ec, okp, rsa.clone()]).unwrap();
        // As stored and read again.
        let all = PublicKeys::read(&all.to_text()).unwrap();
        for (named, _) in &signatures {
            for (made, signature) in &signatures {
                assert_eq!(all.verify(*named, None, MESSAGE, signature), named == made);
                assert!(!all.verify(*named, None, b"other", signature));
            }
        }
        // A key that names its algorithm is used with no other.
        let only = check(&[with(&rsa, "alg", "PS256")]).unwrap();
        assert!(only.verify(Algorithm::Ps256, None, MESSAGE, &signatures[3].1));
        assert!(!only.verify(Algorithm::Rs256, None, MESSAGE, &signatures[2].1));
    }

    #[test]
    fn a_key_with_a_name_answers_to_it_only() {
        let random = SystemRandom::new();
        let ((first, pair), (second, _)) = (es256(Some("a")), es256(Some("b")));
        let keys = check(&[first, second]).unwrap();
        let signature = pair.sign(&random, MESSAGE).unwrap();
        let verify = |kid| keys.verify(Algorithm::Es256, kid, MESSAGE, signature.as_ref());
        assert!(verify(Some("a")) && verify(None));
        assert!(!verify(Some("b")) && !verify(Some("c")));
    }

    #[test]
    fn what_is_no_public_key_for_signatures_is_refused_and_named() {
        let (ec, _) = es256(Some("a"));
        let (rsa, _) = rsa(KeySize::Rsa2048);
        assert_eq!(PublicKeys::check(&json!([])).err(), Some(JwksError::Form));
        assert_eq!(PublicKeys::check(&ec).err(), Some(JwksError::Form));
        assert_eq!(error(&[]), JwksError::Count);
        assert_eq!(error(&vec![es256(None).0; MAX_KEYS + 1]), JwksError::Count);
        assert_eq!(error(&[rsa.clone(), with(&ec, "d", "AAAA")]), JwksError::Private(2));
        assert_eq!(error(&[json!({ "kty": "oct", "k": "AAAA" })]), JwksError::Private(1));
        assert_eq!(error(&[with(&ec, "crv", "P-384")]), JwksError::Kind(1));
        assert_eq!(error(&[with(&ec, "crv", "secp256k1")]), JwksError::Kind(1));
        assert_eq!(error(&[json!({ "kty": "oct" })]), JwksError::Kind(1));
        assert_eq!(error(&[json!({})]), JwksError::Damaged(1));
        assert_eq!(error(&[json!("key")]), JwksError::Damaged(1));
        assert_eq!(error(&[with(&ec, "x", "!")]), JwksError::Damaged(1));
        assert_eq!(error(&[with(&ec, "x", text(&[1; POINT]))]), JwksError::Damaged(1));
        assert_eq!(error(&[with(&rsa, "e", "")]), JwksError::Damaged(1));
        // 1024 bits, and 1024 bits that pretend to be 2048.
        assert_eq!(error(&[with(&rsa, "n", text(&[0xff; 128]))]), JwksError::Kind(1));
        let padded = [[0; 128], [0xff; 128]].concat();
        assert_eq!(error(&[with(&rsa, "n", text(&padded))]), JwksError::Kind(1));
        assert_eq!(error(&[with(&ec, "use", "enc")]), JwksError::Use(1));
        assert_eq!(error(&[with(&ec, "key_ops", json!(["sign"]))]), JwksError::Use(1));
        assert_eq!(error(&[with(&ec, "alg", "HS256")]), JwksError::Use(1));
        assert_eq!(error(&[with(&rsa, "alg", "ES256")]), JwksError::Use(1));
        assert_eq!(error(&[ec.clone(), ec.clone()]), JwksError::Kid(2));
        assert_eq!(error(&[with(&ec, "kid", "k".repeat(200))]), JwksError::Kid(1));
    }

    /// The example of RFC 7638 section 3.1.
    #[test]
    fn keys_are_called_what_others_call_them() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
        let thumbprints = check(&[key]).unwrap().thumbprints();
        assert_eq!(thumbprints, ["NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"]);
    }

    #[test]
    fn only_what_the_key_is_made_of_is_stored() {
        let (ec, _) = es256(Some("a"));
        let keys = check(&[with(&with(&ec, "x5u", "https://example.com"), "use", "sig")]).unwrap();
        let stored: Value = serde_json::from_str(&keys.to_text()).unwrap();
        assert_eq!(stored, json!({ "keys": [ec] }));
    }
}
