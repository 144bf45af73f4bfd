//! Fields of a credential in the body of a request.

use super::{ApplyError, Outgoing};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// The form of a body that has fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Form,
}

/// What the content type says of the body.
pub(super) fn kind(headers: &HeaderMap) -> Option<Kind> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => Some(Kind::Form),
        "application/json" => Some(Kind::Json),
        other => other.ends_with("+json").then_some(Kind::Json),
    }
}

/// Sets fields of the body. A request without a body gets none.
pub(crate) fn add(
    outgoing: &mut Outgoing<'_>,
    fields: &[(String, Zeroizing<String>)],
) -> Result<(), ApplyError> {
    if fields.is_empty() {
        return Ok(());
    }
    let body = outgoing.body.as_deref_mut().ok_or(ApplyError::Streamed)?;
    if body.is_empty() {
        return Ok(());
    }
    *body = match kind(outgoing.headers).ok_or(ApplyError::BodyForm)? {
        Kind::Json => in_json(body, fields)?,
        Kind::Form => in_form(body, fields),
    };
    Ok(())
}

/// The values that stay are copied as they are written, so that no number changes.
fn in_json(body: &[u8], fields: &[(String, Zeroizing<String>)]) -> Result<Vec<u8>, ApplyError> {
    let object: BTreeMap<&str, &RawValue> =
        serde_json::from_slice(body).map_err(|_| ApplyError::BodyForm)?;
    let own = |name: &str| fields.iter().any(|(field, _)| field == name);
    let size: usize = fields.iter().map(|(name, text)| name.len() + text.len() * 6 + 8).sum();
    let mut written = Vec::with_capacity(body.len() + size);
    let mut push = |name: &str, value: &[u8]| {
        written.push(if written.is_empty() { b'{' } else { b',' });
        // Writing texts into memory cannot fail.
        let _ = serde_json::to_writer(&mut written, name);
        written.push(b':');
        written.extend_from_slice(value);
    };
    for (name, value) in object.iter().filter(|(name, _)| !own(name)) {
        push(name, value.get().as_bytes());
    }
    for (name, text) in fields {
        let mut value = Zeroizing::new(Vec::with_capacity(text.len() * 6 + 2));
        let _ = serde_json::to_writer(&mut *value, text.as_str());
        push(name, &value);
    }
    written.push(b'}');
    Ok(written)
}

/// Pairs that stay are copied as they are written.
fn in_form(body: &[u8], fields: &[(String, Zeroizing<String>)]) -> Vec<u8> {
    let own = |pair: &[u8]| {
        form_urlencoded::parse(pair)
            .next()
            .is_some_and(|(name, _)| fields.iter().any(|(field, _)| *field == name))
    };
    let kept = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty() && !own(pair));
    let mut parts: Vec<Vec<u8>> = kept.map(<[u8]>::to_vec).collect();
    for (name, text) in fields {
        let mut pair: Vec<u8> = Vec::with_capacity((name.len() + text.len()) * 3 + 1);
        for part in form_urlencoded::byte_serialize(name.as_bytes()) {
            pair.extend_from_slice(part.as_bytes());
        }
        pair.push(b'=');
        for part in form_urlencoded::byte_serialize(text.as_bytes()) {
            pair.extend_from_slice(part.as_bytes());
        }
        parts.push(pair);
    }
    parts.join(&b'&')
}
