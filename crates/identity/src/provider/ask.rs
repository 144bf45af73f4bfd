//! Asking a provider over HTTP.

use bytes::Bytes;
use causeway_net::{HttpClient, HttpError, RequestLimits, Response};
use causeway_types::SecretString;
use data_encoding::BASE64;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// Time for one request to a provider. Somebody waits in front of a browser.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

/// A provider did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No whole answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer with another status than 200.
    #[error("asking {what}, which answered {status}")]
    Status {
        /// What was asked.
        what: &'static str,
        /// The status.
        status: u16,
    },
    /// The token endpoint refuses Causeway's client or its request.
    #[error("exchanging the code, which the token endpoint refused with `{0}`")]
    Refused(String),
    /// An answer that is not what it should be.
    #[error("reading {what}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The discovery document does not fit.
    #[error("reading the discovery document: {0}")]
    Metadata(&'static str),
    /// A request could not be built: an id or a secret that cannot stand in a header.
    #[error("building a request to {0}")]
    Request(&'static str),
}

/// Fetches JSON.
pub(super) async fn get<T: DeserializeOwned>(
    http: &HttpClient,
    what: &'static str,
    url: &Url,
    token: Option<&SecretString>,
) -> Result<T, AskError> {
    let mut request = http::Request::get(url.as_str()).header(ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, sensitive(what, "Bearer ", token.expose())?);
    }
    let request = request.body(Bytes::new()).map_err(|_| AskError::Request(what))?;
    let response = http.request(request, limits()).await?;
    if response.status() != http::StatusCode::OK {
        return Err(AskError::Status { what, status: response.status().as_u16() });
    }
    read(what, response).await
}

/// Posts a form, and gives the answer whatever its status.
pub(super) async fn post(
    http: &HttpClient,
    what: &'static str,
    url: &Url,
    basic: Option<(&str, &SecretString)>,
    form: Form,
) -> Result<Response, AskError> {
    let mut request = http::Request::post(url.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let Some((user, password)) = basic {
        // Both are form-encoded before they are joined (RFC 6749 section 2.3.1).
        let pair = Zeroizing::new(format!("{}:{}", &*encoded(user), &*encoded(password.expose())));
        let pair = Zeroizing::new(BASE64.encode(pair.as_bytes()));
        request = request.header(AUTHORIZATION, sensitive(what, "Basic ", &pair)?);
    }
    let body = Bytes::copy_from_slice(form.0.as_bytes());
    let request = request.body(body).map_err(|_| AskError::Request(what))?;
    Ok(http.request(request, limits()).await?)
}

/// Reads JSON.
pub(super) async fn read<T: DeserializeOwned>(
    what: &'static str,
    response: Response,
) -> Result<T, AskError> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|source| AskError::Answer { what, source })
}

/// The body of a request to a token endpoint.
#[derive(Default)]
pub(super) struct Form(Zeroizing<String>);

impl Form {
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encoded(value));
        self
    }
}

fn encoded(text: &str) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect())
}

/// No redirect is followed: an answer from elsewhere would not be the provider's.
fn limits() -> RequestLimits {
    RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 }
}

fn sensitive(what: &'static str, scheme: &str, text: &str) -> Result<HeaderValue, AskError> {
    let text = Zeroizing::new(format!("{scheme}{text}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| AskError::Request(what))?;
    value.set_sensitive(true);
    Ok(value)
}
