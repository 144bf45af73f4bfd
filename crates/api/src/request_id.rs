//! A request's id: made here, shown in `x-request-id` and in problems, and written to the log, so
//! that what a caller was told can be found again.

use crate::Api;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use causeway_types::Randomness;
use data_encoding::BASE32_NOPAD;
use std::future::Future;

tokio::task_local! {
    static CURRENT: String;
}

/// The header that carries it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request its id. What the caller sends under this name is not looked at: it could be
/// anything, and would stand in the log.
pub(crate) async fn around(api: &Api, answer: impl Future<Output = Response>) -> Response {
    let id = generate(api.random());
    let header = HeaderValue::try_from(id.as_str());
    let mut response = CURRENT.scope(id, answer).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

/// The id of the request that this task works on.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs the rest of a request that goes on in a task of its own, under the request's id.
pub(crate) async fn scope<F: Future>(id: Option<String>, rest: F) -> F::Output {
    match id {
        Some(id) => CURRENT.scope(id, rest).await,
        None => rest.await,
    }
}

/// `req_` and 128 random bits.
fn generate(random: &dyn Randomness) -> String {
    let mut noise = [0_u8; 16];
    random.fill(&mut noise);
    format!("req_{}", BASE32_NOPAD.encode(&noise).to_ascii_lowercase())
}
