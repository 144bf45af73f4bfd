use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::InvocationId;
use serde::Serialize;
use utoipa::ToSchema;

/// The new invocation.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayBody {
    /// Its id.
    invocation_id: InvocationId,
    /// The invocation that it repeats.
    replay_of: InvocationId,
}

/// Run an invocation's event once more, on the workflow's active version.
#[utoipa::path(
    post, path = "/invocations/{id}/replay", tag = "invocations", operation_id = "replay_invocation",
    params(("id" = InvocationId, Path)),
    responses((status = 202, description = "The new invocation is stored.", body = ReplayBody), (status = "default", response = Problem))
)]
pub(crate) async fn replay(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReplayInvocation>,
    PathId(id): PathId<InvocationId>,
) -> Result<(StatusCode, Json<ReplayBody>), Problem> {
    let invocation_id = api.flow().replay(&permit, id).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayBody { invocation_id, replay_of: id })))
}
