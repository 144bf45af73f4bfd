//! The request that proves that a credential works.

use crate::Inner;
use crate::apply::{Applied, ApplyError, Moment, Outgoing, Values, put_headers};
use crate::limits::shown;
use crate::mint::{method, text_at};
use bytes::Bytes;
use causeway_catalog::{AccountAt, App};
use causeway_net::{HttpError, RequestLimits};
use causeway_types::entity::Scheme;
use causeway_types::{Code, Coded};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use std::borrow::Cow;
use std::time::Duration;
use url::Url;

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
    /// The app answers with a web page where its API should be.
    #[error("trying the credential at {app}: a web page with status {status}")]
    Page {
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
        /// Why not.
        #[source]
        source: ApplyError,
    },
    /// The request would go where the row does not let the credential go.
    #[error("trying the credential at {app}: its address is not among the row's hosts")]
    Host {
        /// The app's name.
        app: String,
    },
}

impl Coded for VerifyError {
    fn code(&self) -> Code {
        match self {
            Self::Refused { .. } | Self::Request { .. } | Self::Host { .. } => {
                Code::CredentialRefused
            }
            Self::Unavailable { .. } | Self::Page { .. } | Self::Http { .. } => {
                Code::UpstreamFailed
            }
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
            Self::Page { app, status } => {
                format!("{app} answered with a web page (status {status}) where its API should be. Check the address of the account; if it is right, try again in a few minutes.").into()
            }
            Self::Request { app, source } => {
                format!("The credential cannot be sent to {app}. {}", source.public()).into()
            }
            Self::Host { app } => {
                format!("The credential is not sent to {app}: the address that it leads to is not one of the app's hosts. Check the address of the account.").into()
            }
        }
    }
}

/// Who was connected, as far as the app says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
}

impl VerifyError {
    /// Whether the app says that the credential is not good, rather than that something else is
    /// wrong with the request.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403 | 200..=299, .. })
    }
}

fn account(at: Option<&AccountAt>, body: &serde_json::Value) -> Account {
    Account {
        id: at.and_then(|at| at.id.as_ref()).and_then(|id| text_at(body, id)),
        name: at.and_then(|at| at.name.as_ref()).and_then(|name| text_at(body, name)),
    }
}

impl Inner {
    /// Makes the request of the row. Any status of 2xx proves the credential, and the row's
    /// `ok_field` if it has one; a web page proves nothing where the row wants to read the answer.
    /// Redirects are not followed: they prove nothing either.
    pub(crate) async fn verify(
        &self,
        app: &App,
        scheme: Scheme,
        values: Values<'_>,
    ) -> Result<Account, VerifyError> {
        let name = || app.name.clone();
        let unsendable = |source| VerifyError::Request { app: name(), source };
        let row = app.verify_for(scheme.as_str());
        let moment = Moment { now: self.clock.now(), random: &*self.random };
        let applied = Applied { app, scheme, values, moment };
        let nowhere = || unsendable(applied.nowhere(&row.url));
        let mut url: Url = row.url.fill(|name| values.get(name)).ok_or_else(nowhere)?;
        let method = method(row.method);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        put_headers(&applied, app.api.headers.iter().chain(&row.headers), &mut headers)
            .map_err(unsendable)?;
        let mut body = Vec::new();
        if let Some(json) = &row.json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            body = json.to_string().into_bytes();
        }
        let mut outgoing = Outgoing {
            method: &method,
            url: &mut url,
            headers: &mut headers,
            body: Some(&mut body),
        };
        applied.put_on(&mut outgoing).map_err(unsendable)?;
        if !app.may_receive(&url, |name| values.get(name)) {
            return Err(VerifyError::Host { app: name() });
        }
        let mut request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .body(Bytes::from(body))
            .map_err(|_| unsendable(ApplyError::Unsignable))?;
        *request.headers_mut() = headers;
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
        let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
            kind.to_str().is_ok_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
        });
        if is_page && (row.account.is_some() || app.ok_field.is_some()) {
            return Err(VerifyError::Page { app: name(), status });
        }
        let body = response.bytes().await.map_err(failed)?;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let field = app.ok_field.as_ref().map(|field| body.get(field.as_str()));
        if field.is_none_or(|field| field.and_then(serde_json::Value::as_bool) == Some(true)) {
            return Ok(account(row.account.as_ref(), &body));
        }
        let error = body.get("error").and_then(|error| error.as_str()).map(|e| shown(e, 64));
        Err(VerifyError::Refused { app: name(), status, error })
    }
}
