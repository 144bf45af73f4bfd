//! Headers that keep a browser from doing more with an answer than it should.
//!
//! Every answer of the API and every page has them. A page that needs more says so itself: what a
//! handler has set stays. What workflows answer at their triggers is theirs, as far as it cannot
//! act for this origin ([`ingress`](crate::ingress)).

use crate::Api;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// Two years, which is what browsers' preload lists ask for (RFC 6797 section 6.1.1).
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// What browsers may do with an answer.
const HEADERS: [(HeaderName, HeaderValue); 9] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // `frame-ancestors` says the same to browsers that know it.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        HeaderValue::from_static("require-corp"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), clipboard-read=(), display-capture=(), fullscreen=(), geolocation=(), \
             microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=()",
        ),
    ),
];

/// Adds what an answer of ours lacks.
pub(crate) fn own(api: &Api, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
    transport(api, response)
}

/// Adds what concerns the whole origin to an answer of a workflow: that its type is what it says,
/// and that the origin is reached over TLS only.
pub(crate) async fn of_workflows(State(api): State<Api>, mut response: Response) -> Response {
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(nosniff);
    transport(&api, response)
}

fn transport(api: &Api, mut response: Response) -> Response {
    // Over plain HTTP browsers ignore it (RFC 6797 section 8.1).
    if api.is_https() {
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}
