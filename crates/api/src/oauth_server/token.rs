use super::client::{Asked, Client, Parameters};
use super::error::{ErrorBody, OAuthError};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use causeway_identity::TokenRequest;
use causeway_types::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

/// What a client asks for, with its proof if that is not in the `Authorization` header.
#[derive(ToSchema)]
#[schema(as = TokenRequest)]
#[expect(dead_code, reason = "says in the document what is read parameter by parameter")]
pub(crate) struct TokenRequestBody {
    /// `client_credentials`.
    grant_type: String,
    /// Actions, separated by spaces. Left out, `*` or `connect:*`: all that the client may do.
    scope: Option<String>,
    /// The client's id. Not needed with HTTP Basic or an assertion.
    client_id: Option<String>,
    /// The client's secret, if it is sent here and not by HTTP Basic.
    client_secret: Option<SecretString>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` with an assertion.
    client_assertion_type: Option<String>,
    /// A JWT that the client signed (RFC 7523): `iss` and `sub` are its id, `aud` is this server,
    /// `exp` at most five minutes ahead, and `jti` new.
    client_assertion: Option<SecretString>,
}

/// An access token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenBody {
    /// The token: a JWT.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// How many seconds it works.
    expires_in: u64,
    /// The actions that it is for, separated by spaces.
    scope: String,
}

impl Asked for TokenRequest {
    fn take(parameters: &mut Parameters) -> Result<Self, OAuthError> {
        let grant_type = parameters.grant_type.take();
        let grant_type =
            grant_type.ok_or_else(|| OAuthError::request("`grant_type` is missing."))?;
        Ok(Self { grant_type, scope: parameters.scope.take() })
    }
}

/// Obtain an access token by client credentials.
#[utoipa::path(
    post, path = "/v1/oauth/token", tag = "machine access", operation_id = "issue_token",
    security((), ("oauth_client" = [])),
    request_body(content(
        (TokenRequestBody = "application/x-www-form-urlencoded"),
        (TokenRequestBody = "application/json"),
    )),
    responses(
        (status = 200, description = "The token.", body = TokenBody),
        (status = 400, description = "The request is wrong.", body = ErrorBody),
        (status = 401, description = "The client does not prove itself.", body = ErrorBody),
        (status = 429, description = "The client asks too often.", body = ErrorBody),
        (status = "default", response = Problem),
    )
)]
pub(crate) async fn token(
    State(api): State<Api>,
    Client(client, request): Client<TokenRequest>,
) -> Result<impl IntoResponse, OAuthError> {
    let granted = api.machine().grant(client, request).await?;
    let body = TokenBody {
        access_token: granted.access_token.expose().clone(),
        token_type: "Bearer",
        expires_in: granted.expires_in.as_secs(),
        scope: granted.scope,
    };
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")], Json(body)))
}
