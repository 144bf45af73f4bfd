//! Calls from pages of other origins: what a connect token allows, and nothing else.
//!
//! A browser asks before it sends a token along, and then the token is not known. So every page may
//! ask; whether its script gets to read the answer depends on the origins that the token names. No
//! cookie counts here, so that nothing comes of a question alone.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
/// Seconds for which browsers may believe what they were told.
const BELIEVED: HeaderValue = HeaderValue::from_static("600");
const VARIES: HeaderValue = HeaderValue::from_static("Origin");

/// Whether the origin of a request may read its answer: found out on the way.
#[derive(Clone, Default)]
struct Admitted(Arc<AtomicBool>);

/// Lets the origin of this request read the answer.
pub(super) fn admit(parts: &Parts) {
    if let Some(admitted) = parts.extensions.get::<Admitted>() {
        admitted.0.store(true, Ordering::Relaxed);
    }
}

/// The origin of the page that sends a request, if it is one.
pub(super) fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(header::ORIGIN)
}

pub(super) async fn layer(mut request: Request, next: Next) -> Response {
    let Some(origin) = origin(request.headers()).cloned() else { return next.run(request).await };
    if request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return answer_question(origin, request.headers());
    }
    let admitted = Admitted::default();
    request.extensions_mut().insert(admitted.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, VARIES);
    if admitted.0.load(Ordering::Relaxed) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let all = HeaderValue::from_static("*");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, all);
    }
    response
}

fn answer_question(origin: HeaderValue, asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, BELIEVED);
    headers.insert(header::VARY, VARIES);
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    response
}
