use super::NewMachineClientBody;
use crate::extract::{Authorized, Calling, JsonBody};
use crate::v1::api_keys::{ScopesBody, object};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::{NewMachineClient, action};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A machine client that you want.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MachineClientRequest)]
pub(crate) struct MachineClientRequestBody {
    /// What people call it: 1 to 64 characters.
    name: String,
    /// What it may do: no more than you may. Left out: the usual actions, as far as you have them.
    #[serde(default, deserialize_with = "object")]
    scopes: ScopesBody,
    /// Whether it gets a secret. Left out: if it has no public keys.
    secret: Option<bool>,
    /// Its public keys as a JWK Set (RFC 7517) of up to ten keys, if it signs assertions: `EC` on
    /// `P-256`, `RSA` of 2048 to 4096 bits, `OKP` on `Ed25519`.
    #[schema(value_type = Option<Object>)]
    public_keys: Option<Value>,
}

/// Make a program's OAuth client in this environment. Its secret is in this answer only; an
/// `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/machine-clients", tag = "machine access", operation_id = "create_machine_client",
    request_body = MachineClientRequestBody,
    responses((status = 201, description = "The client, with its secret.", body = NewMachineClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn create(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    JsonBody(new): JsonBody<MachineClientRequestBody>,
) -> Result<(StatusCode, Json<NewMachineClientBody>), Problem> {
    let new = NewMachineClient {
        name: new.name,
        scopes: new.scopes.try_into()?,
        secret: new.secret.unwrap_or(new.public_keys.is_none()),
        public_keys: new.public_keys,
    };
    let (client, secret) = api.machine().create_client(&permit, &caller, new).await?;
    let client_secret = secret.map(|secret| secret.expose().clone());
    let body = NewMachineClientBody { client: client.into(), client_secret };
    Ok((StatusCode::CREATED, Json(body)))
}
