//! Where in a request a placeholder stands, and where the app's row says that it belongs.

use super::find::Sighting;
use super::link::Link;
use crate::apply::send_of;
use crate::credential::ACCESS_TOKEN;
use causeway_catalog::{App, Send, Template};
use causeway_types::entity::Scheme;
use http::HeaderName;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::{Host, Url};

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A header. In `Authorization`, any scheme: libraries differ in the word before a token, and
    /// it is the app's own place for credentials.
    Header(HeaderName),
    /// A parameter of the query.
    Query(String),
    /// A segment of the path, as it is written.
    Segment(String),
    /// A field of a JSON object or a form.
    Body(String),
    /// Where no credential ever belongs.
    Elsewhere(&'static str),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Query(name) => write!(f, "the query parameter `{}`", printable(name)),
            Self::Segment(_) => f.write_str("the path"),
            Self::Body(name) => write!(f, "the body's field `{}`", printable(name)),
            Self::Elsewhere(what) => f.write_str(what),
        }
    }
}

/// A name that code chose, for a message and the audit chain.
fn printable(name: &str) -> String {
    name.chars().take(60).flat_map(char::escape_debug).collect()
}

/// Where the fields of a connection belong.
pub(super) struct Places {
    app: Arc<App>,
    scheme: Scheme,
}

impl Places {
    pub(super) fn new(app: Arc<App>, scheme: Scheme) -> Self {
        Self { app, scheme }
    }

    /// Whether requests are signed with the secrets, which stand nowhere in them.
    pub(super) fn are_signed(&self) -> bool {
        matches!(self.scheme, Scheme::Oauth1 | Scheme::Signature)
    }

    /// Whether a secret belongs into bodies.
    pub(super) fn in_body(&self) -> bool {
        self.row().is_some_and(|send| !send.body.is_empty())
    }

    /// Whether a placeholder stands where it belongs.
    pub(super) fn allow(&self, sighting: &Sighting, link: &Link) -> bool {
        let field = sighting.field(link);
        match &sighting.place {
            Place::Header(name) => {
                self.headers(field).any(|own| own.eq_ignore_ascii_case(name.as_str()))
            }
            Place::Query(name) => self.named(|send| &send.query, field).any(|own| own == name),
            Place::Body(name) => self.named(|send| &send.body, field).any(|own| own == name),
            Place::Segment(written) => {
                let placeholder = sighting.placeholder(link);
                self.segments(field)
                    .any(|own| own.replace(&format!("{{{field}}}"), placeholder) == *written)
            }
            Place::Elsewhere(_) => false,
        }
    }

    /// The places of a field, for a sentence.
    pub(super) fn of(&self, field: &str) -> String {
        let headers = self.headers(field).map(|name| format!("the header `{name}`"));
        let query =
            self.named(|send| &send.query, field).map(|n| format!("the query parameter `{n}`"));
        let body = self.named(|send| &send.body, field).map(|n| format!("the body's field `{n}`"));
        let path = self.segments(field).map(|text| format!("the path, as `{text}`"));
        let mut all: Vec<String> = headers.chain(query).chain(body).chain(path).collect();
        all.dedup();
        all.join(" or ")
    }

    fn row(&self) -> Option<&Send> {
        if self.are_signed() { None } else { send_of(&self.app.auth, self.scheme) }
    }

    /// The headers that carry a field.
    fn headers(&self, field: &str) -> impl Iterator<Item = &str> {
        let authorization = match (self.scheme, self.row()) {
            (Scheme::Oauth1 | Scheme::Signature | Scheme::None, _) => false,
            (Scheme::Basic, _) => matches!(field, "username" | "password"),
            (_, None) => field == ACCESS_TOKEN,
            (_, Some(send)) => send.basic.as_ref().is_some_and(|basic| {
                names(&basic.username, field)
                    || basic.password.as_ref().is_some_and(|text| names(text, field))
            }),
        };
        let own = self.named(|send| &send.headers, field);
        let of_app = carrying(&self.app.api.headers, field.to_owned());
        authorization.then_some(AUTHORIZATION_NAME).into_iter().chain(own).chain(of_app)
    }

    fn named(
        &self,
        part: fn(&Send) -> &BTreeMap<String, Template>,
        field: &str,
    ) -> impl Iterator<Item = &str> {
        let field = field.to_owned();
        self.row().map(part).into_iter().flat_map(move |all| carrying(all, field.clone()))
    }

    /// The segments of the app's own base that carry a field.
    fn segments(&self, field: &str) -> impl Iterator<Item = &str> {
        let named = format!("{{{field}}}");
        let path = self.app.api.base_url.as_str().splitn(4, '/').nth(3).unwrap_or_default();
        path.split('/').filter(move |segment| segment.contains(&named))
    }
}

/// As it is written in sentences.
const AUTHORIZATION_NAME: &str = "Authorization";

fn carrying(all: &BTreeMap<String, Template>, field: String) -> impl Iterator<Item = &str> {
    all.iter().filter(move |(_, text)| names(text, &field)).map(|(name, _)| name.as_str())
}

fn names(text: &Template, field: &str) -> bool {
    text.fields().any(|name| name == field)
}

/// Whether a host is this machine, where apps may do without TLS.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        _ => false,
    }
}
