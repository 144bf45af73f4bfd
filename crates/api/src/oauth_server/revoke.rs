use super::client::{Asked, Client, Parameters};
use super::error::{ErrorBody, OAuthError};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_types::SecretString;
use utoipa::ToSchema;

/// The token to revoke, with the client's proof if that is not in the `Authorization` header.
#[derive(ToSchema)]
#[schema(as = RevocationRequest)]
#[expect(dead_code, reason = "says in the document what is read parameter by parameter")]
pub(crate) struct RevocationRequestBody {
    /// The access token.
    token: SecretString,
    /// Not needed: there are access tokens only.
    token_type_hint: Option<String>,
    /// The client's id. Not needed with HTTP Basic or an assertion.
    client_id: Option<String>,
    /// The client's secret, if it is sent here and not by HTTP Basic.
    client_secret: Option<SecretString>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` with an assertion.
    client_assertion_type: Option<String>,
    /// A JWT that the client signed, as for a token.
    client_assertion: Option<SecretString>,
}

/// The token that shall be revoked.
pub(crate) struct Revocation(SecretString);

impl Asked for Revocation {
    fn take(parameters: &mut Parameters) -> Result<Self, OAuthError> {
        let token = parameters.token.take();
        token.map(Self).ok_or_else(|| OAuthError::request("`token` is missing."))
    }
}

/// Revoke an access token of the client's own. It stops working at once. A text that is no token,
/// or another client's, changes nothing and is answered the same.
#[utoipa::path(
    post, path = "/v1/oauth/revoke", tag = "machine access", operation_id = "revoke_token",
    security((), ("oauth_client" = [])),
    request_body(content(
        (RevocationRequestBody = "application/x-www-form-urlencoded"),
        (RevocationRequestBody = "application/json"),
    )),
    responses(
        (status = 200, description = "The token does not work, or never did."),
        (status = 400, description = "The request is wrong.", body = ErrorBody),
        (status = 401, description = "The client does not prove itself.", body = ErrorBody),
        (status = 429, description = "The client asks too often.", body = ErrorBody),
        (status = "default", response = Problem),
    )
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Client(client, Revocation(token)): Client<Revocation>,
) -> Result<StatusCode, OAuthError> {
    api.machine().revoke_token(client, &token).await?;
    Ok(StatusCode::OK)
}
