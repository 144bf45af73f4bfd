//! Cross-site request forgery: a browser sends its cookies along with requests that other sites
//! make it send. So a changing request with a session's cookie, and every form of ours, has to come
//! from this server's own pages.
//!
//! Browsers say in `Origin` where a changing request comes from (Fetch section 3.2), and no page can
//! make them say otherwise. Where `Origin` is missing, `Sec-Fetch-Site` counts (Fetch Metadata
//! Request Headers section 2.4). A request with neither does not come from a browser of today.

use crate::{Api, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use causeway_types::Code;

/// Whether a request only reads (RFC 9110 section 9.2.1).
pub(crate) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses a changing request that does not come from a page of this server.
pub(crate) fn check(api: &Api, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if only_reads(method) || is_own(api, headers) {
        return Ok(());
    }
    Err(Problem::new(
        Code::CrossSite,
        format!(
            "The request does not come from a page of this server. Open {} and try again there.",
            api.public("/account")
        ),
    ))
}

/// The same for customers, who have no account here.
pub(crate) fn check_customers(
    api: &Api,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if only_reads(method) || is_own(api, headers) {
        return Ok(());
    }
    Err(Problem::new(
        Code::CrossSite,
        "The request does not come from the page that your link leads to. Open your link again and go on there.",
    ))
}

fn is_own(api: &Api, headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes() == api.origin().as_bytes(),
        (Some(_), Some(_)) => false,
        (None, _) => {
            let mut sites = headers.get_all("sec-fetch-site").iter();
            sites.next().is_some_and(|site| site.as_bytes() == b"same-origin")
                && sites.next().is_none()
        }
    }
}

/// The same around pages with forms, whose refusal is a page too.
pub(crate) async fn forms(State(api): State<Api>, request: Request, next: Next) -> Response {
    match check(&api, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => crate::html::problem(&problem).into_response(),
    }
}
