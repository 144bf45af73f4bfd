//! What the broker itself answers: problems (RFC 9457), which name the fault and the remedy.

use super::Site;
use crate::apps::{AnswerBody, AppRefused};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

/// Tells an answer of the broker from one of the app; its value is the problem's code.
const BROKER: HeaderName = HeaderName::from_static("causeway-broker");

pub(super) fn refused(status: u16, code: &'static str, message: String) -> AppRefused {
    AppRefused { code, status, message, retry_after: None }
}

/// The host's account is not linked to the step that runs now.
pub(super) fn not_linked(site: &Site) -> AppRefused {
    let host = &site.host;
    let message = format!(
        "the step is not linked to an account at {host}: name the connection under `connections` \
         of this step in workflow.yaml"
    );
    refused(403, "not_linked", message)
}

pub(super) fn problem(refused: &AppRefused) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = status.canonical_reason().unwrap_or("Refused");
    let body = serde_json::json!({
        "type": "about:blank",
        "title": title,
        "status": status.as_u16(),
        "code": refused.code,
        "detail": refused.message,
    });
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(BROKER, HeaderValue::from_static(refused.code));
    if let Some(wait) = refused.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}
