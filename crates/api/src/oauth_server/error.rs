//! Errors in OAuth's own form.

use crate::Problem;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use causeway_identity::GrantError;
use causeway_types::Coded as _;
use serde::Serialize;
use std::borrow::Cow;
use utoipa::ToSchema;

/// An error of an OAuth endpoint (RFC 6749 section 5.2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub(crate) struct ErrorBody {
    /// What is wrong: `invalid_request`, `invalid_client`, `invalid_scope`,
    /// `unsupported_grant_type`, or `temporarily_unavailable` for a client that asks too often.
    error: &'static str,
    /// What happened, for people.
    error_description: Cow<'static, str>,
}

/// Why there is no token.
pub(crate) enum OAuthError {
    /// In OAuth's words.
    Said(StatusCode, ErrorBody),
    /// No matter of OAuth.
    Problem(Problem),
}

impl OAuthError {
    /// The request lacks something, or says it twice.
    pub(super) fn request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description.into())
    }

    /// The client does not prove itself.
    pub(super) fn client(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description.into())
    }

    /// The client asks too often. OAuth has no word of its own for that at these endpoints; this
    /// is its word for an authorization server that does not serve just now.
    pub(super) fn limited(problem: &Problem) -> Self {
        let description = problem.detail().to_owned().into();
        Self::new(problem.status(), "temporarily_unavailable", description)
    }

    fn new(status: StatusCode, error: &'static str, description: Cow<'static, str>) -> Self {
        Self::Said(status, ErrorBody { error, error_description: readable(description) })
    }
}

/// The characters that a description may have (RFC 6749 section 5.2); others, which the sender
/// chose, are shown as `?`.
fn readable(text: Cow<'static, str>) -> Cow<'static, str> {
    let fits = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    if text.chars().all(fits) {
        return text;
    }
    text.chars().map(|c| if fits(c) { c } else { '?' }).collect::<String>().into()
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        match &error {
            GrantError::Client(_) => Self::client(error.public()),
            GrantError::GrantType(_) => {
                Self::new(StatusCode::BAD_REQUEST, "unsupported_grant_type", error.public())
            }
            GrantError::Scope(_) | GrantError::NoScope => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_scope", error.public())
            }
            GrantError::Damaged(_)
            | GrantError::Write(_)
            | GrantError::Keys(_)
            | GrantError::Store(_) => Self::Problem(error.into()),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Said(status, body) => (status, body),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"causeway\""),
            );
        }
        response
    }
}
