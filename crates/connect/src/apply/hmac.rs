//! An HMAC over parts of the request, as a row describes it.

use super::{Applied, ApplyError, Outgoing};
use crate::encoding;
use crate::form;
use aws_lc_rs::{digest, hmac};
use causeway_catalog::{HmacAlgorithm, HmacSignature, Send, Template, TextForm};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use jiff::fmt::rfc2822::DateTimePrinter;
use std::collections::BTreeMap;
use url::Url;
use zeroize::Zeroizing;

const SIGNATURE: &str = "signature";

/// Whether the signature or what carries it depends on the body.
pub(super) fn reads_body(row: &HmacSignature) -> bool {
    let names = |text: &Template| text.fields().any(|name| matches!(name, "body" | "body_sha256"));
    !row.send.body.is_empty() || names(&row.message) || templates(&row.send).any(names)
}

fn templates(send: &Send) -> impl Iterator<Item = &Template> {
    let basic = send
        .basic
        .iter()
        .flat_map(|pair| std::iter::once(&pair.username).chain(pair.password.as_ref()));
    send.headers.values().chain(send.query.values()).chain(send.body.values()).chain(basic)
}

impl Applied<'_> {
    /// What does not carry the signature itself is put on the request first, and so is signed
    /// with the rest where the message says so.
    pub(super) fn sign_hmac(
        &self,
        row: &HmacSignature,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), ApplyError> {
        let carries = |text: &Template| text.fields().any(|name| name == SIGNATURE);
        let mut parts = self.fixed_parts();
        parts.extend(parts_of(outgoing));
        if reads_body(row) && outgoing.body.is_none() {
            return Err(ApplyError::Streamed);
        }
        self.send_where(
            &row.send,
            outgoing,
            |name| parts.get(name).map(String::as_str).or_else(|| self.values.get(name)),
            |text| !carries(text),
        )?;
        parts.extend(parts_of(outgoing));
        let message =
            self.message(&row.message, &parts, outgoing.body.as_deref().map(Vec::as_slice))?;
        let key = self.value(row.key.as_str())?;
        let key = encoding::key_bytes(key, row.key_form)
            .ok_or_else(|| ApplyError::Key { name: row.key.to_string() })?;
        let algorithm = match row.algorithm {
            HmacAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = hmac::sign(&hmac::Key::new(algorithm, &key), &message);
        let signature = match row.signature_form {
            TextForm::Hex => HEXLOWER.encode(tag.as_ref()),
            TextForm::Base64 => BASE64.encode(tag.as_ref()),
            TextForm::Base64Url => BASE64URL_NOPAD.encode(tag.as_ref()),
        };
        parts.insert(SIGNATURE, signature);
        self.send_where(
            &row.send,
            outgoing,
            |name| parts.get(name).map(String::as_str).or_else(|| self.values.get(name)),
            carries,
        )
    }

    /// What does not depend on the request.
    fn fixed_parts(&self) -> BTreeMap<&'static str, String> {
        let now = self.moment.now;
        let moment = jiff::Timestamp::from_second(i64::try_from(now.as_secs()).unwrap_or(0));
        let printed =
            moment.ok().and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok());
        BTreeMap::from([
            ("timestamp", now.as_secs().to_string()),
            ("timestamp_ms", now.as_millis().to_string()),
            ("http_date", printed.unwrap_or_default()),
            ("nonce", self.moment.nonce()),
        ])
    }

    /// What is signed. The body stands in it as it is, which may be no text.
    fn message(
        &self,
        template: &Template,
        parts: &BTreeMap<&'static str, String>,
        body: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, ApplyError> {
        let mut message = Zeroizing::new(Vec::with_capacity(1024 + body.map_or(0, <[u8]>::len)));
        let mut pieces = template.as_str().split('{');
        message.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap_or((piece, ""));
            match (name, body) {
                ("body", Some(body)) => message.extend_from_slice(body),
                _ => match parts.get(name).map(String::as_str).or_else(|| self.values.get(name)) {
                    Some(text) => message.extend_from_slice(text.as_bytes()),
                    None if form::is_optional(self.app, self.scheme, name) => {}
                    None => return Err(super::missing(name)),
                },
            }
            message.extend_from_slice(rest.as_bytes());
        }
        Ok(message)
    }
}

/// What does.
fn parts_of(outgoing: &Outgoing<'_>) -> BTreeMap<&'static str, String> {
    let url: &Url = outgoing.url;
    let host = url.host_str().unwrap_or_default();
    let query = url.query().unwrap_or_default();
    let mut parts = BTreeMap::from([
        ("method", outgoing.method.to_string()),
        ("host", url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))),
        ("path", url.path().to_owned()),
        ("query", query.to_owned()),
        ("path_and_query", url[url::Position::BeforePath..url::Position::AfterQuery].to_owned()),
        ("url", url.to_string()),
    ]);
    if let Some(body) = outgoing.body.as_deref() {
        let sum = digest::digest(&digest::SHA256, body);
        parts.insert("body_sha256", HEXLOWER.encode(sum.as_ref()));
        if let Ok(text) = std::str::from_utf8(body) {
            parts.insert("body", text.to_owned());
        }
    }
    parts
}
