//! Asking an app's token endpoint (RFC 6749 sections 4.1.3, 5 and 6), and reading what it says;
//! and the question to its introspection endpoint.

use crate::limits::shown;
use bytes::Bytes;
use causeway_catalog::{ClientAuth, Introspection, JsonPointer, OAuth2};
use causeway_net::{HttpClient, HttpError, RequestLimits};
use causeway_types::{SecretBytes, SecretString, Timestamp};
use data_encoding::BASE64;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::Duration;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Time for one request to a token endpoint. A refresh's lease outlives it.
pub(crate) const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest token answer, in bytes.
const MOST_BYTES: u64 = 256 * 1024;
/// Characters of an app's own words that are kept.
const MOST_WORDS: usize = 300;
/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The company's client, opened.
pub(crate) struct Client {
    pub(crate) client_id: String,
    /// Empty for a public client.
    pub(crate) secret: SecretString,
}

/// What is exchanged.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    Code { code: &'a SecretString, redirect_uri: &'a str, verifier: Option<&'a SecretString> },
    Refresh { token: &'a SecretString },
}

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// A client id or secret that cannot stand in a header.
    #[error("building the request: the client's id or secret cannot stand in a header")]
    Request,
    /// No whole answer.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl EndpointError {
    /// Whether the app may have received the request; see [`HttpError::may_have_been_sent`].
    pub(crate) fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Request => false,
            Self::Http(source) => source.may_have_been_sent(),
        }
    }
}

/// An answer as it came.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) received_at: Timestamp,
    pub(crate) body: SecretBytes,
}

/// What the head of a kept answer says; the body follows after a line feed.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    retry_after_s: Option<u64>,
    received_at_us: i64,
}

/// New tokens.
pub(crate) struct Granted {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) expires_at: Option<Timestamp>,
    /// As the app wrote them; RFC 6749 section 5.1 lets it leave them out if they are those
    /// asked for.
    pub(crate) scope: Option<String>,
}

/// An answer without tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    /// The error's code, in the app's words.
    pub(crate) error: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

/// A request that only has to be sent; it is wiped if it is not.
pub(crate) struct Prepared(http::Request<Form>);

/// Builds a request.
pub(crate) fn prepare(
    row: &OAuth2,
    client: &Client,
    grant: Grant<'_>,
) -> Result<Prepared, EndpointError> {
    let mut form = Form::default();
    match grant {
        Grant::Code { code, redirect_uri, verifier } => {
            form.add("grant_type", "authorization_code");
            form.add("code", code.expose());
            form.add("redirect_uri", redirect_uri);
            if let Some(verifier) = verifier {
                form.add("code_verifier", verifier.expose());
            }
        }
        Grant::Refresh { token } => {
            form.add("grant_type", "refresh_token");
            form.add("refresh_token", token.expose());
        }
    }
    for (name, value) in &row.token_params {
        form.add(name, value);
    }
    let mut request = http::Request::post(row.token_url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(header) = client_header(row.client_auth, client, &mut form) {
        request = request.header(AUTHORIZATION, header?);
    }
    request.body(form).map(Prepared).map_err(|_| EndpointError::Request)
}

/// Sends a request. Nothing is sent twice, and no redirect is followed: a token endpoint that
/// redirects would take the grant elsewhere.
pub(crate) async fn send(
    http: &HttpClient,
    Prepared(request): Prepared,
    now: impl Fn() -> Timestamp,
) -> Result<RawAnswer, EndpointError> {
    let limits =
        RequestLimits { total: TOKEN_TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
    let response = http.request(request.map(Form::into_body), limits).await?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let body = SecretBytes::new(response.bytes().await?.to_vec());
    Ok(RawAnswer { status, retry_after, received_at: now(), body })
}

/// Builds the question whether a refresh token is good (RFC 7662 section 2.1).
pub(crate) fn question(
    introspection: &Introspection,
    client: &Client,
    refresh_token: &SecretString,
) -> Result<http::Request<Form>, EndpointError> {
    let mut form = Form::default();
    form.add("token", refresh_token.expose());
    form.add("token_type_hint", "refresh_token");
    let mut request = http::Request::post(introspection.url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some(header) = client_header(introspection.client_auth, client, &mut form) {
        request = request.header(AUTHORIZATION, header?);
    }
    request.body(form).map_err(|_| EndpointError::Request)
}

/// Puts the client's proof into a form, or returns the header that carries it.
pub(crate) fn client_header(
    auth: ClientAuth,
    client: &Client,
    form: &mut Form,
) -> Option<Result<HeaderValue, EndpointError>> {
    // A public client has nothing to prove and only names itself (RFC 6749 section 3.2.1).
    if client.secret.expose().is_empty() {
        form.add("client_id", &client.client_id);
        return None;
    }
    match auth {
        ClientAuth::Post => {
            form.add("client_id", &client.client_id);
            form.add("client_secret", client.secret.expose());
            None
        }
        // Both are form-encoded before they are joined (RFC 6749 section 2.3.1).
        ClientAuth::Basic => {
            Some(basic(&encoded(&client.client_id), &encoded(client.secret.expose())))
        }
    }
}

/// The value of `Authorization: Basic` (RFC 7617), marked as sensitive.
pub(crate) fn basic(user: &str, password: &str) -> Result<HeaderValue, EndpointError> {
    let pair = Zeroizing::new(format!("{user}:{password}"));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    sensitive(&text)
}

/// A header value that is dropped on redirects to other origins.
pub(crate) fn sensitive(text: &str) -> Result<HeaderValue, EndpointError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| EndpointError::Request)?;
    value.set_sensitive(true);
    Ok(value)
}

fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// A form body that is wiped if it is not sent.
#[derive(Default)]
pub(crate) struct Form(Zeroizing<String>);

impl Form {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&encoded(name));
        self.0.push('=');
        self.0.push_str(&encoded(value));
    }

    pub(crate) fn into_body(mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut *self.0))
    }
}

