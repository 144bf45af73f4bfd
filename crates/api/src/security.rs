//! Where finders of vulnerabilities turn: `/.well-known/security.txt` (RFC 9116), the operator's
//! PGP key, and a form and an address for reports. The rules live in `causeway-disclosure`.

mod form;
mod report;

use crate::{Api, Problem};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use causeway_disclosure::MAX_REPORT;
use causeway_types::Code;

/// The largest body of a report: its text, each byte of which may take three in a form.
pub const REPORT_BODY_LIMIT: usize = 3 * MAX_REPORT + (4 << 10);

/// The routes. None needs a login.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/.well-known/security.txt", get(security_txt))
        .route("/security/pgp-key", get(pgp_key))
        .route("/security/report", get(form::show).post(form::submit))
        .route("/security/reports", post(report::create))
        .layer(DefaultBodyLimit::max(REPORT_BODY_LIMIT))
}

/// Tells how to report a vulnerability.
async fn security_txt(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let text = api.disclosure().security_txt()?.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "The operator of this server has not said how to report vulnerabilities.",
        )
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_string()))
}

/// The key to encrypt to (RFC 3156 section 7 names its type).
async fn pgp_key(State(api): State<Api>) -> Result<impl IntoResponse, Problem> {
    let key = api.disclosure().public_keys().ok_or_else(|| {
        Problem::new(Code::NotFound, "The operator of this server has given no PGP key.")
    })?;
    Ok(([(header::CONTENT_TYPE, "application/pgp-keys")], key))
}
