//! The texts of a row that have a form of their own. Each checks itself when it is read, so that
//! an error points at its line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => IpAddr::V6(v6).to_canonical().is_loopback(),
        _ => false,
    }
}

/// A URL with `{client_id}` in it, for calls that name the OAuth client in their path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);
text_value!(UrlTemplate, "as AppUrl, and `{client_id}` stands for the OAuth client's id");

/// The one placeholder of a [`UrlTemplate`].
const CLIENT_ID: &str = "{client_id}";

impl UrlTemplate {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL for one OAuth client; the id is percent-encoded. `None` if the result is not a URL.
    pub fn fill(&self, client_id: &str) -> Option<Url> {
        let encoded: String = client_id
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        Url::parse(&self.0.replace(CLIENT_ID, &encoded)).ok()
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let filled = text.replace(CLIENT_ID, "id");
        if filled.contains(['{', '}']) {
            return Err(format!("`{text}` has a placeholder other than {CLIENT_ID}"));
        }
        // A client id in the host would let whoever configures the client choose the host.
        let url = AppUrl::read(&filled)?;
        let host = text.split('/').nth(2).unwrap_or_default();
        if host.contains(CLIENT_ID) || url.as_url().host().is_none() {
            return Err(format!("`{text}` must not have {CLIENT_ID} in its host"));
        }
        Ok(Self(text.to_owned()))
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

/// A text with credential fields in braces: `Bearer {token}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);
text_value!(Template, "text in which {field} stands for a field of the credential");

impl Template {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fields that it names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.split('{').skip(1).filter_map(|part| part.split_once('}')).map(|(name, _)| name)
    }

    /// The text with each field replaced by its value; `None` if a field has none.
    pub fn fill<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
        let mut parts = self.0.split('{');
        let mut filled = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            filled.push_str(value(name)?);
            filled.push_str(rest);
        }
        Some(filled)
    }

    fn read(text: &str) -> Result<Self, Refused> {
        let mut outside = String::new();
        let mut names = 0;
        for (index, part) in text.split('{').enumerate() {
            let rest = match part.split_once('}') {
                Some((name, rest)) if index > 0 => {
                    FieldName::read(name)?;
                    names += 1;
                    rest
                }
                _ if index > 0 => return Err(format!("`{text}` has a `{{` without its `}}`")),
                _ => part,
            };
            outside.push_str(rest);
        }
        if outside.contains('}') {
            return Err(format!("`{text}` has a `}}` without its `{{`"));
        }
        if names == 0 || outside.contains(|letter: char| letter.is_control()) {
            return Err(format!("`{text}` must name a field of the credential, like {{api_key}}"));
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
