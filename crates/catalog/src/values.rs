//! The texts of a row that have a form of their own. Each checks itself when it is read, so that
//! an error points at its line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::IpAddr;
use url::{Host, Url};

/// A value is of the wrong form: the text for the reader of the row.
type Refused = String;

macro_rules! text_value {
    ($name:ident, $form:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::read(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $form })
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// The short name of an app in URLs, manifests and folders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slug(String);
text_value!(Slug, "1 to 40 of a-z, 0-9 and -, starting with a letter");

impl std::str::FromStr for Slug {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl Slug {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let form = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = text.len() <= 40
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(form);
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a slug; use a-z, 0-9 and -, at most 40, a letter first"))
    }
}

/// The name of a credential's field, as code sees it in `connections.<name>.$auth`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldName(String);
text_value!(FieldName, "1 to 40 of a-z, 0-9 and _, starting with a letter");

impl std::borrow::Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FieldName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let form = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = text.len() <= 40
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(form);
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a field name; use a-z, 0-9 and _, at most 40, a letter first"))
    }
}

/// A URL that Causeway or a customer's browser calls: https, or http at a loopback address (the
/// demo app, tests). Without user info and fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppUrl(Url);
text_value!(AppUrl, "an https URL; http only at 127.0.0.0/8 or [::1]");