/// Seconds of a `Retry-After`; its other form, a date, is left to the back-off.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

impl RawAnswer {
    /// The bytes to seal: the head, a line feed, the body as it came.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let head = Head {
            status: self.status,
            retry_after_s: self.retry_after.map(|wait| wait.as_secs()),
            received_at_us: self.received_at.as_micros(),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.body.expose().len() + 128));
        // Writing numbers into memory cannot fail.
        let _ = serde_json::to_writer(&mut *bytes, &head);
        bytes.push(b'\n');
        bytes.extend_from_slice(self.body.expose());
        bytes
    }

    /// Reads what was sealed.
    pub(crate) fn from_opened(opened: &SecretBytes) -> Option<Self> {
        let line = opened.expose().iter().position(|byte| *byte == b'\n')?;
        let (head, body) = opened.expose().split_at_checked(line)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        Some(Self {
            status: head.status,
            retry_after: head.retry_after_s.map(Duration::from_secs),
            received_at: Timestamp::from_micros(head.received_at_us),
            body: SecretBytes::new(body.get(1..)?.to_vec()),
        })
    }

    /// Looks for tokens in it; those of a code may stand deeper in it than at its top.
    pub(crate) fn read(&self, row: &OAuth2, is_code: bool) -> Result<Granted, Refused> {
        let refused = || self.refused();
        if !(200..300).contains(&self.status) {
            return Err(refused());
        }
        let text = std::str::from_utf8(self.body.expose()).map_err(|_| refused())?;
        let at = row.token_at.as_ref().filter(|_| is_code);
        let object = at.map_or(Some(text), |at| object_at(text, at)).ok_or_else(refused)?;
        let fields: Fields = serde_json::from_str(object).map_err(|_| refused())?;
        let access = fields.access_token.filter(usable).ok_or_else(refused)?;
        let lifetime = fields
            .expires_in
            .and_then(seconds)
            .or(row.default_expires_in.map(u64::from))
            .map(Duration::from_secs);
        Ok(Granted {
            access,
            refresh: fields.refresh_token.filter(usable),
            expires_at: lifetime.map(|lifetime| self.received_at.plus(lifetime)),
            scope: fields.scope.filter(|scope| !scope.trim().is_empty()),
        })
    }

    fn refused(&self) -> Refused {
        let fields: Option<Failure> = serde_json::from_slice(self.body.expose()).ok();
        let words = |value: Option<&RawValue>, most| {
            let text: String = serde_json::from_str(value?.get()).ok()?;
            Some(shown(&text, most)).filter(|text| !text.is_empty())
        };
        let fields = fields.as_ref();
        let error = words(fields.and_then(|f| f.error), 64)
            .or_else(|| words(fields.and_then(|f| f.status), 64));
        let description = words(fields.and_then(|f| f.error_description), MOST_WORDS)
            .or_else(|| words(fields.and_then(|f| f.message), MOST_WORDS));
        Refused { status: self.status, error, description, retry_after: self.retry_after }
    }
}

/// A token that is not empty and fits into a header.
fn usable(token: &SecretString) -> bool {
    let text = token.expose();
    !text.is_empty() && text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

#[derive(Deserialize)]
struct Fields<'a> {
    access_token: Option<SecretString>,
    refresh_token: Option<SecretString>,
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
    scope: Option<String>,
}

/// How apps say no: RFC 6749 section 5.2, or words of their own. Nothing else of the answer is
/// read, so no token can get into an error text.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_description: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

/// A number of seconds; some apps write it as a text. 0 is no lifetime: GitHub and others write
/// it for tokens that do not expire.
fn seconds(value: &RawValue) -> Option<u64> {
    let text = value.get().trim_matches('"');
    let whole = text.split('.').next()?;
    whole.parse().ok().filter(|seconds| *seconds > 0)
}

/// The object that a pointer leads to, without making copies of what stands in it.
fn object_at<'a>(text: &'a str, pointer: &JsonPointer) -> Option<&'a str> {
    let mut at = text;
    for part in pointer.as_str().split('/').skip(1) {
        let name = part.replace("~1", "/").replace("~0", "~");
        let object: BTreeMap<String, &'a RawValue> = serde_json::from_str(at).ok()?;
        at = object.get(&name)?.get();
    }
    Some(at)
}

impl Refused {
    /// Whether the app says that the grant is gone.
    pub(crate) fn is_denial(&self, row: &OAuth2) -> bool {
        let denied = row.refresh.as_ref().map(|refresh| refresh.denied_errors.as_slice());
        self.status < 500
            && self.status != 429
            && self.error.as_ref().is_some_and(|error| {
                denied.unwrap_or_default().iter().any(|denied| denied == error)
            })
    }

    /// A sentence about it.
    pub(crate) fn sentence(&self) -> String {
        match (&self.error, &self.description) {
            (Some(error), Some(description)) => {
                format!("the app answered `{error}`: {description}")
            }
            (Some(error), None) => format!("the app answered `{error}`"),
            (None, Some(description)) => {
                format!("the app answered with status {}: {description}", self.status)
            }
            (None, None) => format!("the app answered with status {} and no token", self.status),
        }
    }
}

#[cfg(test)]
#[path = "token_endpoint/tests.rs"]
mod tests;
