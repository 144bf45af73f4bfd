//! The one form of an error answer: `application/problem+json` (RFC 9457).

use crate::denials::Answered;
use crate::request_id;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use causeway_types::{Code, Coded, Kind, chain};
use serde::Serialize;
use std::borrow::Cow;
use utoipa::{ToResponse, ToSchema};

/// An error answer. `detail` says what happened, where, and what to do; the server's own chain of
/// causes goes to its log, never into the body.
#[derive(Debug, Serialize, ToSchema, ToResponse)]
#[schema(as = Problem)]
#[response(
    description = "What is wrong, where, and what to do.",
    content_type = "application/problem+json"
)]
pub struct Problem {
    /// `/problems/<code>`: the page that explains it.
    #[serde(rename = "type")]
    kind: Box<str>,
    /// One line for people, the same for every problem of this code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// The stable code.
    code: &'static str,
    /// What happened here.
    detail: Cow<'static, str>,
    /// The field of a form that is wrong, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The request's id, as in `x-request-id`: the server's log has its lines under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Box<str>>,
    #[serde(skip)]
    #[schema(ignore)]
    of: Code,
}

impl Problem {
    /// A problem with its detail.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: format!("/problems/{code}").into(),
            title: code.title(),
            status: status(code).as_u16(),
            code: code.as_str(),
            detail: detail.into(),
            field: None,
            request_id: request_id::current().map(Into::into),
            of: code,
        }
    }

    /// The same, about one field of a form.
    #[must_use]
    pub(crate) fn about(self, field: Option<String>) -> Self {
        Self { field, ..self }
    }

    /// Its code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.of
    }

    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        status(self.of)
    }

    /// The id of its request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Its title.
    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    /// Its detail.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

/// The status of a code: its kind's, but where HTTP has a status for the very case.
fn status(code: Code) -> StatusCode {
    if code == Code::WrongMethod {
        // RFC 9110 section 15.5.6; the router adds `Allow`.
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    StatusCode::from_u16(code.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Every error with a place in the registry becomes a problem, and is logged on the way if it is
/// not the caller's own.
impl<E: Coded + 'static> From<E> for Problem {
    fn from(error: E) -> Self {
        let code = error.code();
        let (name, id) = (code.as_str(), request_id::current().unwrap_or_default());
        match code.kind() {
            Kind::Internal | Kind::Unavailable => {
                tracing::error!(
                    problem = name,
                    request.id = id,
                    error = chain(&error),
                    "a request failed"
                );
            }
            Kind::Upstream => {
                tracing::warn!(
                    problem = name,
                    request.id = id,
                    error = chain(&error),
                    "a third party failed"
                );
            }
            _ => {
                tracing::debug!(
                    problem = name,
                    request.id = id,
                    error = chain(&error),
                    "a request was refused"
                );
            }
        }
        Self::new(code, error.public())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, of, kind) = (self.status(), self.of, self.of.kind());
        metrics::counter!("causeway_problems_total", "code" => self.code).increment(1);
        let mut response = (status, Json(self)).into_response();
        response.extensions_mut().insert(Answered(of));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(kind, Kind::Limited | Kind::Unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if kind == Kind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_causes_stay_out_of_the_body() {
        #[derive(Debug, thiserror::Error)]
        #[error("opening /secret/path")]
        struct Inner;
        #[derive(Debug, thiserror::Error)]
        #[error("doing it")]
        struct Outer(#[source] Inner);
        impl Coded for Outer {
            fn code(&self) -> Code {
                Code::Internal
            }
            fn public(&self) -> Cow<'static, str> {
                "It did not work.".into()
            }
        }
        let body = serde_json::to_string(&Problem::from(Outer(Inner))).unwrap();
        assert!(!body.contains("secret"), "{body}");
        assert!(body.contains("\"type\":\"/problems/internal\""), "{body}");
    }
}
