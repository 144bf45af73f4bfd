use super::SsoPolicyBody;
use crate::extract::Authorized;
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;

/// Show how people must sign in to the workspace.
#[utoipa::path(
    get, path = "/sso-policy", tag = "sign-in", operation_id = "show_sso_policy",
    responses((status = 200, description = "The policy.", body = SsoPolicyBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadSso>,
) -> Result<Json<SsoPolicyBody>, Problem> {
    Ok(Json(api.sign_in().rules(&permit).await?.into()))
}
