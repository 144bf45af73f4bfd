//! Errors in the contract's shape: `{"error": text, "code": code, "details": {…}}`.

use crate::denials::Answered;
use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// The largest problem that is made, in bytes.
const PROBLEM: usize = 64 << 10;

#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    code: String,
    detail: String,
    request_id: Option<String>,
}

#[derive(Serialize)]
struct Failure {
    error: String,
    code: String,
    details: Details,
}

#[derive(Serialize)]
struct Details {
    /// The page that explains it.
    #[serde(rename = "type")]
    kind: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// Gives problems the contract's shape. What an app answered through the proxy is left alone, even
/// if it is a problem of the app's.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<Answered>().is_none() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let read = to_bytes(body, PROBLEM).await.ok();
    let Some(problem) = read.and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok())
    else {
        return parts.into_response();
    };
    let failure = Failure {
        error: problem.detail,
        code: problem.code,
        details: Details {
            kind: problem.kind,
            title: problem.title,
            request_id: problem.request_id,
        },
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    (parts, Json(failure)).into_response()
}
