//! The files of `console/`, built by npm and carried in the binary: the pages, their parts, and the
//! script for host pages. A binary that was built without them has none, and the server's own plain
//! pages take their place.

use crate::Problem;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use causeway_types::Code;
use data_encoding::HEXLOWER;
use std::sync::LazyLock;

/// Names below `console/dist`, and what stands there.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// The parts of pages have their digest in their name, so what is kept is never wrong.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// The script for host pages keeps its name: a day, and a week in which it is used while the
/// browser asks for news (RFC 5861 section 3).
const A_DAY: &str = "public, max-age=86400, stale-while-revalidate=604800";

/// What the script's answer is compared by (RFC 9110 section 8.8.3).
static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| {
    let bytes = file("connect.js").unwrap_or_default();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let hex = HEXLOWER.encode(digest.as_ref());
    format!("\"{}\"", hex.get(..32).unwrap_or(&hex))
});

/// Whether this binary has them.
pub(crate) fn is_built() -> bool {
    page("connect.html").is_some()
}

/// A page.
pub(crate) fn page(name: &str) -> Option<&'static str> {
    std::str::from_utf8(file(name)?).ok()
}

fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(one, _)| *one == name).map(|(_, bytes)| *bytes)
}

/// A part of a page.
pub(crate) async fn asset(
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = path.map(|Path(name)| format!("assets/{name}")).unwrap_or_default();
    let (Some(plain), Some((kind, keep))) = (file(&name), kind_of(&name)) else { return missing() };
    let mut fixed = vec![
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, keep),
        (header::VARY, "accept-encoding"),
    ];
    let packed = file(&format!("{name}.gz")).filter(|_| takes_gzip(&headers));
    if packed.is_some() {
        fixed.push((header::CONTENT_ENCODING, "gzip"));
    }
    with(fixed, packed.unwrap_or(plain))
}

/// The script for host pages, which are other sites'.
pub(crate) async fn script(headers: HeaderMap) -> Response {
    let Some(bytes) = file("connect.js") else { return missing() };
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/") == SCRIPT_TAG.as_str());
    let fixed = vec![
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, A_DAY),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    let mut response = with(fixed, if is_known { &[] } else { bytes });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Ok(tag) = HeaderValue::try_from(SCRIPT_TAG.as_str()) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn with(fixed: Vec<(HeaderName, &'static str)>, bytes: &'static [u8]) -> Response {
    let mut response = bytes.into_response();
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn missing() -> Response {
    Problem::new(Code::UnknownRoute, "There is nothing at this address.").into_response()
}

/// A file's media type, and how long it is kept.
fn kind_of(name: &str) -> Option<(&'static str, &'static str)> {
    match name.rsplit_once('.')?.1 {
        "js" => Some(("text/javascript; charset=utf-8", FOR_GOOD)),
        "css" => Some(("text/css; charset=utf-8", FOR_GOOD)),
        "svg" => Some(("image/svg+xml", FOR_GOOD)),
        // The licences of what the pages are made of.
        "md" => Some(("text/markdown; charset=utf-8", A_DAY)),
        _ => None,
    }
}

/// Whether a browser unpacks gzip (RFC 9110 section 12.5.3), as all do.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(header::ACCEPT_ENCODING).iter();
    asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| coding.trim() == "gzip")
}
