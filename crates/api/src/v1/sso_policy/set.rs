#![expect(unused_qualifications, reason = "the macro qualifies the type of the parameters")]

use super::SsoPolicyBody;
use crate::extract::{Authorized, JsonBody, Own, QueryOf, Whoever};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use serde::Deserialize;
use utoipa::IntoParams;

/// How to set the policy.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetQuery {
    /// Set it even if the session that sets it would not meet it. Default false.
    force: Option<bool>,
}

/// Set how people must sign in to the workspace. It counts from the next request on, for sessions
/// that are open already too. What would lock out the person who sets it is refused.
#[utoipa::path(
    put, path = "/sso-policy", tag = "sign-in", operation_id = "set_sso_policy",
    params(SetQuery),
    request_body = SsoPolicyBody,
    responses((status = 200, description = "The policy, with its domains normalized.", body = SsoPolicyBody), (status = "default", response = Problem))
)]
pub(crate) async fn set(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ManageSso>,
    Own(whoever): Own<Whoever>,
    QueryOf(query): QueryOf<SetQuery>,
    JsonBody(policy): JsonBody<SsoPolicyBody>,
) -> Result<Json<SsoPolicyBody>, Problem> {
    let session = match &whoever {
        Whoever::Person(cookie) => Some(cookie.text()),
        Whoever::Program(_) => None,
    };
    let force = query.force.unwrap_or(false);
    let rules = api.sign_in().set_rules(&permit, policy.into(), session, force).await?;
    Ok(Json(rules.into()))
}
