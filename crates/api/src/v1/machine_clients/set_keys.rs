use super::MachineClientBody;
use crate::extract::{Authorized, Calling, JsonBody, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::MachineClientId;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

/// The public keys that a client shall have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MachineClientKeys)]
pub(crate) struct KeysBody {
    /// A JWK Set (RFC 7517) of up to ten keys: `EC` on `P-256`, `RSA` of 2048 to 4096 bits, `OKP`
    /// on `Ed25519`. Null takes the keys that the client has; it then needs a secret.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    public_keys: Option<Value>,
}

/// Null must be said: nobody takes a client's keys by leaving them out.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Option::deserialize(from)
}

/// Replace a machine client's public keys. What is signed with another key obtains nothing from now
/// on, so change keys without a gap by having both in the set for a while. Tokens that were
/// obtained work until they expire.
#[utoipa::path(
    put, path = "/machine-clients/{id}/public-keys", tag = "machine access", operation_id = "set_machine_client_keys",
    params(("id" = MachineClientId, Path)),
    request_body = KeysBody,
    responses((status = 200, description = "The client.", body = MachineClientBody), (status = "default", response = Problem))
)]
pub(crate) async fn set_keys(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    Calling(caller): Calling,
    PathId(id): PathId<MachineClientId>,
    JsonBody(body): JsonBody<KeysBody>,
) -> Result<Json<MachineClientBody>, Problem> {
    let keys = body.public_keys.as_ref();
    Ok(Json(api.machine().set_client_keys(&permit, &caller, id, keys).await?.into()))
}
