//! JSON Web Tokens (RFC 7519) as who receives them reads them.

use super::Plan;
use crate::seen::{Fault, Seen};
use aws_lc_rs::hmac;
use causeway_catalog::{Jwt, JwtAlgorithm, KeyForm, Template};
use causeway_types::Timestamp;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

type Object = Map<String, Value>;

/// Header and claims of a token whose signature is good.
pub(super) fn read(
    token: &str,
    algorithm: JwtAlgorithm,
    is_good: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<(Object, Object), Fault> {
    let (message, signature) = token.rsplit_once('.').ok_or("the token is no JWT")?;
    let (header, claims) = message.split_once('.').ok_or("the token is no JWT")?;
    let bytes = |text: &str| {
        BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| "a part of the JWT is no base64url")
    };
    let object = |text: &str| {
        serde_json::from_slice::<Object>(&bytes(text)?).map_err(|_| "a part of the JWT is no JSON")
    };
    let (mut header, claims) = (object(header)?, object(claims)?);
    expect(&mut header, "alg", &format!("{algorithm:?}"))?;
    if let Some(typ) = header.remove("typ")
        && typ != "JWT"
    {
        return Err("the JWT's `typ` is another".into());
    }
    if !is_good(message.as_bytes(), &bytes(signature)?) {
        return Err("the JWT's signature is not good".into());
    }
    Ok((header, claims))
}

/// Takes a text that must be there with this value.
pub(super) fn expect(object: &mut Object, name: &str, wanted: &str) -> Result<(), Fault> {
    match object.remove(name) {
        Some(Value::String(found)) if found == wanted => Ok(()),
        Some(found) => Err(format!("`{name}` of the JWT is {found} and not `{wanted}`")),
        None => Err(format!("`{name}` of the JWT is missing")),
    }
}

/// Takes a number that must be there.
pub(super) fn number(object: &mut Object, name: &str) -> Result<u64, Fault> {
    let found = object.remove(name).and_then(|value| value.as_u64());
    found.ok_or_else(|| format!("`{name}` of the JWT is missing, or no number"))
}

fn nothing_left(object: &Object) -> Result<(), Fault> {
    match object.keys().next() {
        Some(name) => Err(format!("`{name}` of the JWT is not of the row")),
        None => Ok(()),
    }
}

impl Plan {
    /// Checks a token that is signed with the customer's key.
    pub(super) fn check_jwt(&self, row: &Jwt, token: &str, now: Timestamp) -> Result<(), Fault> {
        let (mut header, mut claims) = read(token, row.algorithm, |message, signature| {
            if row.algorithm != JwtAlgorithm::HS256 {
                return self.keys.has_signed(row.algorithm, message, signature);
            }
            let key = self.value(row.key.as_str()).unwrap_or_default().as_bytes();
            let key = match row.key_form {
                KeyForm::Text => Some(key.to_vec()),
                KeyForm::Base64 => BASE64.decode(key).ok(),
                KeyForm::Hex => HEXLOWER_PERMISSIVE.decode(key).ok(),
            };
            let key = hmac::Key::new(hmac::HMAC_SHA256, &key.unwrap_or_default());
            hmac::verify(&key, message, signature).is_ok()
        })?;
        self.expect_all(&row.header, &mut header)?;
        nothing_left(&header)?;
        self.expect_all(&row.claims, &mut claims)?;
        let (begin, end) = (number(&mut claims, "iat")?, number(&mut claims, "exp")?);
        let now = now.as_secs();
        if begin > now || end <= now || end - begin > u64::from(row.lifetime) {
            return Err("the JWT's time does not fit".into());
        }
        // RFC 7519, section 4.1.7: it may always be there.
        claims.remove("jti");
        nothing_left(&claims)
    }

    fn expect_all(
        &self,
        templates: &BTreeMap<String, Template>,
        object: &mut Object,
    ) -> Result<(), Fault> {
        for (name, template) in templates {
            if let Some(text) = self.text(template, |_| None)? {
                expect(object, name, &text)?;
            }
        }
        Ok(())
    }

    /// The token in a request whose caller signs its tokens itself.
    pub(super) fn own_token(
        &self,
        row: &Jwt,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<String, Fault> {
        let header = seen.header("authorization").ok_or("it has no Authorization header")?;
        let token = header.rsplit(' ').next().unwrap_or_default();
        self.check_jwt(row, token, now)?;
        Ok(token.to_owned())
    }
}
