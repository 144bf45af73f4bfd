use super::ConnectSettingsBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Show what is set for your customers' connect pages.
#[utoipa::path(
    get, path = "/connect-settings", tag = "connections", operation_id = "show_connect_settings",
    responses((status = 200, description = "The settings; the usual ones if none were set.", body = ConnectSettingsBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadConnections>,
) -> Result<Json<ConnectSettingsBody>, Problem> {
    Ok(Json(api.connect().settings(&permit).await?.into()))
}
