//! `Idempotency-Key`: a changing request that is sent again with the same key is answered as it
//! was the first time (draft-ietf-httpapi-idempotency-key-header).

use crate::{Api, Problem, extract, request_id};
use aws_lc_rs::digest;
use axum::body::Body;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header, response};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use causeway_identity::Caller;
use causeway_identity::action::Where;
use causeway_store::{Bookkeeping, db, origin, with_origin};
use causeway_types::{Code, Place};
use data_encoding::BASE64;
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The longest key, in characters.
pub(crate) const MAX_KEY: usize = 255;
/// How long an answer is kept.
pub(crate) const KEPT_FOR: Duration = Duration::from_hours(24);

/// How an answer is kept, before it is sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// None where there is no body.
    content_type: Option<String>,
    body: String,
}

/// Answers a repeated request from what was kept; lets every other request through.
pub(crate) async fn layer(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let changing = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(key) = request.headers().get("idempotency-key").filter(|_| changing).cloned() else {
        return Ok(next.run(request).await);
    };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Problem::new(
            Code::InvalidRequest,
            "`Idempotency-Key` has 1 to 255 characters.",
        ));
    }
    let (mut parts, body) = request.into_parts();
    let caller = extract::caller(&mut parts, &api).await?;
    // The limit of the route applies: the layer that sets it lies outside of this one.
    let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &api)
        .await
        .map_err(|rejection| extract::unreadable_body(&rejection))?;
    let place = match caller.place() {
        Where::Environment(tenant) => tenant.environment.to_string(),
        Where::Workspace(workspace) => workspace.to_string(),
    };
    // The caller is part of it: nobody is shown what another one was answered.
    let scope = digest_of(&[
        caller.actor().to_string().as_bytes(),
        place.as_bytes(),
        parts.method.as_str().as_bytes(),
        parts.uri.path().as_bytes(),
        key.as_bytes(),
    ]);
    let sent = digest_of(&[parts.uri.query().unwrap_or_default().as_bytes(), &body]);
    // In a task of its own: a caller that hangs up must not leave the change half made, or its key
    // claimed for good.
    let rest = async move {
        if let Some(answer) = api.claim_or_repeat(&caller, &scope, &sent).await? {
            return Ok(answer);
        }
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        api.keep(&caller, scope, response).await
    };
    tokio::spawn(request_id::scope(request_id::current(), with_origin(origin(), rest)))
        .await
        .map_err(|_| Problem::new(Code::Internal, "The request could not be completed."))?
}

fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

impl Api {
    /// Claims the key, or gives the answer that it had.
    async fn claim_or_repeat(
        &self,
        caller: &Caller,
        scope: &[u8; 32],
        sent: &[u8; 32],
    ) -> Result<Option<Response>, Problem> {
        let workspace = caller.workspace();
        let now = self.clock().now();
        let mut tx = self.store().write(caller.actor()).await?;
        db!(tx, idempotency::prune(now.minus(KEPT_FOR)))?;
        let claimed = db!(tx, idempotency::claim(workspace, scope, sent, now))?;
        if claimed {
            tx.commit_bookkeeping(Bookkeeping::Idempotency).await?;
            return Ok(None);
        }
        let earlier = db!(tx, idempotency::get(workspace, scope))?;
        drop(tx);
        let Some(earlier) = earlier else {
            return Err(in_progress());
        };
        if earlier.request_digest != sent {
            return Err(Problem::new(
                Code::IdempotencyMismatch,
                "This `Idempotency-Key` came before with another request to this address. \
                 Use a new key for a new request.",
            ));
        }
        let (Some(status), Some(sealed)) = (earlier.status, earlier.response) else {
            return Err(in_progress());
        };
        let place = Place::IdempotentResponse(*scope);
        let bytes = self.vault().open(workspace, &place, &sealed).await?;
        let kept: Kept = serde_json::from_slice(bytes.expose()).map_err(|_| damaged())?;
        let body = BASE64.decode(kept.body.as_bytes()).map_err(|_| damaged())?;
        let status = u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or_else(damaged)?;
        let mut response = (status, Body::from(body)).into_response();
        if let Some(content_type) = kept.content_type {
            let content_type = HeaderValue::try_from(content_type).map_err(|_| damaged())?;
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        }
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Some(response))
    }

    /// Keeps the answer, unless it says that the request may be sent again.
    async fn keep(
        &self,
        caller: &Caller,
        scope: [u8; 32],
        response: Response,
    ) -> Result<Response, Problem> {
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|_| Problem::new(Code::Internal, "The answer could not be completed."))?
            .to_bytes();
        let again = parts.status.is_server_error() || parts.status == StatusCode::TOO_MANY_REQUESTS;
        let kept = if again {
            self.release(caller, &scope).await
        } else {
            self.finish(caller, scope, &parts, &body).await
        };
        // The change is made, and whoever asked for it is told so all the same. A repeated
        // request is then answered with `idempotency_in_progress`.
        if let Err(problem) = kept {
            tracing::warn!(problem = problem.detail(), "could not keep the answer to a request");
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    async fn release(&self, caller: &Caller, scope: &[u8; 32]) -> Result<(), Problem> {
        let mut tx = self.store().write(caller.actor()).await?;
        db!(tx, idempotency::release(caller.workspace(), scope))?;
        Ok(tx.commit_bookkeeping(Bookkeeping::Idempotency).await?)
    }

    async fn finish(
        &self,
        caller: &Caller,
        scope: [u8; 32],
        parts: &response::Parts,
        body: &Bytes,
    ) -> Result<(), Problem> {
        let workspace = caller.workspace();
        let content_type = parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let kept = Kept { content_type, body: BASE64.encode(body) };
        let kept = serde_json::to_vec(&kept).map_err(|_| damaged())?;
        let place = Place::IdempotentResponse(scope);
        let sealed = self.vault().seal(workspace, &place, &kept).await?;
        let status = i64::from(parts.status.as_u16());
        let mut tx = self.store().write(caller.actor()).await?;
        db!(tx, idempotency::finish(workspace, &scope, status, &sealed))?;
        Ok(tx.commit_bookkeeping(Bookkeeping::Idempotency).await?)
    }
}

fn in_progress() -> Problem {
    Problem::new(
        Code::IdempotencyInProgress,
        "A request with this `Idempotency-Key` has begun and has no answer yet. If the server \
         stopped in between, it is not known whether the change was made: look, then use a new key.",
    )
}

fn damaged() -> Problem {
    Problem::new(Code::Internal, "A kept answer cannot be read.")
}
