//! Which redirects are followed, and with what (RFC 9110, section 15.4).

use crate::http_error::HttpError;
use bytes::Bytes;
use causeway_types::RedactedUrl;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use url::Url;

/// One request as it is sent; kept until its answer is known not to be a redirect.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Headers that describe a body, dropped with it.
const OF_A_BODY: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    header::LAST_MODIFIED,
];

/// The request that follows an answer, if the answer is a redirect.
pub(crate) fn next(
    sent: &Outgoing,
    status: StatusCode,
    answer: &HeaderMap,
) -> Result<Option<Outgoing>, HttpError> {
    let changes_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => sent.method == Method::POST,
        StatusCode::SEE_OTHER => sent.method != Method::GET && sent.method != Method::HEAD,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
        _ => return Ok(None),
    };
    let Some(location) = answer.get(header::LOCATION) else { return Ok(None) };
    let refused =
        |why| HttpError::Redirect { url: Box::new(RedactedUrl::new(sent.url.clone())), why };
    let url = location
        .to_str()
        .ok()
        .and_then(|location| sent.url.join(location).ok())
        .filter(is_callable)
        .ok_or_else(|| refused("its redirect does not name an http or https URL"))?;
    if sent.url.scheme() == "https" && url.scheme() != "https" {
        return Err(refused("it redirects from https to http, which would show the request"));
    }
    let mut following = Outgoing { url, ..sent.clone() };
    if changes_method {
        following.method = Method::GET;
        following.body = Bytes::new();
        for name in OF_A_BODY {
            following.headers.remove(name);
        }
    }
    if sent.url.origin() != following.url.origin() {
        // A token request carries its credentials in the body.
        if !following.body.is_empty() {
            return Err(refused("it redirects a request with a body to another host"));
        }
        drop_credentials(&mut following.headers);
    }
    Ok(Some(following))
}

/// Whether a URL is one that the client calls.
pub(crate) fn is_callable(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
}

/// Removes what belongs to one origin: the headers that always do, and those whose value the
/// caller has marked with [`http::HeaderValue::set_sensitive`].
fn drop_credentials(headers: &mut HeaderMap) {
    let dropped: Vec<HeaderName> = headers
        .iter()
        .filter(|(name, value)| {
            value.is_sensitive()
                || [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE]
                    .contains(name)
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in dropped {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn post(url: &str) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer canary"));
        headers.insert(header::COOKIE, HeaderValue::from_static("canary"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        let mut key = HeaderValue::from_static("canary");
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
        let url = Url::parse(url).unwrap();
        Outgoing { method: Method::POST, url, headers, body: Bytes::from_static(b"canary") }
    }

    fn follow(sent: &Outgoing, status: u16, location: &str) -> Result<Option<Outgoing>, HttpError> {
        let mut answer = HeaderMap::new();
        answer.insert(header::LOCATION, location.parse().unwrap());
        next(sent, StatusCode::from_u16(status).unwrap(), &answer)
    }

    #[test]
    fn methods_follow_rfc_9110() {
        let post = post("https://a.example/x");
        for (status, method, keeps) in [
            (301, "GET", false),
            (302, "GET", false),
            (303, "GET", false),
            (307, "POST", true),
            (308, "POST", true),
        ] {
            let following = follow(&post, status, "/y").unwrap().unwrap();
            assert_eq!(following.method, method, "{status}");
            assert_eq!(!following.body.is_empty(), keeps, "{status}");
            assert_eq!(following.headers.contains_key(header::CONTENT_TYPE), keeps, "{status}");
            assert!(following.headers.contains_key(header::AUTHORIZATION), "{status}");
        }
        for (method, status) in [("PUT", 301), ("DELETE", 302), ("HEAD", 303), ("HEAD", 302)] {
            let mut sent = post.clone();
            sent.method = method.parse().unwrap();
            assert_eq!(follow(&sent, status, "/y").unwrap().unwrap().method, method);
        }
        for status in [200, 300, 304, 305] {
            assert!(follow(&post, status, "/y").unwrap().is_none(), "{status}");
        }
    }

    #[test]
    fn another_origin_gets_no_credentials() {
        for location in [
            "https://b.example/y",
            "https://a.example:444/y",
            "//sub.a.example/",
            "https://a.example./",
        ] {
            let following = follow(&post("https://a.example/x"), 303, location).unwrap().unwrap();
            let names: Vec<_> = following.headers.keys().map(HeaderName::as_str).collect();
            assert_eq!(names, ["accept"], "{location}");
        }
        let same = follow(&post("https://a.example/x"), 303, "https://a.example:443/y");
        assert_eq!(same.unwrap().unwrap().headers.len(), 4);
        // From http to https is another origin as well.
        let up = follow(&post("http://a.example/x"), 303, "https://a.example/y").unwrap().unwrap();
        assert_eq!(up.headers.len(), 1);
    }

    #[test]
    fn a_body_stays_with_its_origin() {
        let refused = follow(&post("https://a.example/x"), 307, "https://b.example/y").err();
        assert!(matches!(refused, Some(HttpError::Redirect { .. })));
    }

    #[test]
    fn refused_targets() {
        for location in [
            "http://a.example/y",
            "file:///etc/passwd",
            "ftp://a.example/",
            "https://me:pw@a.example/",
            "https://me@a.example/",
            "https://",
            "data:text/plain,x",
        ] {
            let refused = follow(&post("https://a.example/x"), 302, location).err();
            assert!(matches!(refused, Some(HttpError::Redirect { .. })), "{location}");
        }
    }
}
