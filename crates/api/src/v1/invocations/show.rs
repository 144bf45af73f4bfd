use super::{InvocationBody, StepBody};
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::InvocationId;
use serde::Serialize;
use utoipa::ToSchema;

/// An invocation with its finished steps.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvocationDetail {
    #[serde(flatten)]
    invocation: InvocationBody,
    /// Why it is where it is, in a sentence or two for people.
    explanation: String,
    /// Its finished steps, in order.
    steps: Vec<StepBody>,
}

/// Show an invocation with its steps, exports and logs.
#[utoipa::path(
    get, path = "/invocations/{id}", tag = "invocations", operation_id = "show_invocation",
    params(("id" = InvocationId, Path)),
    responses((status = 200, description = "The invocation.", body = InvocationDetail), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadInvocations>,
    PathId(id): PathId<InvocationId>,
) -> Result<Json<InvocationDetail>, Problem> {
    let (invocation, steps) = api.flow().invocation(&permit, id).await?;
    let explanation = api.flow().explain(&permit, &invocation, &steps).await?;
    let steps = steps.into_iter().map(StepBody::from).collect();
    Ok(Json(InvocationDetail { invocation: invocation.into(), explanation, steps }))
}
