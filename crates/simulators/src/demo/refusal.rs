//! An answer that ends a handler early with `?`.

use axum::response::{IntoResponse, Response};

/// Why a request is not carried out. Boxed, since a response is large for an error.
pub(crate) struct Refusal(Box<Response>);

impl Refusal {
    pub(crate) fn new(answer: impl IntoResponse) -> Self {
        Self(Box::new(answer.into_response()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}
