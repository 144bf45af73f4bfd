//! What handlers take: a permit for their action, and bodies, ids and queries that answer with a
//! problem when they are wrong.

use crate::cookies::{self, Brought, SessionCookie};
use crate::{Api, Problem, cross_site, rate_limit};
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use causeway_identity::action::Action;
use causeway_identity::{Caller, Permit, Recorder, WantedPlace, authorize};
use causeway_types::{Code, WorkspaceId};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::str::FromStr;

/// The headers in which a person says where he acts.
const ENVIRONMENT: &str = "causeway-environment";
const WORKSPACE: &str = "causeway-workspace";

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

/// Whoever is known, for what everybody may see and do of their own: naming it as an argument is
/// how a route says that it needs no permission.
pub(crate) struct Own<T>(pub(crate) T);

/// Somebody who is known.
pub(crate) enum Whoever {
    /// A person, by a session; where he acts is not asked.
    Person(SessionCookie),
    /// A program, by its API key or access token.
    Program(Caller),
}

impl FromRequestParts<Api> for Own<Whoever> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Ok(Self(match session(parts, api)? {
            Some(cookie) => Whoever::Person(cookie),
            None => Whoever::Program(caller(parts, api).await?),
        }))
    }
}

impl FromRequestParts<Api> for Own<SessionCookie> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        match Own::<Whoever>::from_request_parts(parts, api).await? {
            Own(Whoever::Person(cookie)) => Ok(Self(cookie)),
            Own(Whoever::Program(_)) => Err(Problem::new(
                Code::Unauthenticated,
                "Only people have sessions. Sign in with a browser, and send its cookie instead of a key.",
            )),
        }
    }
}

/// The caller, in the place that the request names: for handlers that hand on more of him than a
/// permit.
pub(crate) struct Calling(pub(crate) Caller);

impl FromRequestParts<Api> for Calling {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        caller(parts, api).await.map(Self)
    }
}

/// The caller in the place that the request names; None for a person who names none.
pub(crate) struct Placed(pub(crate) Option<Caller>);

impl FromRequestParts<Api> for Placed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let names = |name| parts.headers.contains_key(name);
        let placed = names(ENVIRONMENT) || names(WORKSPACE) || session(parts, api)?.is_none();
        Ok(Self(if placed { Some(caller(parts, api).await?) } else { None }))
    }
}

/// Who sends the request: a program by its `Authorization` header, or else a person by the cookie
/// of a session. Found out once a request.
pub(crate) async fn caller(parts: &mut Parts, api: &Api) -> Result<Caller, Problem> {
    if let Some(known) = parts.extensions.get::<Caller>() {
        return Ok(known.clone());
    }
    let caller = if let Some(cookie) = session(parts, api)? {
        person(&cookie, &parts.headers, api).await?
    } else {
        let header = parts.headers.get(header::AUTHORIZATION);
        api.authenticator().authenticate(header.and_then(|value| value.to_str().ok())).await?
    };
    rate_limit::charge(parts, api, &caller)?;
    let caller = match parts.extensions.get::<Recorder>() {
        Some(recorder) => caller.recorded_by(recorder.clone()),
        None => caller,
    };
    parts.extensions.insert(caller.clone());
    Ok(caller)
}

/// What a request proved itself with: for an answer that lasts longer than what it was let in by
/// may.
pub(crate) enum Proof {
    /// The `Authorization` header of a program.
    Program(Option<HeaderValue>),
    /// The session of a person, and where he acts.
    Person(SessionCookie, Option<WantedPlace>),
}

impl FromRequestParts<Api> for Proof {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Ok(match session(parts, api)? {
            Some(cookie) => Self::Person(cookie, place_in(&parts.headers)?),
            None => Self::Program(parts.headers.get(header::AUTHORIZATION).cloned()),
        })
    }
}

impl Proof {
    /// The permit, if the request would be let in now as it was.
    pub(crate) async fn again<A: Action>(&self, api: &Api) -> Result<Permit<A>, Problem> {
        let caller = match self {
            Self::Program(header) => {
                let header = header.as_ref().and_then(|value| value.to_str().ok());
                api.authenticator().authenticate(header).await?
            }
            Self::Person(cookie, place) => {
                api.sign_in().sessions().authenticate_again(cookie.text(), *place).await?
            }
        };
        Ok(authorize::<A>(&caller, api.clock().now())?)
    }
}

/// Where the headers say that a person acts.
fn place_in(headers: &HeaderMap) -> Result<Option<WantedPlace>, Problem> {
    let environment = id_in(headers, ENVIRONMENT)?.map(WantedPlace::Environment);
    Ok(environment.or(id_in(headers, WORKSPACE)?.map(WantedPlace::Workspace)))
}

/// A person, where the headers say that he acts.
async fn person(cookie: &SessionCookie, headers: &HeaderMap, api: &Api) -> Result<Caller, Problem> {
    let workspace: Option<WorkspaceId> = id_in(headers, WORKSPACE)?;
    let place = place_in(headers)?;
    let caller = api.sign_in().sessions().authenticate(cookie.text(), place).await?;
    if workspace.is_some_and(|workspace| workspace != caller.workspace()) {
        return Err(Problem::new(
            Code::NotFound,
            "The environment and the workspace that the headers name do not belong together.",
        ));
    }
    Ok(caller)
}

/// The session of a request that has no `Authorization` header. A changing request must come from
/// a page of this server, because browsers send cookies along unasked.
fn session(parts: &Parts, api: &Api) -> Result<Option<SessionCookie>, Problem> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        return Ok(None);
    }
    let cookie = match cookies::session(api, &parts.headers) {
        Brought::Nothing => return Ok(None),
        Brought::Unusable => {
            return Err(Problem::new(
                Code::Unauthenticated,
                "The cookies of this request cannot be read: there is more than one session, or they are too many. Sign in again.",
            ));
        }
        Brought::Session(cookie) => cookie,
    };
    cross_site::check(api, &parts.method, &parts.headers)?;
    Ok(Some(cookie))
}

/// The id in a header that may stand once.
fn id_in<T>(headers: &HeaderMap, name: &'static str) -> Result<Option<T>, Problem>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let refused = |why: String| {
        Problem::new(Code::InvalidId, format!("The header `{name}` cannot be used: {why}."))
    };
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused("it stands twice".to_owned()));
    }
    let text = value.to_str().map_err(|_| refused("it is no text".to_owned()))?;
    text.parse().map(Some).map_err(|error: T::Err| refused(error.to_string()))
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

/// A message that may hold text of the sender's, on one line and cut in its middle: its end has
/// line and column.
fn bounded(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = message.chars().count();
    if count <= MESSAGE {
        return message;
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
