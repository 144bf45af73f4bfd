//! Which headers pass, either way.

use super::ProxyError;
use crate::apply::{Values, sensitive};
use causeway_catalog::{App, Template};
use http::HeaderMap;
use http::header::HeaderName;

/// Headers of the caller that are for Causeway, for one hop, or would say who the caller is.
const NOT_OUTWARD: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-api-key",
    "x-real-ip",
    "idempotency-replayed",
];
const NOT_OUTWARD_STARTS: &[&str] =
    &["causeway-", "x-causeway-", "x-forwarded-", "sec-", "access-control-"];

/// Headers of the app that are not for the caller: cookies of the app's own session, and what
/// would bind the browser to rules of somebody else's site.
const NOT_INWARD: &[&str] = &[
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "public-key-pins",
    "alt-svc",
    "content-security-policy",
    "clear-site-data",
    "service-worker-allowed",
];
const NOT_INWARD_STARTS: &[&str] = &["access-control-", "cross-origin-"];

/// What is sent to the app of the caller's headers, and what its row adds.
pub(super) fn outward(
    given: &HeaderMap,
    app: &App,
    values: Values<'_>,
) -> Result<HeaderMap, ProxyError> {
    let mut headers = passing(given, NOT_OUTWARD, NOT_OUTWARD_STARTS);
    add(&mut headers, app, values, |_| true)?;
    Ok(headers)
}

/// Adds the row's headers that name a value of the connection or of the company's client, like a
/// developer token, where the request has none: code does not know these values.
pub(crate) fn add_filled(
    headers: &mut HeaderMap,
    app: &App,
    values: Values<'_>,
) -> Result<(), ProxyError> {
    add(headers, app, values, |template| template.fields().next().is_some())
}

/// Adds those of the row's headers that are chosen, where a request has none.
fn add(
    headers: &mut HeaderMap,
    app: &App,
    values: Values<'_>,
    chosen: fn(&Template) -> bool,
) -> Result<(), ProxyError> {
    for (name, template) in app.api.headers.iter().filter(|(_, template)| chosen(template)) {
        let unsendable = || ProxyError::Unsendable { app: app.name.clone() };
        let name: HeaderName = name.parse().map_err(|_| unsendable())?;
        if headers.contains_key(&name) {
            continue;
        }
        let text = template.fill(|field| values.get(field)).ok_or_else(unsendable)?;
        headers.insert(name, sensitive(&text)?);
    }
    Ok(())
}

/// What is passed on of the app's headers.
pub(super) fn inward(given: &HeaderMap) -> HeaderMap {
    passing(given, NOT_INWARD, NOT_INWARD_STARTS)
}

fn passing(given: &HeaderMap, not: &[&str], not_starts: &[&str]) -> HeaderMap {
    let passes = |name: &str| {
        !not.contains(&name) && !not_starts.iter().any(|start| name.starts_with(start))
    };
    given
        .iter()
        .filter(|(name, _)| passes(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Stored;
    use causeway_catalog::Catalog;
    use http::header::HeaderValue;

    #[test]
    fn the_callers_credentials_stay_here() {
        let mut given = HeaderMap::new();
        for name in ["authorization", "cookie", "host", "x-forwarded-for", "causeway-environment"] {
            given.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static("canary"));
        }
        given.insert("x-custom", HeaderValue::from_static("1"));
        given.insert("accept", HeaderValue::from_static("text/plain"));
        let catalog = Catalog::load(None).unwrap();
        let app = &*catalog.get("github").unwrap();
        let sent = outward(&given, app, Values::of(&Stored::default())).unwrap();
        assert!(!sent.values().any(|value| value == "canary"));
        assert_eq!(sent["x-custom"], "1");
        // The row's headers stand where the caller has none.
        assert_eq!(sent["accept"], "text/plain");
        assert_eq!(sent["x-github-api-version"], "2022-11-28");
    }

    #[test]
    fn the_apps_cookies_stay_there() {
        let mut given = HeaderMap::new();
        given.append("set-cookie", HeaderValue::from_static("a=b"));
        given.append("link", HeaderValue::from_static("<a>; rel=next"));
        given.append("link", HeaderValue::from_static("<b>; rel=last"));
        let passed = inward(&given);
        assert!(!passed.contains_key("set-cookie"));
        assert_eq!(passed.get_all("link").iter().count(), 2);
    }
}
