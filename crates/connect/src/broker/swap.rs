//! Putting secrets in the place of their placeholders.

use super::find::{self, Sighting};
use super::link::Link;
use super::place::Place;
use crate::apply::{self, ApplyError, Outgoing, Values};
use data_encoding::BASE64;
use http::header::HeaderName;
use std::sync::Arc;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// What of a request is to be swapped. The secrets come later, and anew if the token has been
/// renewed in between.
pub(crate) struct Swaps {
    link: Arc<Link>,
    headers: Vec<HeaderName>,
    in_query: bool,
    in_path: bool,
    body: Vec<String>,
}

impl Swaps {
    /// The places where the placeholders of a link were seen.
    pub(super) fn new(link: Arc<Link>, seen: &[Sighting]) -> Self {
        let mut swaps =
            Self { link, headers: Vec::new(), in_query: false, in_path: false, body: Vec::new() };
        for sighting in seen {
            match &sighting.place {
                Place::Header(name) if !swaps.headers.contains(name) => {
                    swaps.headers.push(name.clone());
                }
                Place::Body(name) if !swaps.body.contains(name) => swaps.body.push(name.clone()),
                Place::Query(_) => swaps.in_query = true,
                Place::Segment(_) => swaps.in_path = true,
                Place::Header(_) | Place::Body(_) | Place::Elsewhere(_) => {}
            }
        }
        swaps
    }

    /// Swaps them.
    ///
    /// # Errors
    /// The connection has no such value any more, or one that cannot stand there.
    pub(crate) fn put_on(
        &self,
        values: Values<'_>,
        outgoing: &mut Outgoing<'_>,
    ) -> Result<(), ApplyError> {
        for (name, value) in outgoing.headers.iter_mut() {
            if self.headers.contains(name) {
                let text = match find::basic(name, value.as_bytes()) {
                    Some(pair) => {
                        let pair = self.swapped(&as_text(&pair)?, values, plain)?;
                        Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
                    }
                    None => self.swapped(&as_text(value.as_bytes())?, values, plain)?,
                };
                *value = apply::sensitive(&text)?;
            }
        }
        if self.in_path {
            let path = self.swapped(outgoing.url.path(), values, in_path)?;
            outgoing.url.set_path(&path);
        }
        if self.in_query {
            let query = outgoing.url.query().unwrap_or_default().to_owned();
            let pairs: Result<Vec<_>, _> =
                query.split('&').map(|pair| self.in_pair(pair, values)).collect();
            let joined = Zeroizing::new(pairs?.join("&"));
            outgoing.url.set_query(Some(&joined));
        }
        self.in_body(values, outgoing)
    }

    fn in_body(&self, values: Values<'_>, outgoing: &mut Outgoing<'_>) -> Result<(), ApplyError> {
        if self.body.is_empty() {
            return Ok(());
        }
        let body = outgoing.body.as_deref().ok_or(ApplyError::Streamed)?;
        let mut swapped = Vec::new();
        for (name, text) in find::fields(outgoing.headers, body) {
            if self.body.contains(&name) {
                swapped.push((name, self.swapped(&text, values, plain)?));
            }
        }
        apply::set_fields(outgoing, &swapped)
    }

    /// A pair of a query; one without a placeholder stays as it is written.
    fn in_pair(&self, pair: &str, values: Values<'_>) -> Result<String, ApplyError> {
        let Some((name, value)) = pair.split_once('=') else { return Ok(pair.to_owned()) };
        let value = find::decoded(value);
        let swapped = self.swapped(&value, values, plain)?;
        if *swapped == *value {
            return Ok(pair.to_owned());
        }
        let encoded: String = form_urlencoded::byte_serialize(swapped.as_bytes()).collect();
        Ok(format!("{name}={encoded}"))
    }

    /// A text with each placeholder replaced by its secret.
    fn swapped(
        &self,
        text: &str,
        values: Values<'_>,
        encode: fn(&str) -> Zeroizing<String>,
    ) -> Result<Zeroizing<String>, ApplyError> {
        let mut out = Zeroizing::new(text.to_owned());
        for (field, placeholder) in self.link.placeholders() {
            if out.contains(placeholder) {
                let secret =
                    values.get(field).ok_or_else(|| ApplyError::Missing { name: field.clone() })?;
                out = Zeroizing::new(out.replace(placeholder, &encode(secret)));
            }
        }
        Ok(out)
    }
}

fn plain(secret: &str) -> Zeroizing<String> {
    Zeroizing::new(secret.to_owned())
}

/// As a part of a path: what the URL's own parser would take for its end, or for a step up, is
/// percent-encoded.
fn in_path(secret: &str) -> Zeroizing<String> {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~:.".contains(&byte);
    let encode = |byte: u8| {
        if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    Zeroizing::new(secret.bytes().map(encode).collect())
}

fn as_text(bytes: &[u8]) -> Result<Zeroizing<String>, ApplyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ApplyError::Header)?;
    Ok(Zeroizing::new(text.to_owned()))
}
