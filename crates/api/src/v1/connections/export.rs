use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::{Code, ConnectionId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A credential in clear.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportedCredential {
    /// The connection.
    connection: ConnectionId,
    /// Its values by name: the fields of the app and the scheme, `oauth_client_id`,
    /// `oauth_access_token`, `oauth_refresh_token` and the like.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    values: Box<RawValue>,
}

/// Take a connection's credential out in clear. The environment's connect settings have to allow it
/// (`credential_export`), the caller needs `credentials.export`, which no program has unless its
/// scopes name it, and a person a fresh sign-in. Who took which is in the audit chain before this
/// answers. An `Idempotency-Key` does not count here.
#[utoipa::path(
    post, path = "/connections/{id}/credential-export", tag = "connections", operation_id = "export_credential",
    params(("id" = ConnectionId, Path)),
    responses((status = 200, description = "The credential.", body = ExportedCredential), (status = "default", response = Problem))
)]
pub(crate) async fn export(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ExportCredentials>,
    PathId(id): PathId<ConnectionId>,
) -> Result<Json<ExportedCredential>, Problem> {
    let exported = api.connect().export_credentials(&permit, &[id]).await?;
    // Texts and the JSON that was made of them.
    let shown = exported.into_iter().find_map(|one| {
        let text = std::str::from_utf8(one.values.expose()).ok()?.to_owned();
        let values = RawValue::from_string(text).ok()?;
        Some(ExportedCredential { connection: one.connection, values })
    });
    shown.map(Json).ok_or_else(|| Problem::new(Code::Internal, "The credential cannot be shown."))
}
