//! Machine clients: OAuth clients of programs. A secret is in the one answer that makes it and
//! nowhere else: these answers are not kept for an `Idempotency-Key`.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;
pub(crate) mod set_keys;
pub(crate) mod show;

use super::api_keys::ScopesBody;
use causeway_identity::MachineClientView;
use causeway_types::{MachineClientId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A program's OAuth client, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MachineClient)]
pub(crate) struct MachineClientBody {
    /// Its id, which is also the OAuth `client_id`.
    id: MachineClientId,
    /// What people call it.
    name: String,
    /// Whether it has a secret.
    has_secret: bool,
    /// Until when the secret before works, if it still does.
    old_secret_works_until: Option<Timestamp>,
    /// Its public keys as a JWK Set (RFC 7517), if it signs assertions.
    #[schema(value_type = Option<Object>)]
    public_keys: Option<Value>,
    /// What it may do.
    scopes: ScopesBody,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it obtained a token last.
    last_used_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    revoked_at: Option<Timestamp>,
}

impl From<MachineClientView> for MachineClientBody {
    fn from(client: MachineClientView) -> Self {
        Self {
            id: client.id,
            name: client.name,
            has_secret: client.secret,
            old_secret_works_until: client.old_secret_until,
            public_keys: client.public_keys,
            scopes: client.scopes.into(),
            created_by: client.created_by,
            created_at: client.created_at,
            last_used_at: client.last_used_at,
            revoked_at: client.revoked_at,
        }
    }
}

/// A machine client with its new secret.
#[derive(Serialize, ToSchema)]
#[schema(as = NewMachineClient)]
pub(crate) struct NewMachineClientBody {
    #[serde(flatten)]
    client: MachineClientBody,
    /// The secret: `cws_…`. It is shown this once. Null if the client has none.
    client_secret: Option<String>,
}
