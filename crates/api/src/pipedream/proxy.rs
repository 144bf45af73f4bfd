//! Calls to apps with an account's credential: operations 62 to 66. Bodies pass while they arrive.

use super::caller::Who;
use super::ids;
use super::params::{Params, wrong};
use crate::v1::proxy::answer;
use crate::{Api, Problem};
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use axum::routing;
use causeway_connect::{BodyError, ProxyCall};
use causeway_identity::action::UseProxy;
use causeway_types::Code;
use data_encoding::BASE64_NOPAD;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use std::time::Duration;

/// How long an app may take to begin its answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What stands before the headers that are passed on.
const PASSED: &str = "x-pd-proxy-";
/// Headers that cannot be passed on.
const BLOCKED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "permissions-policy",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];
const BLOCKED_STARTS: &[&str] = &["access-control-request-", "proxy-", "sec-"];

/// The target in a path.
#[derive(Deserialize)]
pub(crate) struct TargetPath {
    target: String,
}

/// The one route, for every method that the contract has.
pub(super) fn router(path: &str) -> Router<Api> {
    let methods = routing::get(call).post(call).put(call).patch(call).delete(call);
    Router::new().route(path, methods)
}

async fn call(
    State(api): State<Api>,
    who: Who<UseProxy>,
    Path(path): Path<TargetPath>,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let account = params.get("account_id").ok_or_else(|| wrong("account_id", "is missing"))?;
    let account = ids::read_account(account)?;
    let user = params.get("external_user_id");
    if user.is_none() && matches!(who, Who::Program { .. }) {
        return Err(wrong("external_user_id", "is missing"));
    }
    let target = target(&path.target)?;
    let (parts, body) = request.into_parts();
    let call = ProxyCall {
        method: parts.method,
        target,
        headers: passed(&parts.headers)?,
        body: body.map_err(BodyError::new).boxed_unsync(),
    };
    let whose = who.whose()?;
    let called = api.connect().proxy_account(&whose, user, account, call);
    match tokio::time::timeout(TIMEOUT, called).await {
        Ok(outcome) => Ok(answer(outcome)),
        Err(_) => Err(Problem::new(
            Code::UpstreamTimeout,
            format!("The app has not begun its answer within {} s.", TIMEOUT.as_secs()),
        )),
    }
}

/// Reads a target: base64 of either alphabet, with or without padding. What is no URL is a path
/// below the app's base URL.
fn target(text: &str) -> Result<String, Problem> {
    let plain: String = text
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let decoded = BASE64_NOPAD.decode(plain.as_bytes()).ok();
    let target = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        Problem::new(
            Code::InvalidRequest,
            "The last part of the path is not the base64 of a URL or a path.",
        )
    })?;
    if target.starts_with('/') || has_scheme(&target) {
        return Ok(target);
    }
    Ok(format!("/{target}"))
}

/// Whether a text begins with a URL's scheme (RFC 3986, section 3.1).
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The headers that are passed on: those that say so, without what says it, and what tells of the
/// body.
fn passed(given: &HeaderMap) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::new();
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        if let Some(value) = given.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let mut own = HeaderMap::new();
    for (name, value) in given {
        let Some(rest) = name.as_str().strip_prefix(PASSED) else { continue };
        let is_blocked =
            BLOCKED.contains(&rest) || BLOCKED_STARTS.iter().any(|start| rest.starts_with(start));
        let Ok(name) = rest.parse::<HeaderName>() else { return Err(unsupported(rest)) };
        if is_blocked {
            return Err(unsupported(rest));
        }
        own.append(name, value.clone());
    }
    for name in own.keys() {
        headers.remove(name);
    }
    headers.extend(own);
    Ok(headers)
}

fn unsupported(name: &str) -> Problem {
    let name: String = name.chars().take(60).collect();
    Problem::new(
        Code::InvalidRequest,
        format!("Unsupported header: `{PASSED}{name}` cannot be passed on to an app."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use data_encoding::{BASE64, BASE64URL, BASE64URL_NOPAD};

    #[test]
    fn a_target_is_read_in_every_way_that_it_is_written() {
        for url in [
            "https://api.example.com/a?b=c&d=%2F",
            "https://api.example.com/ü??>>",
            "https://a.example/1",
            "https://a.example/12",
        ] {
            let bytes = url.as_bytes();
            for text in [
                BASE64.encode(bytes),
                BASE64_NOPAD.encode(bytes),
                BASE64URL.encode(bytes),
                BASE64URL_NOPAD.encode(bytes),
            ] {
                assert_eq!(target(&text).unwrap(), url, "{text}");
            }
        }
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        assert_eq!(target(&encode("v1/things?x=1")).unwrap(), "/v1/things?x=1");
        assert_eq!(target(&encode("/v1/things:all")).unwrap(), "/v1/things:all");
        assert_eq!(target(&encode("//evil.example/")).unwrap(), "//evil.example/");
        for bad in ["", "%%%", "a", "!!!!", &BASE64.encode(&[0xff, 0xfe])] {
            let read = target(bad);
            assert!(read.is_err() || bad.is_empty(), "{bad}: {read:?}");
        }
    }

    #[test]
    fn only_headers_that_say_so_are_passed_on() {
        let mut given = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer canary"),
            ("x-other", "canary"),
            ("accept-encoding", "gzip"),
            ("content-type", "text/plain"),
            ("x-pd-proxy-accept", "text/csv"),
            ("x-pd-proxy-x-pd-proxy-deep", "1"),
            ("x-pd-environment", "production"),
        ] {
            given.append(name, HeaderValue::from_static(value));
        }
        let headers = passed(&given).unwrap();
        assert!(!headers.values().any(|value| value.to_str().unwrap().contains("canary")));
        assert_eq!(headers["accept"], "text/csv");
        assert_eq!(headers["x-pd-proxy-deep"], "1");
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused() {
        for name in BLOCKED.iter().chain(&["sec-fetch-mode", "proxy-authorization", ""]) {
            let mut given = HeaderMap::new();
            let name: HeaderName = format!("{PASSED}{name}").parse().unwrap();
            given.append(name.clone(), HeaderValue::from_static("x"));
            let refused = passed(&given).unwrap_err();
            assert!(refused.detail().contains("Unsupported header"), "{name}");
        }
    }
}
