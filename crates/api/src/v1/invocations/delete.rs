use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::InvocationId;

/// Delete an invocation for good, with its steps, and its event if nothing else runs on it.
#[utoipa::path(
    delete, path = "/invocations/{id}", tag = "invocations", operation_id = "delete_invocation",
    params(("id" = InvocationId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::DeleteInvocation>,
    PathId(id): PathId<InvocationId>,
) -> Result<StatusCode, Problem> {
    api.flow().delete(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
