//! JSON Web Signatures in their compact form (RFC 7515 section 7.1), read strictly.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// The longest token or assertion that is read, in bytes.
pub const MAX_TOKEN: usize = 4096;

/// A signed text whose signature has not been checked yet.
pub(super) struct Jws<'a> {
    pub(super) header: Header,
    /// What is signed: header and payload as they came.
    pub(super) message: &'a [u8],
    /// The signature in base64url.
    pub(super) signature: &'a str,
    payload: &'a str,
}

/// The header (RFC 7515 section 4.1), as far as it matters here. What it says of where to find a
/// key (`jwk`, `jku`, `x5c`) is never followed.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    /// Extensions that must be understood: none is, so none may be there (section 4.1.11).
    crit: Option<IgnoredAny>,
}

/// A text that is not a JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("reading a signed token")]
pub(super) struct NotJws;

impl<'a> Jws<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, NotJws> {
        if text.len() > MAX_TOKEN {
            return Err(NotJws);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(NotJws)?;
        let (header, payload) = message.split_once('.').ok_or(NotJws)?;
        if payload.contains('.') {
            return Err(NotJws);
        }
        let header: Header = json(header)?;
        if header.crit.is_some() {
            return Err(NotJws);
        }
        Ok(Self { header, message: message.as_bytes(), signature, payload })
    }

    /// The claims. Meant for after the signature has been checked, except to learn by whose key.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, NotJws> {
        json(self.payload)
    }

    /// The signature's bytes.
    pub(super) fn signature(&self) -> Result<Vec<u8>, NotJws> {
        BASE64URL_NOPAD.decode(self.signature.as_bytes()).map_err(|_| NotJws)
    }
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, NotJws> {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| NotJws)?;
    serde_json::from_slice(&bytes).map_err(|_| NotJws)
}

/// Whether a `typ` is this one: the prefix `application/` may be left out, and case does not
/// matter (RFC 7515 section 4.1.9).
pub(super) fn is_type(typ: &str, wanted: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == wanted
}

/// Writes and signs a JWS.
pub(super) fn write(
    header: &serde_json::Value,
    claims: &impl serde::Serialize,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Result<String, serde_json::Error> {
    let claims = serde_json::to_vec(claims)?;
    let mut text = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
    text.push('.');
    text.push_str(&BASE64URL_NOPAD.encode(&claims));
    let signature = sign(text.as_bytes());
    text.push('.');
    text.push_str(&BASE64URL_NOPAD.encode(&signature));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn jws(header: &Value) -> String {
        write(header, &json!({ "sub": "x" }), |_| vec![1, 2, 3]).unwrap()
    }

    #[test]
    fn what_was_written_reads_back() {
        let text = jws(&json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": "k" }));
        let read = Jws::read(&text).unwrap();
        assert_eq!(read.header.kid.as_deref(), Some("k"));
        assert_eq!(read.signature(), Ok(vec![1, 2, 3]));
        assert_eq!(read.claims(), Ok(json!({ "sub": "x" })));
    }

    #[test]
    fn other_forms_are_refused() {
        let good = jws(&json!({ "alg": "EdDSA" }));
        let (message, signature) = good.rsplit_once('.').unwrap();
        for text in [
            String::new(),
            "..".into(),
            "a.b".into(),
            format!("{good}.x"),
            format!("{good}="),
            format!("{message}..{signature}"),
            good.replace('.', " ."),
            jws(&json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false })),
            jws(&json!({ "typ": "at+jwt" })),
            jws(&json!("EdDSA")),
            "x".repeat(MAX_TOKEN + 1),
        ] {
            let read = Jws::read(&text);
            let whole = read.and_then(|jws| jws.signature().and(jws.claims::<Value>()));
            assert_eq!(whole, Err(NotJws), "{text}");
        }
        // The same header twice: which one counts must not depend on the reader.
        let twice = BASE64URL_NOPAD.encode(br#"{"alg":"none","alg":"EdDSA"}"#);
        assert!(Jws::read(&format!("{twice}.e30.AQID")).is_err());
    }

    #[test]
    fn types_are_compared_as_media_types() {
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(is_type(typ, "at+jwt"), "{typ}");
        }
        assert!(!is_type("jwt", "at+jwt") && !is_type("", "at+jwt"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,80}") {
            prop_assert!(Jws::read(&text).is_err());
        }
    }
}
