//! Finding placeholders in a request.

use super::link::Link;
use super::place::Place;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use data_encoding::BASE64;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// A placeholder where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Whose it is, among the step's links.
    pub(super) link: usize,
    /// Which of the link's placeholders.
    index: usize,
    pub(super) place: Place,
    /// The host that it was sent to.
    pub(super) host: String,
}

impl Sighting {
    /// The field that it stands for.
    pub(super) fn field<'a>(&self, link: &'a Link) -> &'a str {
        link.placeholders().get(self.index).map_or("", |(field, _)| field)
    }

    /// Its text.
    pub(super) fn placeholder<'a>(&self, link: &'a Link) -> &'a str {
        link.placeholders().get(self.index).map_or("", |(_, text)| text)
    }
}

/// Knows every placeholder of a step.
pub(super) struct Finder {
    /// `None` if there are none.
    matcher: Option<AhoCorasick>,
    /// The texts, with whose they are.
    known: Vec<(String, usize, usize)>,
}

impl Finder {
    pub(super) fn new(links: &[Arc<Link>]) -> Self {
        let mut known = Vec::new();
        for (link, of) in links.iter().enumerate() {
            let of_link = of.placeholders().iter().enumerate();
            known.extend(of_link.map(|(index, (_, text))| (text.clone(), link, index)));
        }
        let build = || {
            let builder = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(known.iter().map(|(text, ..)| text));
            // A few short texts always fit.
            builder.ok()
        };
        let matcher = if known.is_empty() { None } else { build() };
        Self { matcher, known }
    }

    /// Every placeholder in a text.
    fn within(&self, text: impl AsRef<[u8]>) -> Vec<(usize, usize)> {
        let Some(matcher) = &self.matcher else { return Vec::new() };
        let found = matcher.find_iter(text.as_ref());
        found
            .filter_map(|one| self.known.get(one.pattern().as_usize()))
            .map(|(_, link, index)| (*link, *index))
            .collect()
    }

    /// The first placeholder in a piece of a body that is passed on while it arrives.
    pub(super) fn in_piece(&self, piece: &[u8], host: &str) -> Option<Sighting> {
        let (link, index) = self.within(piece).into_iter().next()?;
        let place = Place::Elsewhere("the body");
        Some(Sighting { link, index, place, host: host.to_owned() })
    }

    /// How many bytes at the end of a text may be the beginning of a placeholder.
    pub(super) fn beginning(&self, text: &[u8]) -> usize {
        let longest = |known: &String| {
            let most = known.len().saturating_sub(1).min(text.len());
            (1..=most)
                .rev()
                .find(|count| text.ends_with(known.as_bytes().get(..*count).unwrap_or_default()))
        };
        self.known.iter().filter_map(|(known, ..)| longest(known)).max().unwrap_or(0)
    }

    /// Placeholders in the URL and the headers.
    pub(super) fn in_head(&self, url: &Url, headers: &HeaderMap) -> Vec<Sighting> {
        let mut seen = Seen { finder: self, host: host_of(url), all: Vec::new() };
        for segment in url.path().split('/') {
            let place = Place::Segment(segment.to_owned());
            seen.text(segment, &decoded(segment), || place.clone());
        }
        for pair in url.query().unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            seen.add(decoded(name).as_ref(), || Place::Elsewhere("the name of a query parameter"));
            let name = || Place::Query(decoded(name).into_owned());
            seen.add(decoded(value).as_ref(), name);
        }
        for (name, value) in headers {
            seen.add(value.as_bytes(), || Place::Header(name.clone()));
            if let Some(pair) = basic(name, value.as_bytes()) {
                seen.add(&*pair, || Place::Header(name.clone()));
            }
        }
        seen.all
    }

    /// Placeholders in a whole body. One that stands anywhere but in the text of a field at the
    /// top is elsewhere.
    pub(super) fn in_body(&self, url: &Url, headers: &HeaderMap, body: &[u8]) -> Vec<Sighting> {
        let everywhere = self.within(body).len();
        let mut seen = Seen { finder: self, host: host_of(url), all: Vec::new() };
        for (name, text) in fields(headers, body) {
            seen.add(text.as_bytes(), || Place::Body(name.clone()));
        }
        if seen.all.len() < everywhere {
            seen.all.clear();
            seen.add(body, || Place::Elsewhere("the body"));
        }
        seen.all
    }
}

/// Collects what is seen.
struct Seen<'a> {
    finder: &'a Finder,
    host: String,
    all: Vec<Sighting>,
}

impl Seen<'_> {
    fn add(&mut self, text: impl AsRef<[u8]>, place: impl Fn() -> Place) {
        for (link, index) in self.finder.within(text) {
            self.all.push(Sighting { link, index, place: place(), host: self.host.clone() });
        }
    }

    /// A text that is swapped as it is written: a placeholder that shows only when the text is
    /// decoded stands in no place.
    fn text(&mut self, written: &str, decoded: &str, place: impl Fn() -> Place) {
        if self.finder.within(written).len() == self.finder.within(decoded).len() {
            self.add(written, place);
        } else {
            self.add(decoded, || Place::Elsewhere("the path, percent-encoded"));
        }
    }
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// A part of a query or path without its percent-encoding.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    // One name without a value: the form's rules, applied to a part of it.
    let escaped = text.replace('&', "%26").replace('=', "%3D");
    let first = form_urlencoded::parse(escaped.as_bytes()).next();
    first.map_or(Cow::Borrowed(""), |(name, _)| Cow::Owned(name.into_owned()))
}

/// User and password of `Authorization: Basic` (RFC 7617).
pub(super) fn basic(name: &HeaderName, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if *name != AUTHORIZATION {
        return None;
    }
    let (scheme, pair) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    BASE64.decode(pair.trim_ascii()).ok().map(Zeroizing::new)
}

/// The fields of a JSON object or a form that are texts.
pub(super) fn fields(headers: &HeaderMap, body: &[u8]) -> Vec<(String, String)> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/x-www-form-urlencoded" {
        let pairs = form_urlencoded::parse(body);
        return pairs.map(|(name, text)| (name.into_owned(), text.into_owned())).collect();
    }
    let object: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_slice(body);
    let texts = object.unwrap_or_default().into_iter().filter_map(|(name, value)| {
        Some((name, serde_json::from_str::<String>(value.get()).ok()?))
    });
    texts.collect()
}
