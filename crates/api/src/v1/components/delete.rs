use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use causeway_identity::action;
use causeway_types::ComponentId;

/// Delete a version of a component for good, with its code.
#[utoipa::path(
    delete, path = "/components/{id}", tag = "components", operation_id = "delete_component",
    params(("id" = ComponentId, Path)),
    responses((status = 204, description = "It is gone."), (status = "default", response = Problem))
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::Deploy>,
    PathId(id): PathId<ComponentId>,
) -> Result<StatusCode, Problem> {
    api.flow().delete_component(&permit, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