impl AppUrl {
    /// The URL.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let url = Url::parse(text).map_err(|why| format!("`{text}` is not a URL: {why}"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
            return Err(format!(
                "`{text}` must be https; http is accepted at a loopback address only"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` must have neither user info nor a fragment"));
        }
        Ok(Self(url))
    }
}

/// A page for people: https, or a page of this project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUrl(Url);
text_value!(PageUrl, "an https URL of a page");

impl PageUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn read(text: &str) -> Result<Self, Refused> {
        match Url::parse(text) {
            Ok(url) if url.scheme() == "https" => Ok(Self(url)),
            _ => Err(format!("`{text}` is not the https URL of a page")),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6).to_canonical().is_loopback(),
        _ => false,
    }
}

/// A URL in which `{field}` stands for a value of the connection, percent-encoded in its path and
/// query. In the host, only values that are a host's label, or a whole host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);
text_value!(UrlTemplate, "as AppUrl, and {field} stands for a value of the connection");

impl UrlTemplate {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        names(&self.0)
    }

    /// The fields that it names in its host.
    pub fn host_fields(&self) -> impl Iterator<Item = &str> {
        names(self.authority())
    }

    /// The fields that are its whole host, so that whoever gives them chooses where it leads.
    pub fn whole_host_field(&self) -> Option<&str> {
        let name = self.authority().strip_prefix('{')?.strip_suffix('}')?;
        (!name.contains('{')).then_some(name)
    }

    /// The URL, if it names no field.
    pub fn as_fixed(&self) -> Option<Url> {
        if self.fields().next().is_some() { None } else { Url::parse(&self.0).ok() }
    }

    /// The URL with each field replaced by its value; `None` if a field has none, or one that
    /// cannot stand in a host, or if what comes out is no URL of this template's scheme.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<Url> {
        let (scheme, rest) = self.0.split_once("://")?;
        let authority = self.authority();
        let tail = rest.get(authority.len()..)?;
        let host = fill(authority, |name| value(name).filter(|v| is_host(v)).map(Cow::Borrowed))?;
        let tail = fill(tail, |name| value(name).and_then(percent_encoded))?;
        let url = Url::parse(&format!("{scheme}://{host}{tail}")).ok()?;
        // A value must not have become user info, or moved the host's end.
        let whole = url.username().is_empty() && url.password().is_none();
        (whole && url.scheme() == scheme && url.host().is_some()).then_some(url)
    }

    fn authority(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }

    fn read(text: &str) -> Result<Self, Refused> {
        check_names(text)?;
        let filled = fill(text, |_| Some(Cow::Borrowed("x"))).unwrap_or_default();
        AppUrl::read(&filled)?;
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(format!("`{text}` must begin with https://"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Whether a value may stand in a host: labels of letters, digits and hyphens, with an optional
/// port.
pub(crate) fn is_host(value: &str) -> bool {
    let (name, port) = value.rsplit_once(':').unwrap_or((value, "443"));
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label) && port.parse::<u16>().is_ok_and(|p| p > 0)
}

/// As a part of a path or query. A `:` stays: both allow it (RFC 3986, section 3.3), and tokens in
/// paths have it. `None` for a value that would climb: the URL standard takes `%2E%2E` for `..`, too.
fn percent_encoded(text: &str) -> Option<Cow<'_, str>> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b':');
    if matches!(text, "." | "..") {
        return None;
    }
    if text.bytes().all(plain) {
        return Some(Cow::Borrowed(text));
    }
    let encoded = text.bytes().map(|byte| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    });
    Some(Cow::Owned(encoded.collect()))
}

/// The names in braces.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name)
}

/// The text with each name in braces replaced; `None` if one has no value.
fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<Cow<'v, str>>) -> Option<String> {
    let mut parts = text.split('{');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        filled.push_str(&value(name)?);
        filled.push_str(rest);
    }
    Some(filled)
}

/// Whether braces come in pairs with a field's name in each.
fn check_names(text: &str) -> Result<(), Refused> {
    for (index, part) in text.split('{').enumerate() {
        let rest = match part.split_once('}') {
            Some((name, rest)) if index > 0 => {
                FieldName::read(name)?;
                rest
            }
            _ if index > 0 => return Err(format!("`{text}` has a `{{` without its `}}`")),
            _ => part,
        };
        if rest.contains('}') {
            return Err(format!("`{text}` has a `}}` without its `{{`"));
        }
    }
    Ok(())
}

/// A [`HostPattern`] in which `{field}` stands for a value of the connection: a label, like
/// `{subdomain}.example.com`, or the whole host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTemplate {
    text: String,
    /// The pattern itself, if it names no field: each call compares with it.
    fixed: Option<HostPattern>,
}
text_value!(
    HostTemplate,
    "api.example.com, *.example.com, {subdomain}.example.com, with :port if not 443; or {host}"
);

impl HostTemplate {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        names(&self.text)
    }

    /// The pattern for a connection; `None` if a value is missing or cannot stand in a host.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<HostPattern> {
        if let Some(fixed) = &self.fixed {
            return Some(fixed.clone());
        }
        let text = fill(&self.text, |name| value(name).filter(|v| is_host(v)).map(Cow::Borrowed))?;
        HostPattern::read(&text.to_ascii_lowercase()).ok()
    }

    /// Whether a request to this URL may carry the credential of a connection.
    pub fn covers<'a>(&self, url: &Url, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        match &self.fixed {
            Some(fixed) => fixed.covers(url),
            None => self.fill(value).is_some_and(|pattern| pattern.covers(url)),
        }
    }

    fn read(text: &str) -> Result<Self, Refused> {
        check_names(text)?;
        if text.starts_with("*.{") {
            return Err(format!("`{text}` leaves open which domain it is in"));
        }
        let filled = fill(text, |_| Some(Cow::Borrowed("x"))).unwrap_or_default();
        let pattern = HostPattern::read(&filled)?;
        let fixed = names(text).next().is_none().then_some(pattern);
        Ok(Self { text: text.to_owned(), fixed })
    }
}

/// Where a credential may be sent: `api.example.com`, `*.example.com` (any depth, not
/// `example.com` itself), each with an optional port (443 if none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    host: String,
    any_below: bool,
    port: u16,
}
text_value!(HostPattern, "api.example.com, *.example.com, either with :port");

impl std::str::FromStr for HostPattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text)
    }
}

impl HostPattern {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a request to this URL may carry the credential: never in clear, except on this
    /// machine.
    pub fn covers(&self, url: &Url) -> bool {
        (url.scheme() == "https" || is_loopback(url))
            && url
                .host_str()
                .zip(url.port_or_known_default())
                .is_some_and(|(host, port)| self.covers_host(host, port))
    }

    /// Whether a connection to this host and port may carry the credential. The host is a name
    /// in lower-case ASCII or an address, as the URL standard prints it.
    pub fn covers_host(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let named = if self.any_below {
            host.strip_suffix(self.host.as_str()).is_some_and(|below| {
                below.strip_suffix('.').is_some_and(|labels| !labels.is_empty())
            })
        } else {
            host == self.host
        };
        named && port == self.port
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let refused = |why: &str| Err(format!("`{text}` is not a host pattern: {why}"));
        let (any_below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // The URL standard's parser decides what a host is, here as in the guard.
        let url = match Url::parse(&format!("https://{rest}/")) {
            Ok(url) if !rest.contains(['*', '/', '@', '?', '#']) => url,
            _ => return refused("write api.example.com or *.example.com, with :port if not 443"),
        };
        let Some(host) = url.host_str() else { return refused("it names no host") };
        let printed = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        if printed != rest {
            return refused(&format!("write `{printed}`"));
        }
        if any_below && (!host.contains('.') || !matches!(url.host(), Some(Host::Domain(_)))) {
            return refused("a wildcard needs a domain of at least two labels");
        }
        let (host, port) = (host.to_owned(), url.port().unwrap_or(443));
        Ok(Self { text: text.to_owned(), host, any_below, port })
    }
}

/// A text with fields of the connection in braces: `Bearer {token}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);
text_value!(Template, "text in which {field} stands for a value of the connection");

impl Template {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        names(&self.0)
    }

    /// The text with each field replaced by its value; `None` if a field has none.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        fill(&self.0, |name| value(name).map(Cow::Borrowed))
    }

    pub(crate) fn read(text: &str) -> Result<Self, Refused> {
        check_names(text)?;
        if text.contains(|letter: char| letter.is_control() && letter != '\n') {
            return Err(format!("`{text}` holds control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A JSON Pointer (RFC 6901) into an answer, like `/authed_user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPointer(String);
text_value!(JsonPointer, "a JSON Pointer (RFC 6901), like /authed_user");

impl JsonPointer {
    /// The text, as [`serde_json::Value::pointer`] takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if text.starts_with('/') && escapes {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a JSON Pointer; write it like /authed_user"))
    }
}

#[cfg(test)]
#[path = "values/tests.rs"]
mod tests;
