use super::ComponentDetailBody;
use crate::extract::{Authorized, PathId};
use crate::{Api, Problem};
use axum::Json;
use axum::extract::State;
use causeway_identity::action;
use causeway_types::ComponentId;

/// Show a version of a component.
#[utoipa::path(
    get, path = "/components/{id}", tag = "components", operation_id = "show_component",
    params(("id" = ComponentId, Path)),
    responses((status = 200, description = "The component.", body = ComponentDetailBody), (status = "default", response = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Authorized(permit): Authorized<action::ReadWorkflows>,
    PathId(id): PathId<ComponentId>,
) -> Result<Json<ComponentDetailBody>, Problem> {
    Ok(Json(api.flow().component(&permit, id).await?.into()))
}
