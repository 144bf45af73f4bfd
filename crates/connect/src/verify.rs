//! The request that proves that a credential works, and how a credential is put on a request.

use crate::Inner;
use crate::credential::Stored;
use crate::limits::shown;
use crate::token_endpoint::{EndpointError, basic, sensitive};
use bytes::Bytes;
use causeway_catalog::{App, VerifyMethod};
use causeway_net::{HttpError, RequestLimits};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded};
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName};
use std::borrow::Cow;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Time for the request.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The largest answer, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// A credential is not known to work.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The app refuses it.
    #[error("trying the credential at {app}: refused with status {status}")]
    Refused {
        /// The app's name.
        app: String,
        /// The HTTP status of its answer.
        status: u16,
        /// The error code in its answer, if it has one.
        error: Option<String>,
    },
    /// The app cannot say now.
    #[error("trying the credential at {app}: status {status}")]
    Unavailable {
        /// The app's name.
        app: String,
        /// The HTTP status of its answer.
        status: u16,
    },
    /// The app was not reached.
    #[error("trying the credential at {app}")]
    Http {
        /// The app's name.
        app: String,
        /// Why not.
        #[source]
        source: HttpError,
    },
    /// The credential cannot be put on a request as the row says.
    #[error("putting the credential on a request to {app}")]
    Request {
        /// The app's name.
        app: String,
    },
}

impl Coded for VerifyError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } | Self::Request { .. } => Code::CredentialRefused,
            Self::Unavailable { .. } | Self::Http { .. } => Code::UpstreamFailed,
        }
    }

    fn public(&self) -> Cow<'static, str> {
        match self {
            Self::Refused { app, status, error } => {
                let error = error.as_ref().map(|e| format!(" `{e}`")).unwrap_or_default();
                format!("{app} refused the credential with status {status}{error}. Check that it is copied whole, belongs to the right account and has not been revoked.").into()
            }
            Self::Unavailable { app, status } => {
                format!("{app} cannot check the credential now (status {status}). Try again in a few minutes.").into()
            }
            Self::Http { app, source } => format!("{app} could not be asked: {source}.").into(),
            Self::Request { app } => {
                format!("The credential cannot be sent to {app}: it holds characters that no HTTP header takes.").into()
            }
        }
    }
}

/// What carries a credential.
pub(crate) struct Carrier {
    pub(crate) headers: HeaderMap,
    pub(crate) query: Vec<(String, Zeroizing<String>)>,
}

/// Writes a credential into headers and query parameters, as the app's row says.
pub(crate) fn carry(app: &App, scheme: Scheme, stored: &Stored) -> Result<Carrier, EndpointError> {
    let mut carrier = Carrier { headers: HeaderMap::new(), query: Vec::new() };
    match stored {
        Stored::OAuth2(tokens) => {
            let bearer = Zeroizing::new(format!("Bearer {}", tokens.access.expose()));
            carrier.headers.insert(AUTHORIZATION, sensitive(&bearer)?);
        }
        Stored::Fields(fields) => {
            let value = |name: &str| fields.get(name).map(|value| value.expose().as_str());
            if scheme == Scheme::Basic {
                let pair = value("username").zip(value("password"));
                let (user, password) = pair.ok_or(EndpointError::Request)?;
                carrier.headers.insert(AUTHORIZATION, basic(user, password)?);
                return Ok(carrier);
            }
            let row = app.auth.api_key.as_ref().ok_or(EndpointError::Request)?;
            for (name, template) in &row.headers {
                let text = Zeroizing::new(template.fill(value).ok_or(EndpointError::Request)?);
                let name: HeaderName = name.parse().map_err(|_| EndpointError::Request)?;
                carrier.headers.insert(name, sensitive(&text)?);
            }
            for (name, template) in &row.query {
                let text = template.fill(value).ok_or(EndpointError::Request)?;
                carrier.query.push((name.clone(), Zeroizing::new(text)));
            }
        }
    }
    Ok(carrier)
}

impl Inner {
    /// Makes the request of the row. Any status of 2xx proves the credential, and the row's
    /// `ok_field` if it has one. Redirects are not followed: they prove nothing.
    pub(crate) async fn verify(
        &self,
        app: &App,
        scheme: Scheme,
        stored: &Stored,
    ) -> Result<(), VerifyError> {
        let name = || app.name.clone();
        let unsendable = || VerifyError::Request { app: name() };
        let carrier = carry(app, scheme, stored).map_err(|_| unsendable())?;
        let mut url: Url = app.verify.url.as_url().clone();
        if !carrier.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &carrier.query {
                pairs.append_pair(name, value);
            }
        }
        if !app.may_receive(&url) {
            return Err(unsendable());
        }
        let method = match app.verify.method {
            VerifyMethod::Get => http::Method::GET,
            VerifyMethod::Post => http::Method::POST,
        };
        let mut request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .body(Bytes::new())
            .map_err(|_| unsendable())?;
        *request.headers_mut() = carrier.headers;
        request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static("application/json"));
        let limits =
            RequestLimits { total: TIMEOUT, max_response_bytes: MOST_BYTES, max_redirects: 0 };
        let failed = |source| VerifyError::Http { app: name(), source };
        let response = self.http.request(request, limits).await.map_err(failed)?;
        let status = response.status().as_u16();
        if status == 429 || status >= 500 {
            return Err(VerifyError::Unavailable { app: name(), status });
        }
        if !(200..300).contains(&status) {
            return Err(VerifyError::Refused { app: name(), status, error: None });
        }
        let Some(field) = &app.ok_field else { return Ok(()) };
        let body = response.bytes().await.map_err(failed)?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        if body.get(field.as_str()).and_then(serde_json::Value::as_bool) == Some(true) {
            return Ok(());
        }
        let error = body.get("error").and_then(|error| error.as_str()).map(|e| shown(e, 64));
        Err(VerifyError::Refused { app: name(), status, error })
    }
}
