//! Requests that are signed with the customer's key: which of the three ways, and HMACs.

use super::calls::Carried;
use super::{Plan, oauth1, sigv4};
use crate::seen::{Fault, Seen};
use aws_lc_rs::{digest, hmac};
use causeway_catalog::{HmacAlgorithm, HmacSignature, KeyForm, Template, TextForm};
use causeway_types::Timestamp;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use std::collections::BTreeMap;
use url::Position;

impl Plan {
    /// Checks the signature of a request, and says what has to carry it.
    pub(super) fn signed(&self, seen: &Seen, now: Timestamp) -> Result<Carried, Fault> {
        let row = self.app().auth.signature.as_ref().ok_or("the row has no signature")?;
        if let Some(aws) = &row.aws_sigv4 {
            return sigv4::check(self, aws, seen, now);
        }
        if let Some(hmac) = &row.hmac {
            return self.hmac(hmac, seen, now);
        }
        let own = row.oauth1.as_ref().ok_or("the row has no way to sign")?;
        let value = |name: &causeway_catalog::FieldName| {
            self.value(name.as_str()).ok_or_else(|| format!("the example has no value `{name}`"))
        };
        let realm = match &own.realm {
            Some(template) => self.text(template, |_| None)?,
            None => None,
        };
        let signer = oauth1::Signer {
            key: value(&own.consumer_key)?,
            secret: value(&own.consumer_secret)?,
            token: Some((value(&own.token)?, value(&own.token_secret)?)),
            method: own.method,
        };
        signer.check(seen, realm.as_deref(), &[], now)?;
        Ok(Carried::authorization(seen.header("authorization").unwrap_or_default().to_owned()))
    }

    fn hmac(&self, row: &HmacSignature, seen: &Seen, now: Timestamp) -> Result<Carried, Fault> {
        let names_signature =
            |template: &Template| template.fields().any(|name| name == "signature");
        // What is signed was there before the signature was.
        let unsigned: Vec<&str> = seen
            .url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| {
                let name = pair.split('=').next().unwrap_or_default();
                !row.send.query.get(name).is_some_and(names_signature)
            })
            .collect();
        let mut url = seen.url.clone();
        let unsigned = unsigned.join("&");
        url.set_query(Some(unsigned.as_str()).filter(|query| !query.is_empty()));
        let body = std::str::from_utf8(&seen.body).map_err(|_| "the body is no text")?;
        let seconds = i64::try_from(now.as_secs()).unwrap();
        let date = jiff::Timestamp::from_second(seconds).unwrap();
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
        let path_and_query = &url[Position::BeforePath..];
        let mut parts = BTreeMap::from([
            ("method", seen.method.clone()),
            ("host", seen.header("host").unwrap_or_default().to_owned()),
            ("path", url.path().to_owned()),
            ("query", unsigned),
            ("path_and_query", path_and_query.to_owned()),
            ("url", url.to_string()),
            ("body", body.to_owned()),
            ("body_sha256", HEXLOWER.encode(digest::digest(&digest::SHA256, &seen.body).as_ref())),
            ("timestamp", now.as_secs().to_string()),
            ("timestamp_ms", now.as_millis().to_string()),
            ("http_date", date.unwrap()),
        ]);
        let message = self.text(&row.message, |name| find(&parts, name))?.unwrap_or_default();
        let key = self.value(row.key.as_str()).unwrap_or_default().as_bytes();
        let key = match row.key_form {
            KeyForm::Text => Some(key.to_vec()),
            KeyForm::Base64 => BASE64.decode(key).ok(),
            KeyForm::Hex => HEXLOWER_PERMISSIVE.decode(key).ok(),
        };
        let algorithm = match row.algorithm {
            HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let key = hmac::Key::new(algorithm, &key.ok_or("the example's key does not read")?);
        let tag = hmac::sign(&key, message.as_bytes());
        let signature = match row.signature_form {
            TextForm::Hex => HEXLOWER.encode(tag.as_ref()),
            TextForm::Base64 => BASE64.encode(tag.as_ref()),
            TextForm::Base64Url => BASE64URL_NOPAD.encode(tag.as_ref()),
        };
        parts.insert("signature", signature);
        self.sent(&row.send, |name| find(&parts, name))
    }
}

fn find<'a>(parts: &'a BTreeMap<&'static str, String>, name: &str) -> Option<&'a str> {
    parts.get(name).map(String::as_str)
}
