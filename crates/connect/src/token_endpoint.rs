//! Asking an app's token endpoint (RFC 6749 sections 4.1.3, 5 and 6), and reading what it says;
//! and the question to its introspection endpoint.

mod answer;
mod ask;

pub(crate) use answer::{RawAnswer, Refused, stored};
pub(crate) use ask::Ask;

use crate::apply::Applied;
use crate::apply::{ApplyError, Moment, Values, put_headers};
use crate::client::Client;
use causeway_catalog::{App, Introspection, OAuth2};
use causeway_net::{HttpClient, HttpError, RequestLimits};
use causeway_types::entity::Scheme;
use causeway_types::{SecretBytes, SecretString, Timestamp};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use std::time::Duration;

/// Time for one request to a token endpoint. A refresh's lease outlives it.
pub(crate) const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// The largest token answer, in bytes.
const MOST_BYTES: u64 = 256 * 1024;
/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// What is exchanged.
#[derive(Clone, Copy)]
pub(crate) enum Grant<'a> {
    Code {
        code: &'a SecretString,
        redirect_uri: &'a str,
        verifier: Option<&'a SecretString>,
    },
    Refresh {
        token: &'a SecretString,
    },
    /// RFC 8628, section 3.4.
    Device {
        code: &'a SecretString,
    },
}

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The request cannot be built: a value is missing or cannot stand where the row puts it.
    #[error("building the request: a value is missing, or cannot stand where the row puts it")]
    Request,
    /// The client's key does not read.
    #[error(
        "building the request: the client's secret is not a private key in PEM (RSA, P-256 or Ed25519)"
    )]
    Key,
    /// No whole answer.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl From<ApplyError> for EndpointError {
    /// What is missing is known to whoever reads the row; the values are nobody's business.
    fn from(_: ApplyError) -> Self {
        Self::Request
    }
}

impl EndpointError {
    /// Whether the app may have received the request; see [`HttpError::may_have_been_sent`].
    pub(crate) fn may_have_been_sent(&self) -> bool {
        match self {
            Self::Request | Self::Key => false,
            Self::Http(source) => source.may_have_been_sent(),
        }
    }
}

/// A request that only has to be sent; its body is wiped if it is not.
pub(crate) struct Prepared(ask::Ready);

/// Whoever asks for tokens by an app's row.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) app: &'a App,
    pub(crate) scheme: Scheme,
    pub(crate) client: &'a Client,
    /// The fields that the customer has typed, and the client's.
    pub(crate) values: Values<'a>,
    pub(crate) moment: Moment<'a>,
}

impl Asker<'_> {
    /// Builds a request by the row's `oauth2`.
    pub(crate) fn prepare(
        &self,
        row: &OAuth2,
        grant: Grant<'_>,
    ) -> Result<Prepared, EndpointError> {
        let refresh = row.refresh.as_ref().filter(|_| matches!(grant, Grant::Refresh { .. }));
        let value = |name: &str| match (name, grant) {
            ("redirect_uri", Grant::Code { redirect_uri, .. }) => Some(redirect_uri),
            ("oauth_refresh_token", Grant::Refresh { token }) => Some(token.expose().as_str()),
            _ => self.values.get(name),
        };
        let url = refresh.and_then(|refresh| refresh.url.as_ref()).unwrap_or(&row.token_url);
        let mut ask = Ask::post(url.fill(value).ok_or(EndpointError::Request)?);
        match grant {
            Grant::Code { code, redirect_uri, verifier } => {
                ask.set("grant_type", "authorization_code");
                ask.set("code", code.expose());
                ask.set("redirect_uri", redirect_uri);
                if let Some(verifier) = verifier {
                    ask.set("code_verifier", verifier.expose());
                }
            }
            Grant::Refresh { token } => {
                ask.set("grant_type", "refresh_token");
                ask.set("refresh_token", token.expose());
            }
            Grant::Device { code } => {
                ask.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
                ask.set("device_code", code.expose());
            }
        }
        let more = refresh.into_iter().flat_map(|refresh| &refresh.params);
        for (name, template) in row.token_params.iter().chain(more) {
            if let Some(text) = self.applied().fill_with(template, value)? {
                ask.set(name, &text);
            }
        }
        put_headers(&self.applied(), row.token_headers.iter(), ask.headers())?;
        ask.prove(row.client_auth, &row.client_id_param, self.client, self.moment)?;
        ask.ready(row.token_body)
    }

    /// Builds the question whether a refresh token is good (RFC 7662 section 2.1).
    pub(crate) fn question(
        &self,
        introspection: &Introspection,
        refresh_token: &SecretString,
    ) -> Result<Prepared, EndpointError> {
        let mut ask = Ask::post(introspection.url.as_url().clone());
        ask.set("token", refresh_token.expose());
        ask.set("token_type_hint", "refresh_token");
        ask.prove(introspection.client_auth, "client_id", self.client, self.moment)?;
        ask.ready(causeway_catalog::BodyForm::Form)
    }

    fn applied(&self) -> Applied<'_> {
        Applied { app: self.app, scheme: self.scheme, values: self.values, moment: self.moment }
    }
}

/// Sends a request. Nothing is sent twice, and no redirect is followed: a token endpoint that
/// redirects would take the grant elsewhere.
pub(crate) async fn send(
    http: &HttpClient,
    request: Prepared,
    now: impl Fn() -> Timestamp,
) -> Result<RawAnswer, EndpointError> {
    let limits =
        RequestLimits { total: TOKEN_TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
    let response = http.request(request.into_request(), limits).await?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(answer::essence);
    let body = SecretBytes::new(response.bytes().await?.to_vec());
    Ok(RawAnswer { status, retry_after, content_type, received_at: now(), body })
}

impl Prepared {
    /// The request, out of custody.
    pub(crate) fn into_request(self) -> http::Request<bytes::Bytes> {
        self.0.into_request()
    }
}

/// Seconds of a `Retry-After`; its other form, a date, is left to the back-off.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
#[path = "token_endpoint/tests.rs"]
mod tests;
