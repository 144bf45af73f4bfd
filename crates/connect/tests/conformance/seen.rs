//! Requests as a stand-in sees them, and how it looks at their parts: what it does not know, it
//! refuses.

use bytes::Bytes;
use causeway_catalog::BodyForm;
use http::request::Parts;
use http::{HeaderMap, header};
use serde_json::Value;
use std::collections::BTreeMap;
use url::Url;

/// What does not fit, in words.
pub(crate) type Fault = String;

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// The whole URL, with host and port as the client named them.
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn new(head: Parts, body: Bytes) -> Result<Self, Fault> {
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.ok_or("the request names no host")?;
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = Url::parse(&format!("https://{host}{path}"));
        Ok(Self {
            method: head.method.to_string(),
            url: url.map_err(|_| "the request's URL does not read")?,
            headers: head.headers,
            body,
        })
    }

    /// Whether it was sent to this URL, whatever its query.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        self.url.origin() == url.origin() && self.url.path() == url.path()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The query's parameters.
    pub(crate) fn query(&self) -> Fields {
        Fields::new("query", self.url.query_pairs().map(owned).collect())
    }

    /// The members of the body, in this form.
    pub(crate) fn members(&self, form: BodyForm) -> Result<Fields, Fault> {
        let wanted = match form {
            BodyForm::Form => "application/x-www-form-urlencoded",
            BodyForm::Json => "application/json",
        };
        let named = self.header("content-type").unwrap_or("nothing");
        if named != wanted {
            return Err(format!("the body is called {named} and not {wanted}"));
        }
        let pairs = match form {
            BodyForm::Form => url::form_urlencoded::parse(&self.body).map(owned).collect(),
            BodyForm::Json => {
                let object: BTreeMap<String, Value> =
                    serde_json::from_slice(&self.body).map_err(|_| "the body is no JSON object")?;
                object.into_iter().map(|(name, value)| (name, text_of(&value))).collect()
            }
        };
        Ok(Fields::new("body", pairs))
    }

    /// The two halves of `Authorization: Basic`.
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
    }
}

fn owned(
    (name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>),
) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Parameters, of which each has to be asked for: what is left is unknown.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    place: &'static str,
    pairs: Vec<(String, String)>,
}

impl Fields {
    fn new(place: &'static str, pairs: Vec<(String, String)>) -> Self {
        Self { place, pairs }
    }

    /// Of a request without a body.
    pub(crate) fn empty() -> Self {
        Self::new("body", Vec::new())
    }

    /// Takes a parameter that may be there once.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(own, _)| own == name)?;
        Some(self.pairs.remove(at).1)
    }

    /// Takes one that must be there.
    pub(crate) fn need(&mut self, name: &str) -> Result<String, Fault> {
        self.take(name).ok_or_else(|| format!("`{name}` is missing in the {}", self.place))
    }

    /// Takes one that must be there with this value.
    pub(crate) fn expect(&mut self, name: &str, wanted: &str) -> Result<(), Fault> {
        let found = self.need(name)?;
        if found == wanted {
            return Ok(());
        }
        Err(format!("`{name}` in the {} is `{found}` and not `{wanted}`", self.place))
    }

    /// Takes those of a URL that the row gives with its query.
    pub(crate) fn expect_query_of(&mut self, url: &Url) -> Result<(), Fault> {
        url.query_pairs().try_for_each(|(name, value)| self.expect(&name, &value))
    }

    /// All of them, by name.
    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.pairs.into_iter().collect()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Fault> {
        match self.pairs.first() {
            Some((name, _)) => Err(format!("`{name}` in the {} is not of the row", self.place)),
            None => Ok(()),
        }
    }
}
