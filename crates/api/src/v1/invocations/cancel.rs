use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::InvocationId;

/// Stop an invocation that waits, is queued or runs. Steps that have ended stay as they are.
#[utoipa::path(
    post, path = "/invocations/{id}/cancel", tag = "invocations", operation_id = "cancel_invocation",
    params(("id" = InvocationId, Path)),
    responses((status = 204, description = "It is canceled."), (status = "default", response = Problem))
)]
pub(crate) async fn cancel(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::CancelInvocation>,
    PathId(id): PathId<InvocationId>,
) -> Result<StatusCode, Problem> {
    api.flow().cancel(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
