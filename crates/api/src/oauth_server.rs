//! Causeway as an OAuth authorization server for programs: tokens by client credentials (RFC 6749
//! section 4.4), their revocation (RFC 7009), and what others must know of it (RFC 8414, RFC 7517).
//!
//! Errors of the two endpoints have OAuth's own form (RFC 6749 section 5.2); what is no matter of
//! OAuth, such as a body over its limit, is a problem like everywhere else.

mod client;
mod error;
mod revoke;
mod token;

use crate::{Api, FORM_BODY_LIMIT};
use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;
use causeway_identity::action::ActionName;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long others may keep what they learned: none of it changes while the server runs.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The endpoints for clients, for the document.
pub(crate) fn documented() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(token::token))
        .routes(routes!(revoke::revoke))
        .layer(DefaultBodyLimit::max(FORM_BODY_LIMIT))
}

/// What anybody may know.
pub(crate) fn well_known() -> axum::Router<Api> {
    axum::Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(metadata))
}

/// The keys that sign access tokens (RFC 7517 section 5).
async fn jwks(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, KEPT)], Json(api.machine().jwks()))
}

/// What this server can do (RFC 8414 section 2).
async fn metadata(State(api): State<Api>) -> impl IntoResponse {
    let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt"]);
    let algorithms = json!(["ES256", "RS256", "PS256", "EdDSA", "Ed25519"]);
    let scopes: Vec<&str> = ActionName::ALL.iter().map(|action| action.as_str()).collect();
    let metadata = json!({
        "issuer": api.machine().issuer(),
        "token_endpoint": api.public("/v1/oauth/token"),
        "revocation_endpoint": api.public("/v1/oauth/revoke"),
        "jwks_uri": api.public("/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        // There is no authorization endpoint.
        "response_types_supported": [],
        "scopes_supported": scopes,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
    });
    ([(header::CACHE_CONTROL, KEPT)], Json(metadata))
}
