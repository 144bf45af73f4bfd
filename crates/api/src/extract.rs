//! What handlers take: a permit for their action, and bodies, ids and queries that answer with a
//! problem when they are wrong.

use crate::{Api, Problem};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use causeway_identity::action::Action;
use causeway_identity::{Caller, Permit, authorize};
use causeway_types::Code;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::str::FromStr;

/// Proof that the caller may do `A`: naming it as an argument is how a route names the permission
/// that it needs.
pub(crate) struct Authorized<A: Action>(pub(crate) Permit<A>);

impl<A: Action + 'static> FromRequestParts<Api> for Authorized<A> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let caller = caller(parts, api).await?;
        Ok(Self(authorize::<A>(&caller, api.clock().now())?))
    }
}

/// Who sends the request, by its `Authorization` header. Found out once a request.
pub(crate) async fn caller(parts: &mut Parts, api: &Api) -> Result<Caller, Problem> {
    if let Some(known) = parts.extensions.get::<Caller>() {
        return Ok(known.clone());
    }
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = api.authenticator().authenticate(header).await?;
    parts.extensions.insert(caller.clone());
    Ok(caller)
}

/// The longest part of a parser's message that is sent back, in characters: it repeats names that
/// the sender chose.
const MESSAGE: usize = 300;

/// A JSON body. Unknown fields, wrong types and bad JSON are refused with line and column.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        if !may_be_json(request.headers()) {
            return Err(Problem::new(
                Code::InvalidRequest,
                "The body is of another type. Send JSON with `Content-Type: application/json`.",
            ));
        }
        let bytes = Bytes::from_request(request, api)
            .await
            .map_err(|rejection| unreadable_body(&rejection))?;
        is_object(&bytes)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let code = if error.is_data() { Code::InvalidRequest } else { Code::InvalidJson };
            Problem::new(code, format!("The body cannot be used: {}.", json_message(&error)))
        })
    }
}

/// Refuses JSON that is not an object: an array would be taken for the fields in their order.
fn is_object(bytes: &[u8]) -> Result<(), Problem> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        return Ok(());
    }
    Err(match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => Problem::new(Code::InvalidRequest, "The body is not a JSON object."),
        Err(error) => Problem::new(Code::InvalidJson, format!("The body is not JSON: {error}.")),
    })
}

/// Whether a body says that it is JSON, or does not say what it is.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let kind = media_type(value);
    kind == "application/json" || kind.ends_with("+json")
}

/// A `Content-Type` without its parameters, in lower case.
pub(crate) fn media_type(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What the JSON parser says, without the value that it stumbled over, which may be a secret in
/// the wrong place: `invalid type: string, expected a map at line 1 column 9`.
fn json_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let cleaned = ["invalid type: ", "invalid value: "].into_iter().find_map(|what| {
        let rest = message.strip_prefix(what)?;
        let (found, expected) = rest.rsplit_once(", expected ")?;
        let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
        Some(format!("{what}{kind}, expected {expected}"))
    });
    bounded(cleaned.as_deref().unwrap_or(&message))
}

/// A message that may hold text of the sender's, cut in its middle: its end has line and column.
fn bounded(message: &str) -> String {
    let count = message.chars().count();
    if count <= MESSAGE {
        return message.to_owned();
    }
    let head: String = message.chars().take(MESSAGE / 2).collect();
    let tail: String = message.chars().skip(count - MESSAGE / 2).collect();
    format!("{head}…{tail}")
}

/// Refuses control characters in a parameter that a query compares with: no record has them, and
/// PostgreSQL takes no text with a NUL.
pub(crate) fn no_control(name: &str, text: Option<&str>) -> Result<(), Problem> {
    if text.is_some_and(|text| text.contains(char::is_control)) {
        return Err(Problem::new(
            Code::InvalidRequest,
            format!("`{name}` must not hold control characters."),
        ));
    }
    Ok(())
}

/// What an unreadable body becomes.
pub(crate) fn unreadable_body(rejection: &BytesRejection) -> Problem {
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
        let Path(text) = Path::<String>::from_request_parts(parts, api)
            .await
            .map_err(|_: PathRejection| Problem::new(Code::InvalidId, "The path holds no id."))?;
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
                Problem::new(Code::InvalidRequest, format!("{}.", bounded(&error.body_text())))
            })?;
        Ok(Self(query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        fields: std::collections::BTreeMap<String, String>,
    }

    fn message(json: &str) -> String {
        json_message(&serde_json::from_str::<Body>(json).unwrap_err())
    }

    #[test]
    fn a_value_in_the_wrong_place_is_not_repeated() {
        for json in [
            r#"{"fields": "canary"}"#,
            r#"{"fields": "canary, expected \", expected a"}"#,
            r#"{"fields": {"key": 987654}}"#,
            r#"{"fields": ["canary"]}"#,
        ] {
            let message = message(json);
            assert!(!message.contains("canary") && !message.contains("987654"), "{message}");
            assert!(message.contains("expected") && message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn a_long_name_is_cut_and_its_place_is_kept() {
        let message = message(&format!(r#"{{"{}": 1}}"#, "x".repeat(100_000)));
        assert!(message.len() < 1000 && message.ends_with("column 100003"), "{message}");
    }
}
