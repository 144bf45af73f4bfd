//! What handlers take: a permit for their action, and bodies, ids and queries that answer with a
//! problem when they are wrong.

use crate::{Api, Problem};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use causeway_identity::action::Action;
use causeway_identity::{Caller, Permit, authorize};
use causeway_types::Code;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// Proof that the caller may do `A`: naming it as an argument is how a route names the permission
/// that it needs.
pub(crate) struct Authorized<A>(pub(crate) Permit<A>);

impl<A: Action + 'static> FromRequestParts<Api> for Authorized<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let caller = caller(parts, api).await?;
        Ok(Self(authorize::<A>(&caller)?))
    }
}

/// Who sends the request, by its `Authorization` header.
pub(crate) async fn caller(parts: &Parts, api: &Api) -> Result<Caller, Problem> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    Ok(api.authenticator().authenticate(header).await?)
}

/// A JSON body. Unknown fields, wrong types and bad JSON are refused with line and column.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, api).await.map_err(unreadable_body)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let code =
                if error.is_data() { Code::InvalidRequest } else { Code::InvalidJson };
            Problem::new(code, format!("The body cannot be used: {error}."))
        })
    }
}

/// What an unreadable body becomes.
pub(crate) fn unreadable_body(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            Code::BodyTooLarge,
            "The body is larger than this address takes; docs/limits.md has the limits.",
        );
    }
    Problem::new(Code::InvalidRequest, "The body did not arrive whole.")
}

/// An id in the path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<T> FromRequestParts<Api> for PathId<T>
where
    T: FromStr + Send,
    T::Err: std::fmt::Display,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, api).await.map_err(
            |_: PathRejection| Problem::new(Code::InvalidId, "The path holds no id."),
        )?;
        text.parse().map(Self).map_err(|error| {
            Problem::new(Code::InvalidId, format!("The id in the path cannot be used: {error}."))
        })
    }
}

/// The query, with unknown fields refused by the type.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Query(query) =
            Query::<T>::from_request_parts(parts, api).await.map_err(|error: QueryRejection| {
                Problem::new(Code::InvalidRequest, format!("{}.", error.body_text()))
            })?;
        Ok(Self(query))
    }
}
