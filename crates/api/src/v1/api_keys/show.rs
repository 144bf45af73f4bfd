use super::ApiKeyBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ApiKeyId;

/// Show an API key; never its text.
#[utoipa::path(
    get, path = "/api-keys/{id}", tag = "machine access", operation_id = "show_api_key",
    params(("id" = ApiKeyId, Path)),
    responses((status = 200, description = "The key.", body = ApiKeyBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadMachineAccess>,
    PathId(id): PathId<ApiKeyId>,
) -> Result<Json<ApiKeyBody>, Problem> {
    Ok(Json(api.machine().key(&permit, id).await?.into()))
}
