use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::ApiKeyId;

/// Revoke an API key. It stops working at once; its record stays.
#[utoipa::path(
    delete, path = "/api-keys/{id}", tag = "machine access", operation_id = "revoke_api_key",
    params(("id" = ApiKeyId, Path)),
    responses((status = 204, description = "It works no more."), (status = "default", response = Problem))
)]
pub(crate) async fn revoke(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageMachineAccess>,
    PathId(id): PathId<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    api.machine().revoke_key(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
