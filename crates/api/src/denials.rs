//! What a request is denied goes into the audit chain, wherever on its way that is.

use crate::Api;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use causeway_types::Code;

/// The code of the problem that a request is answered with, as an extension of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered(pub(crate) Code);

/// Writes down what the request was denied before it is answered: by its permit, by an engine that
/// says so, even if the answer is that there is no such thing, or by whatever made the answer a
/// denial.
pub(crate) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    around(&api, request, next).await
}

/// The same for a request that is in another layer already.
pub(crate) async fn around(api: &Api, mut request: Request, next: Next) -> Response {
    let recorder = api.denials().recorder();
    request.extensions_mut().insert(recorder.clone());
    let response = next.run(request).await;
    if matches!(response.extensions().get(), Some(Answered(Code::Denied))) {
        recorder.refused();
    }
    recorder.write().await;
    response
}
