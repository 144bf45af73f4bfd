//! Signatures are checked with another library than the one that makes them.

use super::*;
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair as _;
use data_encoding::BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::json;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Rsa,
    P256,
    Ed25519,
}

/// A key pair: the private half in PEM (PKCS #8), the public half for another library.
pub(crate) struct Pair {
    pub(crate) private: String,
    public: DecodingKey,
    /// The private half in its older form, where there is one.
    older: Option<String>,
}

fn armored(label: &str, der: &[u8]) -> String {
    let body = BASE64.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn pem(kind: Kind) -> Pair {
    match kind {
        Kind::Rsa => {
            let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
            Pair {
                private: armored("PRIVATE KEY", der.as_ref()),
                public: DecodingKey::from_rsa_der(key.public_key().as_ref()),
                older: None,
            }
        }
        Kind::P256 => {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let der = key.to_pkcs8v1().unwrap();
            let older = AsDer::<EcPrivateKeyRfc5915Der<'_>>::as_der(&key.private_key()).unwrap();
            Pair {
                private: armored("PRIVATE KEY", der.as_ref()),
                public: DecodingKey::from_ec_der(key.public_key().as_ref()),
                older: Some(armored("EC PRIVATE KEY", older.as_ref())),
            }
        }
        Kind::Ed25519 => {
            let key = Ed25519KeyPair::generate().unwrap();
            let der = key.to_pkcs8v1().unwrap();
            Pair {
                private: armored("PRIVATE KEY", der.as_ref()),
                public: DecodingKey::from_ed_der(key.public_key().as_ref()),
                older: None,
            }
        }
    }
}

fn read(token: &SecretString, algorithm: Algorithm, key: &DecodingKey) -> Value {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    jsonwebtoken::decode::<Value>(token.expose(), key, &validation).unwrap().claims
}

fn signed(key: &SigningKey) -> SecretString {
    let header = Map::from_iter([("kid".to_owned(), json!("k1"))]);
    let claims = Map::from_iter([("sub".to_owned(), json!("acme"))]);
    key.sign(header, claims).unwrap()
}

#[test]
fn tokens_are_signed_as_others_check_them() {
    for (kind, named, algorithm) in [
        (Kind::Rsa, JwtAlgorithm::RS256, Algorithm::RS256),
        (Kind::P256, JwtAlgorithm::ES256, Algorithm::ES256),
        (Kind::Ed25519, JwtAlgorithm::EdDSA, Algorithm::EdDSA),
    ] {
        let pair = pem(kind);
        let der = encoding::pem(&pair.private).unwrap().1;
        let in_base64 = BASE64.encode(&der);
        let twice = BASE64.encode(pair.private.as_bytes());
        let keys = [
            SigningKey::read(&pair.private, named, KeyForm::Text),
            SigningKey::read(&pair.private.replace('\n', "\\n"), named, KeyForm::Text),
            SigningKey::read(&in_base64, named, KeyForm::Base64),
            SigningKey::read(&twice, named, KeyForm::Base64),
            pair.older
                .as_deref()
                .map_or_else(|| SigningKey::of_pem(&pair.private), SigningKey::of_pem),
        ];
        for key in keys {
            let token = signed(&key.unwrap());
            assert_eq!(read(&token, algorithm, &pair.public)["sub"], "acme");
            let header = jsonwebtoken::decode_header(token.expose()).unwrap();
            assert_eq!((header.kid.as_deref(), header.typ.as_deref()), (Some("k1"), Some("JWT")));
        }
        assert!(SigningKey::read("nothing", named, KeyForm::Text).is_none());
        let other =
            if named == JwtAlgorithm::ES256 { JwtAlgorithm::RS256 } else { JwtAlgorithm::ES256 };
        assert!(SigningKey::read(&pair.private, other, KeyForm::Text).is_none(), "another kind");
    }
}

#[test]
fn shared_secrets_are_read_in_three_forms() {
    let bytes = b"a secret of 32 bytes, or nearly.";
    let check = DecodingKey::from_secret(bytes);
    for (text, form) in [
        ("a secret of 32 bytes, or nearly.".to_owned(), KeyForm::Text),
        (BASE64.encode(bytes), KeyForm::Base64),
        (data_encoding::HEXLOWER.encode(bytes), KeyForm::Hex),
    ] {
        let key = SigningKey::read(&text, JwtAlgorithm::HS256, form).unwrap();
        assert_eq!(read(&signed(&key), Algorithm::HS256, &check)["sub"], "acme");
    }
    assert!(SigningKey::read("no hex", JwtAlgorithm::HS256, KeyForm::Hex).is_none());
}
