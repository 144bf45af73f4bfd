//! `/resume/…` and `/cancel/…`: the links that steps hand out to let their invocation go on, or to end
//! it.
//!
//! Opening a link changes nothing, because mail programs and chats open links before anybody has seen
//! them: it shows a page with a button. A POST, by that button or by a program, uses the link.

use crate::html::{self, Document, Markup};
use crate::ingress::read_body;
use crate::{Api, Problem, TRIGGER_BODY_LIMIT, extract};
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use causeway_flow::LinkKind;
use causeway_types::{Code, InvocationId};
use serde::Serialize;

/// The links' addresses.
pub(crate) fn router() -> Router<Api> {
    Router::new()
        .route("/resume/{token}", get(show_resume).post(resume))
        .route("/cancel/{token}", get(show_cancel).post(cancel))
        .layer(DefaultBodyLimit::max(TRIGGER_BODY_LIMIT))
}

type Token = Result<Path<String>, PathRejection>;

/// The token; what cannot be read is one that nobody has.
fn token_of(path: Token) -> String {
    path.map(|Path(token)| token).unwrap_or_default()
}

/// What a program is told.
#[derive(Serialize)]
struct Used {
    invocation_id: InvocationId,
}

/// Shows what a resume link is for.
async fn show_resume(State(api): State<Api>, path: Token) -> Response {
    show(&api, LinkKind::Resume, &token_of(path)).await
}

/// Shows what a cancel link is for.
async fn show_cancel(State(api): State<Api>, path: Token) -> Response {
    show(&api, LinkKind::Cancel, &token_of(path)).await
}

/// Uses a resume link; the body becomes what the waiting step finds.
async fn resume(
    State(api): State<Api>,
    path: Token,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let used = use_link(&api, LinkKind::Resume, &token_of(path), &headers, body).await;
    answer(&headers, LinkKind::Resume, used)
}

/// Uses a cancel link.
async fn cancel(
    State(api): State<Api>,
    path: Token,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let used = use_link(&api, LinkKind::Cancel, &token_of(path), &headers, body).await;
    answer(&headers, LinkKind::Cancel, used)
}

async fn show(api: &Api, kind: LinkKind, token: &str) -> Response {
    let view = match api.flow().suspended(kind, token).await {
        Ok(view) => view,
        Err(error) => return refused(&Problem::from(error)).into_response(),
    };
    let (title, text, button) = match kind {
        LinkKind::Resume => ("Continue", "waits for somebody to let it go on.", "Continue"),
        LinkKind::Cancel => ("Cancel", "waits, and can be canceled here.", "Cancel it"),
    };
    let body = Markup::of(
        "<p>The workflow <strong>{}</strong> {}</p><form method=\"post\"><button class=\"strong\">{}</button></form>",
        &[&view.workflow, &text, &button],
    );
    Document::new(title, body).for_customers().into_response()
}

async fn use_link(
    api: &Api,
    kind: LinkKind,
    token: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<InvocationId, Problem> {
    let body = body.map_err(|rejection| extract::unreadable_body(&rejection))?;
    let data = serde_json::value::to_raw_value(&read_body(headers, &body)?).map_err(|_| {
        Problem::new(Code::InvalidRequest, "The request does not fit into a result.")
    })?;
    Ok(api.flow().use_link(kind, token, &data).await?)
}

/// A page for whoever wants one, else JSON.
fn answer(headers: &HeaderMap, kind: LinkKind, used: Result<InvocationId, Problem>) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    match used {
        Ok(_) if wants_page => {
            let (title, text) = match kind {
                LinkKind::Resume => ("Continued", "The workflow goes on. You can close this page."),
                LinkKind::Cancel => {
                    ("Canceled", "The workflow has ended. You can close this page.")
                }
            };
            Document::new(title, Markup::of("<p>{}</p>", &[&text])).for_customers().into_response()
        }
        Ok(invocation_id) => Json(Used { invocation_id }).into_response(),
        Err(problem) if wants_page => refused(&problem).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The page of a link that cannot be used.
fn refused(problem: &Problem) -> Document {
    let page = if problem.status() == StatusCode::NOT_FOUND {
        let why = Markup::alert(problem.detail());
        Document::new("This link is over", why).status(StatusCode::NOT_FOUND)
    } else {
        html::problem(problem)
    };
    page.for_customers()
}
