//! Requests to the URLs of HTTP triggers: each becomes an event, stored before it is answered.
//!
//! What a step answers with shares this server's origin with the connect page. So it is sandboxed
//! (Content Security Policy Level 3 section 6.3.2: its scripts run in an origin of their own), and
//! it cannot set what counts for the whole origin: cookies first of all.

use crate::client_address::ClientAddress;
use crate::idempotency::MAX_KEY;
use crate::{Api, Problem, RESPONSE_TIMEOUT, extract};
use axum::body::Body;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use causeway_flow::Answer;
use causeway_sandbox::Respond;
use causeway_types::{Code, EventId, InvocationId};
use data_encoding::BASE64;
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What code finds as `event`.
#[derive(Serialize)]
struct HttpEvent<'a> {
    method: &'a str,
    path: &'a str,
    query: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    headers: BTreeMap<&'a str, Cow<'a, str>>,
    body: EventBody<'a>,
    client_ip: String,
    url: &'a str,
}

/// A body: JSON as it is, a form as an object, other text as text, other bytes in base64.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum EventBody<'a> {
    None,
    Json(&'a RawValue),
    Form(BTreeMap<Cow<'a, str>, Cow<'a, str>>),
    Text(&'a str),
    Bytes { base64: String },
}

/// The answer to an event that is stored.
#[derive(Serialize)]
struct Accepted {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invocation_id: Option<InvocationId>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Takes a request to a trigger.
pub(crate) async fn receive(
    State(api): State<Api>,
    Extension(ClientAddress(from)): Extension<ClientAddress>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|rejection| extract::unreadable_body(&rejection))?;
    let (token, path) = parts_of(uri.path());
    let trigger = api.flow().trigger(token).await?;
    let event = HttpEvent {
        method: method.as_str(),
        path,
        query: url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).collect(),
        headers: readable(&headers),
        body: read_body(&headers, &body)?,
        client_ip: from.to_string(),
        url: &api.public(uri.path_and_query().map_or("/", |path| path.as_str())),
    };
    let event = serde_json::value::to_raw_value(&event).map_err(|_| {
        Problem::new(Code::InvalidRequest, "The request does not fit into an event.")
    })?;
    let accepted = api.flow().accept(&trigger, event, dedupe_key(&headers)?).await?;
    let ids = Accepted {
        duplicate: accepted.event.is_none(),
        event_id: accepted.event,
        invocation_id: accepted.invocation,
    };
    let Some(waiter) = accepted.waiter else {
        let status = if ids.duplicate { StatusCode::OK } else { StatusCode::ACCEPTED };
        return Ok((status, Json(ids)).into_response());
    };
    match api.flow().answer(waiter, RESPONSE_TIMEOUT).await? {
        Some(Answer::Respond(respond)) => Ok(answer(respond)),
        Some(Answer::Silence) => Ok((StatusCode::OK, Json(ids)).into_response()),
        Some(Answer::Failed { code }) => Err(Problem::new(
            Code::WorkflowFailed,
            match ids.invocation_id {
                Some(id) => format!("The invocation {id} failed with `{code}`."),
                None => format!("The workflow failed with `{code}`."),
            },
        )),
        None => Err(Problem::new(
            Code::ResponseTimeout,
            format!(
                "The event is stored, but the workflow has not answered within {} s. It goes on.",
                RESPONSE_TIMEOUT.as_secs()
            ),
        )),
    }
}

/// The token and what follows it, as they were sent: `/t/TOKEN/a/b` is `TOKEN` and `/a/b`.
fn parts_of(path: &str) -> (&str, &str) {
    let rest = path.strip_prefix("/t/").unwrap_or_default();
    match rest.find('/') {
        Some(end) => rest.split_at(end),
        None => (rest, "/"),
    }
}

/// Headers whose values are text; several of one name are joined as RFC 9110 section 5.3 says.
fn readable(headers: &HeaderMap) -> BTreeMap<&str, Cow<'_, str>> {
    let mut readable: BTreeMap<&str, Cow<'_, str>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        readable
            .entry(name.as_str())
            .and_modify(|before| {
                let before = before.to_mut();
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert(value);
    }
    readable
}

/// What a body says, as code finds it.
pub(crate) fn read_body<'a>(
    headers: &HeaderMap,
    body: &'a Bytes,
) -> Result<EventBody<'a>, Problem> {
    if body.is_empty() {
        return Ok(EventBody::None);
    }
    let content_type = headers.get(header::CONTENT_TYPE).map(extract::media_type);
    let content_type = content_type.unwrap_or_default();
    if content_type == "application/json" || content_type.ends_with("+json") {
        return serde_json::from_slice(body).map(EventBody::Json).map_err(|error| {
            Problem::new(Code::InvalidJson, format!("The body is not JSON: {error}."))
        });
    }
    if content_type == "application/x-www-form-urlencoded" {
        return Ok(EventBody::Form(url::form_urlencoded::parse(body).collect()));
    }
    Ok(match std::str::from_utf8(body) {
        Ok(text) => EventBody::Text(text),
        Err(_) => EventBody::Bytes { base64: BASE64.encode(body) },
    })
}

/// The sender's own id of the event, by Standard Webhooks' header or the general one.
fn dedupe_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("webhook-id").or_else(|| headers.get("idempotency-key")) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => Err(Problem::new(
            Code::InvalidRequest,
            "`Webhook-Id` and `Idempotency-Key` have 1 to 255 printable ASCII characters.",
        )),
    }
}

/// What browsers may do with an answer: everything but act as a page of this origin.
const SANDBOX: &str = "sandbox allow-downloads allow-forms allow-modals allow-popups \
    allow-popups-to-escape-sandbox allow-scripts allow-top-navigation-by-user-activation";

/// What a step gave to `$.respond`.
fn answer(respond: Respond) -> Response {
    let mut response = Response::new(Body::from(respond.body));
    *response.status_mut() = StatusCode::from_u16(respond.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in respond.headers {
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = parsed
            && !is_ours(&name)
        {
            headers.append(name, value);
        }
    }
    // Beside the step's own policy, if it has one: a browser keeps both.
    headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    response
}

/// Headers that belong to the connection, or that count for every page of this origin.
fn is_ours(name: &HeaderName) -> bool {
    const OURS: [&str; 11] = [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
        "upgrade",
        "set-cookie",
        "clear-site-data",
        "strict-transport-security",
        "alt-svc",
        "service-worker-allowed",
        "x-request-id",
    ];
    OURS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_an_event_is_what_follows_the_token() {
        for (path, parts) in [
            ("/t/tok", ("tok", "/")),
            ("/t/tok/", ("tok", "/")),
            ("/t/t/t/a%20b", ("t", "/t/a%20b")),
            ("/t/", ("", "/")),
        ] {
            assert_eq!(parts_of(path), parts, "{path}");
        }
    }

    #[test]
    fn an_answer_cannot_act_for_the_origin() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let response = answer(Respond {
            status: 201,
            headers: vec![
                header("set-cookie", "__Host-causeway_connect=x"),
                header("transfer-encoding", "chunked"),
                header("content-security-policy", "default-src 'none'"),
                header("x-mine", "1"),
            ],
            body: b"hi".to_vec(),
        });
        let names: Vec<&str> = response.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-security-policy", "x-mine"]);
        assert_eq!(response.headers().get_all("content-security-policy").iter().count(), 2);
    }
}
