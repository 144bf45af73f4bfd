use super::MeBody;
use crate::extract::{Own, Placed, Whoever};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;

/// Show who calls, what workspaces they are in, and what they may do where this request acts.
#[utoipa::path(
    get, path = "/me", tag = "me", operation_id = "show_me",
    responses((status = 200, description = "Who calls.", body = MeBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Own(whoever): Own<Whoever>,
    Placed(caller): Placed,
) -> Result<Json<MeBody>, Problem> {
    Ok(Json(match whoever {
        Whoever::Program(caller) => MeBody::program(&caller),
        Whoever::Person(cookie) => {
            let me = api.sign_in().sessions().who(cookie.text()).await?;
            MeBody::person(me, caller.as_ref())
        }
    }))
}
