//! The connect page with a script: the page of `console/` in the frame of a policy that is made for
//! each link. Where the binary has no console, or the customer asks for it with `?plain`, the
//! [plain page](crate::connect_page) takes its place.
//!
//! Another site may show it in an `iframe`, or open it as a window, if the link's session names that
//! site's origin. There the page may have no cookie: browsers keep those of framed sites apart or
//! refuse them. So it proves that it is the same browser by a header instead, which it keeps to
//! itself, and hands that proof as a cookie to the window in which the customer goes to the app
//! ([`window`]). A header of its own makes a request one that no other site can send (Fetch section
//! 4.8), and the window's form has to come from a page of ours.

use crate::connect_page::{self, COOKIE_LIVES, ChosenApp, token_of};
use crate::cookies::Visitor;
use crate::html::{Document, Markup, ancestors};
use crate::{Api, Problem, console};
use axum::Form;
use axum::extract::rejection::{FormRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use causeway_connect::Framing;
use causeway_types::{Code, SecretString};
use serde::Deserialize;
use url::{Host, Url};

const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const EMBEDDER: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Shows what a link is for.
pub(crate) async fn open(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
    query: Result<Query<ChosenApp>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let plain = raw.is_some_and(|raw| raw.split('&').any(|one| one == "plain" || one == "plain="));
    let Some(page) = console::page("connect.html").filter(|_| !plain) else {
        return connect_page::open(State(api), path, query, headers).await;
    };
    // A link that is over is explained by the page itself, in the frame that it was opened in.
    let (status, framing) = match api.connect().framing(&token_of(path)).await {
        Ok(framing) => (StatusCode::OK, framing),
        Err(error) => {
            let problem = Problem::from(error);
            (problem.status(), Framing::default())
        }
    };
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::try_from(policy(&api, &framing)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // The company's picture comes without cookies, whatever its server says about it.
    headers.insert(EMBEDDER, HeaderValue::from_static("credentialless"));
    if !framing.origins.is_empty() {
        headers.insert(OPENER, HeaderValue::from_static("unsafe-none"));
        // For host pages that are isolated themselves (HTML section 7.1.4).
        headers.insert(RESOURCE, HeaderValue::from_static("cross-origin"));
    }
    response
}

/// What the page may do: load its parts, ask this server, show the company's picture.
fn policy(api: &Api, framing: &Framing) -> String {
    let at = |path: &str| source(api, path);
    let (assets, asked) = (at("/connect/assets/"), at("/connect/"));
    let picture = framing.picture.as_deref().and_then(|url| Url::parse(url).ok());
    let picture =
        picture.map_or_else(|| "'none'".to_owned(), |url| url.origin().ascii_serialization());
    let ancestors = ancestors(&framing.origins);
    format!(
        "default-src 'none'; script-src {assets}; style-src {assets}; img-src {picture}; \
         connect-src {asked}; form-action {asked}; base-uri 'none'; frame-ancestors {ancestors}; \
         require-trusted-types-for 'script'"
    )
}

/// A path of this server as a policy names it. What workflows answer at the same origin must not be
/// taken for a part of the page, so the path counts; but policies do not match addresses other than
/// 127.0.0.1 (Content Security Policy Level 3 section 6.7.2.8).
fn source(api: &Api, path: &str) -> String {
    let url = api.public(path);
    let host = Url::parse(&url).ok().and_then(|url| match url.host() {
        Some(Host::Domain(_)) => Some(true),
        Some(Host::Ipv4(address)) => Some(address.is_loopback()),
        _ => None,
    });
    if host == Some(true) { url } else { "'self'".to_owned() }
}

/// The proof of the page that opens a window.
#[derive(Deserialize)]
pub(crate) struct Proof {
    browser: SecretString,
}

/// The first page of the window in which a customer goes to an app: it makes the page's proof the
/// window's cookie. The page that opened it leads it on.
pub(crate) async fn window(
    State(api): State<Api>,
    form: Result<Form<Proof>, FormRejection>,
) -> Response {
    let visitor =
        form.ok().and_then(|Form(form)| Visitor::of_window(&api, &form.browser, COOKIE_LIVES));
    let Some(visitor) = visitor else {
        let page = Document::new(
            Code::InvalidRequest.title(),
            Markup::alert(
                "The window was not opened by the page of a link. Close it and try again.",
            ),
        );
        return page.status(StatusCode::BAD_REQUEST).for_customers().into_response();
    };
    let body = Markup::of("<p role=\"status\">The app is about to open.</p>", &[]);
    let mut response = Document::new("One moment", body).for_customers().into_response();
    response.headers_mut().insert(OPENER, HeaderValue::from_static("unsafe-none"));
    visitor.attach(response)
}
