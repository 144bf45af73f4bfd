use super::KeysBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Show the workspace's data keys and the last rotation.
#[utoipa::path(
    get, path = "/keys", tag = "keys", operation_id = "show_keys",
    responses((status = 200, description = "The keys.", body = KeysBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadKeys>,
) -> Result<Json<KeysBody>, Problem> {
    Ok(Json(api.keys(permit.workspace()).await?))
}
