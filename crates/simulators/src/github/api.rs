//! The REST API: the account of a token, and its addresses.

use super::{Shared, Token};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/api/v3/user", get(user)).route("/api/v3/user/emails", get(emails))
}

async fn user(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let token = match token(&shared, &headers) {
        Ok(token) => token,
        Err(refusal) => return *refusal,
    };
    let account = token.account;
    // What a token without the scope `user` sees: `email` is the public address, if there is one.
    let public = account.emails.iter().find(|one| one.visibility == Some("public"));
    let body = json!({
        "login": account.login,
        "id": account.id,
        "node_id": format!("U_{}", account.id),
        "type": "User",
        "site_admin": false,
        "name": account.name,
        "email": public.map(|one| one.email.clone()),
        "html_url": format!("{}/{}", shared.base, account.login),
        "created_at": "2008-01-14T04:33:35Z",
        "updated_at": "2026-01-14T04:33:35Z",
    });
    answer(&token.scope, Json(body))
}

async fn emails(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let token = match token(&shared, &headers) {
        Ok(token) => token,
        Err(refusal) => return *refusal,
    };
    if !token.scope.split([' ', ',']).any(|scope| matches!(scope, "user:email" | "user")) {
        return refuse(StatusCode::NOT_FOUND, "Not Found");
    }
    answer(&token.scope, Json(token.account.emails))
}

fn answer(scope: &str, body: impl IntoResponse) -> Response {
    ([("x-oauth-scopes", scope.to_owned())], body).into_response()
}

/// The token of a request. Requests without a `User-Agent` are refused
/// (`en/rest/using-the-rest-api/getting-started-with-the-rest-api#user-agent`).
fn token(shared: &Shared, headers: &HeaderMap) -> Result<Token, Box<Response>> {
    if !headers.contains_key(header::USER_AGENT) {
        let why = "Request forbidden by administrative rules.";
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, why)));
    }
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let known = sent
        .and_then(|value| value.strip_prefix("Bearer ").or(value.strip_prefix("token ")))
        .and_then(|text| shared.tokens().get(text).cloned());
    known.ok_or_else(|| Box::new(refuse(StatusCode::UNAUTHORIZED, "Bad credentials")))
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let body = json!({
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.as_u16().to_string(),
    });
    (status, Json(body)).into_response()
}
