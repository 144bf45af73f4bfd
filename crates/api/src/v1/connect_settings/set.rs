use super::ConnectSettingsBody;
use crate::extract::{Authorized, JsonBody};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Set all of what concerns your customers' connect pages.
#[utoipa::path(
    put, path = "/connect-settings", tag = "connections", operation_id = "set_connect_settings",
    request_body = ConnectSettingsBody,
    responses((status = 200, description = "The settings.", body = ConnectSettingsBody), (status = "default", response = Problem))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageConnectSettings>,
    JsonBody(settings): JsonBody<ConnectSettingsBody>,
) -> Result<Json<ConnectSettingsBody>, Problem> {
    Ok(Json(api.connect().set_settings(&permit, settings.into()).await?.into()))
}
