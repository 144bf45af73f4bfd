use super::{NewApiKeyBody, ScopesBody, object};
use crate::extract::{Authorized, Calling, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewApiKey, action};
use serde::Deserialize;
use std::time::Duration;
use utoipa::ToSchema;

/// An API key that you want.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyRequest)]
pub(crate) struct ApiKeyRequestBody {
    /// What people call it: 1 to 64 characters.
    name: String,
    /// What it may do: no more than you may. Left out: the usual actions, as far as you have them.
    #[serde(default, deserialize_with = "object")]
    scopes: ScopesBody,
    /// How long it works, in seconds: 60 to 157680000. Left out: until it is revoked. A key that
    /// was made with a key ends with it at the latest.
    expires_in: Option<u64>,
}

/// Make an API key of this environment. Its text is in this answer only; an `Idempotency-Key`
/// does not count here.
#[utoipa::path(
    post, path = "/api-keys", tag = "machine access", operation_id = "create_api_key",
    request_body = ApiKeyRequestBody,
    responses((status = 201, description = "The key, with its text.", body = NewApiKeyBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    JsonBody(new): JsonBody<ApiKeyRequestBody>,
) -> Result<(StatusCode, Json<NewApiKeyBody>), Problem> {
    let new = NewApiKey {
        name: new.name,
        scopes: new.scopes.try_into()?,
        lifetime: new.expires_in.map(Duration::from_secs),
    };
    let (key, secret) = api.machine().create_key(&permit, &caller, new).await?;
    let body = NewApiKeyBody { key: key.into(), api_key: secret.expose().clone() };
    Ok((StatusCode::CREATED, Json(body)))
}
