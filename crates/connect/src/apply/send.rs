//! What `send` of a row says: headers, query parameters, Basic, fields of the body.

use super::{Applied, ApplyError, Outgoing, body};
use causeway_catalog::{Send, Template};
use data_encoding::BASE64;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

impl Applied<'_> {
    /// Puts all of it on a request.
    pub(super) fn send(&self, send: &Send, outgoing: &mut Outgoing<'_>) -> Result<(), ApplyError> {
        self.send_where(send, outgoing, |name| self.values.get(name), |_| true)
    }

    /// Puts those parts on a request whose templates are chosen; `value` may know more names than
    /// the connection does.
    pub(super) fn send_where<'v>(
        &self,
        send: &Send,
        outgoing: &mut Outgoing<'_>,
        value: impl Fn(&str) -> Option<&'v str> + Copy,
        chosen: impl Fn(&Template) -> bool + Copy,
    ) -> Result<(), ApplyError> {
        let filled = |templates: &BTreeMap<String, Template>| {
            let mut filled = Vec::new();
            for (name, template) in templates.iter().filter(|(_, template)| chosen(template)) {
                if let Some(text) = self.fill_with(template, value)? {
                    filled.push((name.clone(), text));
                }
            }
            Ok::<_, ApplyError>(filled)
        };
        for (name, text) in filled(&send.headers)? {
            let name: HeaderName = name.parse().map_err(|_| ApplyError::Header)?;
            outgoing.headers.insert(name, sensitive(&text)?);
        }
        if let Some(pair) = send
            .basic
            .as_ref()
            .filter(|pair| chosen(&pair.username) || pair.password.as_ref().is_some_and(chosen))
        {
            let user = self.fill_with(&pair.username, value)?.unwrap_or_default();
            let password = match &pair.password {
                Some(template) => self.fill_with(template, value)?.unwrap_or_default(),
                None => Zeroizing::default(),
            };
            outgoing.headers.insert(AUTHORIZATION, basic(&user, &password)?);
        }
        let query = filled(&send.query)?;
        if !query.is_empty() {
            let mut pairs = outgoing.url.query_pairs_mut();
            for (name, text) in &query {
                pairs.append_pair(name, text);
            }
        }
        body::add(outgoing, &filled(&send.body)?)
    }
}

/// Fills the headers of a row into those of a request; those that name an empty optional field
/// are left out.
pub(crate) fn put_headers<'t>(
    applied: &Applied<'_>,
    templates: impl Iterator<Item = (&'t String, &'t Template)>,
    headers: &mut HeaderMap,
) -> Result<(), ApplyError> {
    for (name, template) in templates {
        let Some(text) = applied.fill(template)? else { continue };
        let name: HeaderName = name.parse().map_err(|_| ApplyError::Header)?;
        headers.insert(name, sensitive(&text)?);
    }
    Ok(())
}

/// The value of `Authorization: Basic` (RFC 7617), marked as sensitive.
pub(crate) fn basic(user: &str, password: &str) -> Result<HeaderValue, ApplyError> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    sensitive(&text)
}

/// A header value that is dropped on redirects to other origins.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue, ApplyError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ApplyError::Header)?;
    value.set_sensitive(true);
    Ok(value)
}
