//! Calls to apps with a connection's credential. Bodies pass while they arrive, so neither the
//! limits on bodies nor the keeping of answers for an `Idempotency-Key` are laid over this; that
//! header goes to the app, if it knows it.

use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use causeway_connect::{BodyError, ProxyCall, ProxyError};
use causeway_identity::{Permit, action};
use causeway_types::Code;
use http_body_util::BodyExt as _;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::{OpenApi, PartialSchema as _};
use utoipa_axum::router::OpenApiRouter;

/// Where the proxy stands.
const PREFIX: &str = "/api/v1/proxy/";
/// The header with the whole URL to call, where a path below the app's base URL will not do.
const TARGET: &str = "causeway-proxy-url";

#[derive(OpenApi)]
#[openapi(paths(get, post, put, patch, delete))]
struct Document;

/// Where a call goes, as the document of each operation says it: a target has any number of parts,
/// which no extractor describes.
struct Target;

impl utoipa::IntoParams for Target {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |name: &str, place: ParameterIn, description: &str| {
            ParameterBuilder::new().name(name).parameter_in(place).description(Some(description))
        };
        vec![
            parameter("connection", ParameterIn::Path, "The connection's name or id.")
                .required(Required::True)
                .schema(Some(String::schema()))
                .build(),
            parameter(
                "target",
                ParameterIn::Path,
                "The path below the app's base URL, with all its slashes; the query goes along.",
            )
            .required(Required::True)
            .schema(Some(String::schema()))
            .build(),
            parameter(
                TARGET,
                ParameterIn::Header,
                "A whole URL at one of the app's hosts, instead of the path.",
            )
            .required(Required::False)
            .schema(Some(
                ObjectBuilder::new().schema_type(SchemaType::Array(vec![Type::String, Type::Null])),
            ))
            .build(),
        ]
    }
}

/// The routes: a target has any number of parts, which the document cannot say.
pub(crate) fn router() -> OpenApiRouter<Api> {
    let methods = || routing::get(get).post(post).put(put).patch(patch).delete(delete);
    OpenApiRouter::with_openapi(Document::openapi())
        .route("/api/v1/proxy/{connection}", methods())
        .route("/api/v1/proxy/{connection}/{*target}", methods())
}

/// Read from an app with a connection's credential.
#[utoipa::path(
    get, path = "/api/v1/proxy/{connection}/{target}", tag = "proxy", operation_id = "proxy_get",
    params(Target),
    responses(
        (status = 200, description = "What the app answered: its status, headers and body.", body = String, content_type = "*/*"),
        (status = "default", response = Problem)
    )
)]
pub(crate) async fn get(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    call(&api, &permit, request).await
}

/// Send to an app with a connection's credential.
#[utoipa::path(
    post, path = "/api/v1/proxy/{connection}/{target}", tag = "proxy", operation_id = "proxy_post",
    params(Target),
    responses(
        (status = 200, description = "What the app answered: its status, headers and body.", body = String, content_type = "*/*"),
        (status = "default", response = Problem)
    )
)]
pub(crate) async fn post(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    call(&api, &permit, request).await
}

/// Put something at an app with a connection's credential.
#[utoipa::path(
    put, path = "/api/v1/proxy/{connection}/{target}", tag = "proxy", operation_id = "proxy_put",
    params(Target),
    responses(
        (status = 200, description = "What the app answered: its status, headers and body.", body = String, content_type = "*/*"),
        (status = "default", response = Problem)
    )
)]
pub(crate) async fn put(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    call(&api, &permit, request).await
}

/// Change something at an app with a connection's credential.
#[utoipa::path(
    patch, path = "/api/v1/proxy/{connection}/{target}", tag = "proxy", operation_id = "proxy_patch",
    params(Target),
    responses(
        (status = 200, description = "What the app answered: its status, headers and body.", body = String, content_type = "*/*"),
        (status = "default", response = Problem)
    )
)]
pub(crate) async fn patch(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    call(&api, &permit, request).await
}

/// Delete something at an app with a connection's credential.
#[utoipa::path(
    delete, path = "/api/v1/proxy/{connection}/{target}", tag = "proxy", operation_id = "proxy_delete",
    params(Target),
    responses(
        (status = 200, description = "What the app answered: its status, headers and body.", body = String, content_type = "*/*"),
        (status = "default", response = Problem)
    )
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    call(&api, &permit, request).await
}

async fn call(
    api: &Api,
    permit: &Permit<action::UseProxy>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let original = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    let path = original.path_and_query().map_or("", |whole| whole.as_str());
    let (connection, rest) = split(path).ok_or_else(|| {
        Problem::new(Code::InvalidRequest, "Write /api/v1/proxy/{connection}/{path}.")
    })?;
    let target = match asked(&parts.headers)? {
        Some(url) if rest.trim_start_matches('/').is_empty() => url,
        Some(_) => {
            return Err(Problem::new(
                Code::InvalidRequest,
                "Send either a path or the header `causeway-proxy-url`, not both.",
            ));
        }
        None => rest.to_owned(),
    };
    let mut headers = parts.headers;
    headers.remove(TARGET);
    let call = ProxyCall {
        method: parts.method,
        target,
        headers,
        body: body.map_err(BodyError::new).boxed_unsync(),
    };
    Ok(answer(api.connect().proxy(permit, connection, call).await))
}

/// The app's answer, or the problem that there is none.
pub(crate) fn answer(outcome: Result<causeway_connect::ProxyAnswer, ProxyError>) -> Response {
    let answer = match outcome {
        Ok(answer) => answer,
        Err(error) => {
            let wait = match &error {
                ProxyError::Limited { wait, .. } => Some(wait.as_secs().max(1)),
                _ => None,
            };
            let mut response = Problem::from(error).into_response();
            if let Some(seconds) = wait {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
    };
    let mut response = Response::new(Body::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Ok(id) = answer.connection.to_string().parse() {
        response.headers_mut().insert("causeway-connection", id);
    }
    // What an app answers is its own: no browser may run it as a page of this server.
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        header::HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
        ),
    );
    response
}

/// The connection, and the target from its first `/` on.
fn split(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (connection, target) = rest.split_at_checked(at)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (!connection.is_empty() && connection.bytes().all(plain)).then_some((connection, target))
}

fn asked(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(TARGET) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Problem::new(Code::InvalidRequest, "`causeway-proxy-url` holds other than visible ASCII.")
    })?;
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_keeps_its_form() {
        assert_eq!(split("/api/v1/proxy/crm/a%2Fb?x=1"), Some(("crm", "/a%2Fb?x=1")));
        assert_eq!(split("/api/v1/proxy/conn_x//evil.example"), Some(("conn_x", "//evil.example")));
        assert_eq!(split("/api/v1/proxy/crm"), Some(("crm", "")));
        assert_eq!(split("/api/v1/proxy//x"), None);
        assert_eq!(split("/api/v1/proxy/a%2e/x"), None);
    }
}
