//! From what the code sent to what is sent in its stead.

use super::answer::refused;
use super::counted::Counted;
use super::{AnswerBody, Site};
use crate::apps::AppRefused;
use crate::egress::{canonical, printable};
use causeway_net::{BodyError, RequestBody, named_by_connection, remove_hop_by_hop};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, UPGRADE};
use http::uri::Authority;
use http::{Method, Request, Response, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Whether a request is for the host that the code connected to, in every place that names one.
pub(super) fn check<B>(
    request: &Request<B>,
    site: &Site,
    sni: Option<&str>,
    secure: bool,
) -> Result<(), AppRefused> {
    let host = &site.host;
    if !secure && !site.in_clear {
        let message = format!(
            "{host} is the host of a linked account and is called over TLS only: write \
             https://{host}/ instead of http://"
        );
        return Err(refused(403, "plain_http", message));
    }
    let misdirected = |what: &str, named: &str| {
        let named = printable(named);
        let message = format!(
            "the connection is to {host}, but its {what} names {named}: name {host} in both"
        );
        Err(refused(421, "misdirected_request", message))
    };
    if let Some(sni) = sni
        && canonical(sni) != *host
    {
        return misdirected("TLS handshake (SNI)", sni);
    }
    if request.method() == Method::CONNECT {
        let message = format!("{host} is no proxy: send the request itself");
        return Err(refused(405, "method_not_allowed", message));
    }
    let headers = request.headers();
    let mut named = 0;
    if let Some(authority) = request.uri().authority() {
        named += 1;
        if !is_site(authority.as_str(), site, secure) {
            return misdirected(":authority", authority.as_str());
        }
    }
    for value in headers.get_all(HOST) {
        named += 1;
        let text = String::from_utf8_lossy(value.as_bytes());
        if !is_site(&text, site, secure) {
            return misdirected("Host", &text);
        }
    }
    let twice = headers.get_all(HOST).iter().count() > 1;
    if named == 0 || twice {
        let message = format!("the request names no host, or two: send one `Host: {host}`");
        return Err(refused(400, "bad_request", message));
    }
    Ok(())
}

/// Whether an authority is the site.
fn is_site(text: &str, site: &Site, secure: bool) -> bool {
    let Ok(authority) = text.parse::<Authority>() else { return false };
    let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
    !text.contains('@') && canonical(authority.host()) == site.host && port == site.port
}

/// The protocol that the code wants to go on with: websockets (RFC 6455). Any other wish is passed
/// over, as RFC 9110, section 7.8, allows: over HTTP/2 in clear, for one, requests would reach the
/// app that nobody has read.
pub(super) fn upgrade_of<B>(request: &Request<B>) -> Option<String> {
    let asks = named_by_connection(request.headers()).any(|name| name == "upgrade");
    if request.version() >= Version::HTTP_2 || !asks {
        return None;
    }
    let text = request.headers().get(UPGRADE)?.to_str().ok()?;
    text.eq_ignore_ascii_case("websocket").then(|| text.to_owned())
}

/// The request that goes to the app: what the code said, without what was for the broker.
pub(super) fn outward(
    request: Request<Incoming>,
    site: &Site,
    secure: bool,
    sent: &Arc<AtomicU64>,
) -> Result<Request<RequestBody>, AppRefused> {
    let (mut head, body) = request.into_parts();
    remove_hop_by_hop(&mut head.headers, head.version == Version::HTTP_2);
    for own in [HOST, CONTENT_LENGTH, EXPECT] {
        head.headers.remove(own);
    }
    let scheme = if secure { "https" } else { "http" };
    let host = if site.host.contains(':') { format!("[{}]", site.host) } else { site.host.clone() };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    // `OPTIONS *` asks about the server as a whole; no app's API means that.
    let path = if path == "*" { "/" } else { path };
    let uri: Result<Uri, _> = format!("{scheme}://{host}:{}{path}", site.port).parse();
    let Ok(uri) = uri else {
        let message = "the request's path cannot be read as one".to_owned();
        return Err(refused(400, "bad_request", message));
    };
    let body: RequestBody =
        Counted::boxed(body, Arc::clone(sent)).map_err(BodyError::new).boxed_unsync();
    let mut outward = Request::new(body);
    *outward.version_mut() = head.version;
    *outward.method_mut() = head.method;
    *outward.uri_mut() = uri;
    *outward.headers_mut() = head.headers;
    Ok(outward)
}

/// `Content-Length` of an answer that switches protocols would be read as a body's.
pub(super) fn remove_length_of_nothing(response: &mut Response<AnswerBody>) {
    if response.status().is_informational() {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site { host: "api.example.com".into(), port: 443, in_clear: false }
    }

    fn checked(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> u16 {
        let request = build(Request::builder()).body(()).unwrap();
        match check(&request, &site(), Some("api.example.com"), true) {
            Ok(()) => 200,
            Err(refused) => refused.status,
        }
    }

    #[test]
    fn every_name_of_the_host_has_to_be_the_dialled_one() {
        assert_eq!(checked(|r| r.uri("/x").header("host", "api.example.com")), 200);
        assert_eq!(checked(|r| r.uri("/x").header("host", "API.example.com.:443")), 200);
        assert_eq!(checked(|r| r.uri("https://api.example.com/x")), 200);
        for host in [
            "evil.example.com",
            "api.example.com:8443",
            "api.example.com.evil.test",
            "me@api.example.com",
            "",
            "api.example.com, evil.test",
        ] {
            assert_eq!(checked(|r| r.uri("/x").header("host", host)), 421, "{host}");
        }
        let absolute = |r: http::request::Builder| {
            r.uri("http://evil.test/x").header("host", "api.example.com")
        };
        assert_eq!(checked(absolute), 421);
        assert_eq!(checked(|r| r.uri("/x")), 400);
        let twice = |r: http::request::Builder| {
            r.uri("/x").header("host", "api.example.com").header("host", "api.example.com")
        };
        assert_eq!(checked(twice), 400);
        assert_eq!(checked(|r| r.method("CONNECT").uri("api.example.com:443")), 405);
    }

    #[test]
    fn the_handshake_and_the_wire_are_looked_at_too() {
        let request =
            Request::builder().uri("/").header("host", "api.example.com").body(()).unwrap();
        let refusal = |sni, secure| check(&request, &site(), sni, secure).unwrap_err();
        assert_eq!(refusal(Some("evil.test"), true).code, "misdirected_request");
        let plain = refusal(None, false);
        assert_eq!(plain.code, "plain_http");
        assert!(plain.message.contains("https://api.example.com/"), "{}", plain.message);
    }
}
